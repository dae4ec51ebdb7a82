"""Compiled figures equal the step-by-step roofline at every point."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from mansard.backends.chips import load as chip
from mansard.backends.cluster import Cluster
from mansard.backends.engine.compiled import Compiled, compile_program
from mansard.backends.engine.figures import FIGURES
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.stepwise import Stepwise
from mansard.frontends.hf.load import load
from mansard.ir.program import Program
from mansard.query.techniques import apply_techniques

SCENARIOS = [(1, 1, 1), (1, 2048, 128), (7, 4090, 30), (64, 100, 2), (333, 5000, 700), (8, 1, 9000)]
CASES = [
    ("llama-3.1-8b", "O0", ()),
    ("llama-3.1-8b", "O1", ("quantize{weights=int4 group=128}",)),
    ("gemma-2-2b", "O1", ()),
    ("mixtral-8x7b-v0.1", "O1", ()),
    ("mamba2-2.7b", "O1", ()),
]


@cache
def optimised(name: str, level: str, specs: tuple[str, ...]) -> Program:
    return apply_techniques(load(name), specs, level)[0]


def check(program: Program, on: Cluster | None = None) -> None:
    devices = on or Cluster(chip("h100-sxm"))
    compiled = Compiled(program, devices)
    columns = np.array(SCENARIOS, dtype=float).T
    fast, slow = compiled.figures(*columns), Stepwise(program, devices).figures(*columns)
    for name in FIGURES:
        for got, expected, scenario in zip(fast[name], slow[name], SCENARIOS, strict=True):
            same = math.isclose(got, expected, rel_tol=1e-12)
            assert same or (math.isnan(got) and math.isnan(expected)), (name, scenario)


@pytest.mark.parametrize(("name", "level", "specs"), CASES)
def test_compiled_figures_equal_the_roofline(name: str, level: str, specs: tuple[str, ...]) -> None:
    check(optimised(name, level, specs))


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gemma-2-2b", "mixtral-8x7b-v0.1", "mamba2-2.7b"])
def test_ragged_steps_are_compiled_group_by_group(name: str) -> None:
    """Riders beside each chunk: weights read once a step, caches once a group of sequences."""
    check(optimised(name, "O1", ("chunk-prefill{size=512 decoding=8 context=700}",)))


BESIDE = [
    ("llama-3.1-8b", "parallel{tp=2 overlap=true}", 2),
    ("gemma-2-2b", "parallel{tp=2 overlap=true}", 2),
    ("deepseek-v3", "parallel{tp=8 overlap=true}", 8),
    ("llama-3.1-8b", "offload{weights=0.5 kv=0.5}", 1),
    ("mamba2-2.7b", "offload{weights=0.3}", 1),
]


@pytest.mark.parametrize(("name", "spec", "devices"), BESIDE)
def test_streams_side_by_side_are_compiled_and_the_longest_counts(
    name: str, spec: str, devices: int
) -> None:
    program = optimised(name, "O1", (spec,))
    check(program, Cluster(chip("h100-sxm"), per_node=devices, mesh=program.mesh))


@pytest.mark.parametrize("count", [2, 100, 200_001])
def test_what_happens_in_a_loop_of_no_trips_takes_no_time(count: int) -> None:
    """Between ``output - 1`` steps come ``(batch - 1)/(output - 1)`` prefills each: none of 1."""
    program = optimised("llama-3.1-8b", "O1", ("batch-continuously{lengths=uniform}",))
    compiled, slow = Compiled(program, chip("h100-sxm")), Stepwise(program, chip("h100-sxm"))
    outputs = np.arange(1, count + 1)
    found = compiled.figures(16, 1024, outputs)
    for n in (1, 2):
        expected = slow.point(16, 1024, n)
        alone = compiled.point(16, 1024, n)
        for name in FIGURES:
            for got in (found[name][n - 1], alone[name]):
                assert got == pytest.approx(expected[name], rel=1e-12, nan_ok=True), (name, n)


def test_a_grid_of_one_output_that_is_one_has_no_decode() -> None:
    program = optimised("llama-3.1-8b", "O1", ("batch-continuously",))
    compiled = Compiled(program, chip("h100-sxm"))
    grid = compiled.grid({"prompt": (1024,), "output": (1,), "batch": (1, 16)})
    assert grid is not None
    (block,) = grid.blocks()
    for k, batch in enumerate((1, 16)):
        expected = compiled.point(batch, 1024, 1)
        for name, values in block.values.items():
            got = np.broadcast_to(values, (2,))[k]
            assert got == pytest.approx(expected[name], rel=1e-12, nan_ok=True), (name, batch)


def test_a_program_is_priced_on_another_chip_without_being_lowered_again() -> None:
    program = optimised("llama-3.1-8b", "O1", ())
    first = Compiled(program, chip("h100-sxm"))
    other = first.on(chip("mi300x"))
    assert other.lowered is first.lowered
    expected = Compiled(program, chip("mi300x")).figures(3, 700, 20)
    for name, values in other.figures(3, 700, 20).items():
        assert values[0] == expected[name][0], name


def test_many_points_equal_each_point_alone() -> None:
    compiled = Compiled(optimised("gemma-2-2b", "O1", ()), chip("h100-sxm"))
    batch = np.arange(1, 20_001, dtype=float)
    together = compiled.figures(batch, 4000, 300, ["tpot", "memory"])
    for k in (0, 8191, 8192, 19_999):
        alone = compiled.figures(batch[k], 4000, 300, ["tpot", "memory"])
        for name, values in together.items():
            assert values[k] == pytest.approx(alone[name][0], rel=1e-14), name


def test_columns_of_different_lengths_are_refused() -> None:
    compiled = Compiled(optimised("llama-3.1-8b", "O1", ()), chip("h100-sxm"))
    with pytest.raises(ValueError, match="differ in length"):
        compiled.figures([1, 2], [1, 2, 3], 4)


def test_what_cannot_be_compiled_falls_back_to_steps() -> None:
    from mansard.ir.program import Call, Together, binding

    program = optimised("llama-3.1-8b", "O1", ())
    call = Call("target", binding(1, 8, 0), phase="prefill")
    beside = Program(program.graphs, (Together((call, call), phase="prefill"),))
    with pytest.raises(NotCompiledError):
        Compiled(beside, chip("h100-sxm"))
    fallback = compile_program(beside, chip("h100-sxm"))
    assert isinstance(fallback, Stepwise)
    assert fallback.figures(1, 8, 1)["ttft"][0] > 0


def test_collectives_over_eight_devices_are_compiled_too() -> None:
    program = optimised("llama-3.1-8b", "O1", ("parallel{tp=8}",))
    devices = Cluster(chip("h100-sxm"), per_node=8, mesh=program.mesh)
    fast = Compiled(program, devices).figures([1, 300], [100, 4096], [2, 256])
    slow = Stepwise(program, devices).figures([1, 300], [100, 4096], [2, 256])
    for name in FIGURES:
        assert fast[name] == pytest.approx(slow[name], rel=1e-12), name

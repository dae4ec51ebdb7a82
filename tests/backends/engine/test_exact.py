"""Every executor equals an exact evaluation in fractions, step by step, within 1e-12."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from mansard.backends.calls import CallEnvironment
from mansard.backends.chips import load as chip
from mansard.backends.cluster import Cluster
from mansard.backends.engine.arrays import Columns
from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.formulas import SYMBOLS, WIDEST
from mansard.backends.engine.generated import defined, nest
from mansard.backends.engine.stepwise import Stepwise
from mansard.backends.engine.straight import SCALAR
from mansard.backends.rates import LINK, price
from mansard.backends.schedule import timeline
from mansard.backends.streams import stream_of
from mansard.backends.table import tabulate
from mansard.core.symbols import SCENARIO
from mansard.frontends.hf.load import load
from mansard.ir.program import Program
from mansard.query.techniques import apply_techniques

NAMES = ("ttft", "tpot", "throughput", "memory")
CASES = [
    ("qwen2.5-0.5b", (), 1),
    ("gemma-2-2b", ("quantize{weights=int4 group=128}",), 1),
    ("mixtral-8x7b-v0.1", (), 1),
    ("deepseek-v3", ("parallel{tp=8}",), 8),
    ("mamba2-2.7b", (), 1),
    ("qwen2.5-0.5b", ("speculative-decode{gamma=3 alpha=0.7}",), 1),
]
AXES = {"batch": (1.0, 7.0, 333.0), "prompt": (1.0, 4090.0, 4096.0, 9001.0), "output": (2.0, 9.0)}


@cache
def made(name: str, specs: tuple[str, ...], devices: int) -> tuple[Program, Cluster]:
    program = apply_techniques(load(name), specs, "O1")[0]
    return program, Cluster(chip("h100-sxm"), per_node=devices, mesh=program.mesh)


@cache
def compiled(name: str, specs: tuple[str, ...], devices: int) -> Compiled:
    return Compiled(*made(name, specs, devices))


@cache
def exact(
    name: str, specs: tuple[str, ...], devices: int, point: tuple[int, int, int]
) -> tuple[dict[str, Fraction], Fraction]:
    """Return the seconds of each phase, and the tokens of decode, call by call."""
    return exact_on(*made(name, specs, devices), point)


def exact_on(
    program: Program, cluster: Cluster, point: tuple[int, int, int]
) -> tuple[dict[str, Fraction], Fraction]:
    """Return the same of a program on some devices."""
    scenario = dict(zip(SYMBOLS, point, strict=True))
    line = timeline(program.schedule, {SCENARIO[k]: sp.Integer(v) for k, v in scenario.items()})
    seconds: dict[str, Fraction] = {}
    for stretch in line.stretches:
        call = stretch.call
        if call is None:
            continue
        table = tabulate(program.graph(call.graph).wanting(call.wants), call.graph)
        at = CallEnvironment(stretch, program.graph(call.graph).defaults).on(table.tape)
        for step in range(stretch.first, stretch.last + 1):
            values = at(step)
            streams: dict[int, dict[str, Fraction]] = {}
            for row in table.rows:
                priced = price(row, cluster)
                needs = [
                    sum(Fraction(values[slot]) * Fraction(each) for slot, each in rates)
                    for rates in priced.rates.values()
                ]
                if priced.transfers:
                    needs.append(Fraction(priced.seconds(LINK, values)))
                time = max(needs) * Fraction(values[row.count]) * Fraction(stretch.weight)
                name = stream_of(row) if row.group else f"row {id(row)}"
                beside = streams.setdefault(row.group or id(row), {})
                beside[name] = beside.get(name, Fraction(0)) + time
            total = sum((max(some.values()) for some in streams.values()), Fraction(0))
            seconds[stretch.phase] = seconds.get(stretch.phase, Fraction(0)) + total
    return seconds, Fraction(line.yields.get("decode", 0))


Executor = Callable[[Compiled, float, float, float], dict[str, float]]


def point(at: Compiled, b: float, p: float, n: float) -> dict[str, float]:
    return at.point(b, p, n, NAMES)


def column(at: Compiled, b: float, p: float, n: float) -> dict[str, float]:
    line = at.line()
    assert line is not None
    columns = {"batch": np.array([b, 3.0]), "prompt": np.array([p, 50.0]), "output": n}
    return {k: float(v[0]) for k, v in Columns(line, NAMES).at(columns).items()}


def rows(at: Compiled, b: float, p: float, n: float) -> dict[str, float]:
    found = at._rows.figures([np.array([v]) for v in (b, p, n)], 1, NAMES)
    return {k: float(v[0]) for k, v in found.items()}


def fractions(at: Compiled, b: float, p: float, n: float) -> dict[str, float]:
    line = at.line()
    assert line is not None
    ops = {**SCALAR, "power": lambda a, n: Fraction(float(a) ** float(n))}
    env = {"batch": Fraction(b), "prompt": Fraction(p), "output": Fraction(n)}
    found = line.run(env, ops, NAMES, lambda v: v if isinstance(v, bool) or v != v else Fraction(v))
    return {k: float(v) for k, v in found.items()}


@pytest.mark.parametrize("executor", [point, column, rows, fractions])
@pytest.mark.parametrize(("name", "specs", "devices"), CASES)
def test_a_point_equals_the_fractions_of_every_call(
    name: str, specs: tuple[str, ...], devices: int, executor: Executor
) -> None:
    engine = compiled(name, specs, devices)
    for b, p, n in [(1, 1, 2), (7, 4090, 9), (333, 4096, 3)]:
        seconds, tokens = exact(name, specs, devices, (b, p, n))
        found = executor(engine, float(b), float(p), float(n))
        assert found["ttft"] == pytest.approx(float(seconds["prefill"]), rel=1e-12)
        assert found["tpot"] == pytest.approx(float(seconds["decode"] / tokens), rel=1e-12)


@pytest.mark.parametrize("order", list(itertools.permutations(AXES)))
def test_a_grid_equals_its_points_in_any_order_of_axes(order: tuple[str, ...]) -> None:
    for case in CASES[:4]:
        engine = compiled(*case)
        axes = {name: AXES[name] for name in order}
        grid = engine.grid(axes, NAMES)
        assert grid is not None
        seen = 0
        for block in grid.blocks():
            seen += np.prod(block.shape, dtype=int)
            for offset in np.ndindex(block.shape):
                at = [axes[k][s + o] for k, s, o in zip(order, block.start, offset, strict=True)]
                here = dict(zip(order, at, strict=True))
                expected = engine.point(here["batch"], here["prompt"], here["output"], NAMES)
                for name, values in block.values.items():
                    got = np.broadcast_to(values, block.shape)[offset]
                    assert got == pytest.approx(expected[name], rel=1e-12), (case, name, here)
        assert seen == grid.size


def test_small_blocks_of_a_grid_cover_it_once() -> None:
    from mansard.backends.engine.arrays import Grid

    engine = compiled(*CASES[1])
    axes = {"batch": range(1, 12), "prompt": range(4000, 4200, 9), "output": range(2, 9)}
    ranges = {k: (float(min(v)), float(max(v))) for k, v in axes.items()}
    line = engine.line(ranges, tuple(axes))
    assert line is not None
    for size in (1, 6, 50, 10_000):
        found = np.full((11, 23, 7), np.nan)
        grid = Grid(line, ("tpot",), axes, block=size)
        for block in grid.blocks():
            part = tuple(slice(s, s + n) for s, n in zip(block.start, block.shape, strict=True))
            assert np.isnan(found[part]).all()
            found[part] = block.values["tpot"]
        b, p, n = (a.ravel() for a in np.meshgrid(*axes.values(), indexing="ij"))
        whole = engine.figures(b, p, n, ["tpot"])["tpot"]
        np.testing.assert_allclose(found.ravel(), whole, rtol=1e-12)


def test_the_loops_numba_compiles_equal_the_points() -> None:
    engine = compiled(*CASES[1])
    line = engine.line({k: (min(v), max(v)) for k, v in AXES.items()}, tuple(AXES))
    assert line is not None
    axes = [np.array(v) for v in AXES.values()]
    found = [np.empty((3, 4, 2)) for _ in NAMES]
    defined(nest(line, NAMES), "at")(*axes, *found)
    for offset in np.ndindex(3, 4, 2):
        b, p, n = (float(a[k]) for a, k in zip(axes, offset, strict=True))
        expected = engine.point(b, p, n, NAMES)
        for name, values in zip(NAMES, found, strict=True):
            assert values[offset] == pytest.approx(expected[name], rel=1e-12), (name, b, p, n)


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[5]])
def test_numba_gives_the_same_grid(case: tuple[str, tuple[str, ...], int]) -> None:
    pytest.importorskip("numba", reason="the extra `fast` is not installed: `make extras`")
    engine = compiled(*case)
    slow, fast = engine.grid(AXES, NAMES), engine.grid(AXES, NAMES, fast=True)
    assert slow is not None
    assert fast is not None
    for a, b in zip(slow.blocks(), fast.blocks(), strict=True):
        for name in NAMES:
            expected = np.broadcast_to(a.values[name], a.shape)
            np.testing.assert_allclose(b.values[name], expected, rtol=1e-12)


def test_the_first_block_of_several_does_not_wait_for_numba(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mansard.backends.engine import fast

    engine = compiled(*CASES[0])
    line = engine.line({k: (min(v), max(v)) for k, v in AXES.items()}, tuple(AXES))
    assert line is not None
    plain = defined(nest(line, NAMES), "at")
    calls: list[int] = []

    def loops(*arrays: Any) -> None:
        calls.append(arrays[-1].size)
        plain(*arrays)

    monkeypatch.setattr(fast, "compiled", lambda *_: loops)
    grid = fast.FastGrid(line, NAMES, AXES, block=8)
    found = np.full(grid.shape, np.nan)
    for k, block in enumerate(grid.blocks()):
        assert k or not calls
        part = tuple(slice(s, s + n) for s, n in zip(block.start, block.shape, strict=True))
        assert np.isnan(found[part]).all()
        found[part] = block.values["ttft"]
    assert calls == [8, 8]
    whole = engine.grid(AXES, NAMES)
    assert whole is not None
    (one,) = whole.blocks()
    expected = np.broadcast_to(one.values["ttft"], one.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@settings(max_examples=40)
@given(
    batch=st.integers(1, 700),
    prompt=st.one_of(st.integers(1, 9000), st.integers(4080, 4100)),
    output=st.one_of(st.integers(2, 40), st.integers(2, 9000)),
    case=st.sampled_from([CASES[1], CASES[2], CASES[4]]),
)
def test_any_point_equals_the_step_by_step_backend(
    batch: int, prompt: int, output: int, case: tuple[str, tuple[str, ...], int]
) -> None:
    engine = compiled(*case)
    slow = Stepwise(*made(*case)).point(batch, prompt, output, NAMES)
    near = {
        "batch": (batch, batch + 5.0),
        "prompt": (prompt, prompt + 9.0),
        "output": (output, output + 3.0),
    }
    line = engine.line(near)
    assert line is not None
    here = {"batch": float(batch), "prompt": float(prompt), "output": float(output)}
    for found in (engine.point(batch, prompt, output, NAMES), line.run(here, SCALAR, NAMES)):
        for name, value in slow.items():
            assert found[name] == pytest.approx(value, rel=1e-11), name


def test_ranges_leave_out_what_never_wins() -> None:
    engine = compiled(*CASES[0])
    wide = engine.line(WIDEST)
    narrow = engine.line({"batch": (1, 8), "prompt": (4096, 8192), "output": (2, 64)})
    assert wide is not None
    assert narrow is not None
    assert len(narrow.needed(NAMES)) < 0.7 * len(wide.needed(NAMES))


@pytest.mark.parametrize("base", [0.75, 248 / 256, 1.0, 1.5, 0.0, np.array([0.25, 0.5, 0.75])])
def test_a_power_of_one_number_is_that_of_each(base: Any) -> None:
    from mansard.backends.engine.arrays import UFUNCS

    exponents = np.array([0.0, 3.0, 700.0])
    into = np.empty(3)
    UFUNCS["power"](base, exponents, out=into)
    np.testing.assert_allclose(into, np.power(base, exponents), rtol=1e-12)
    np.testing.assert_allclose(UFUNCS["power"](base, exponents), into, rtol=0)

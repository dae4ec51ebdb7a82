"""Curves of one unknown equal the compiled figures, and certificates are never wrong."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from mansard.backends.chips import load as chip
from mansard.backends.cluster import Cluster
from mansard.backends.engine.compiled import Compiled, compile_program
from mansard.backends.engine.stepwise import Stepwise
from mansard.backends.inverse.curves import Curves
from mansard.backends.inverse.direction import DOWN, UP
from mansard.backends.inverse.forms import NotAffineError
from mansard.backends.inverse.sections import Priced
from mansard.backends.inverse.ways import Ways
from mansard.core.symbols import SCENARIO
from mansard.frontends.hf.load import load
from mansard.query.techniques import apply_techniques

CASES = [
    ("llama-3.1-8b", ()),
    ("llama-3.1-8b", ("parallel{tp=8}",)),
    ("llama-3.1-8b", ("parallel{tp=2 dp=4}",)),
    ("llama-3.1-8b", ("page-kv",)),
    ("llama-3.1-8b", ("speculative-decode{draft=eagle gamma=3}",)),
    ("gemma-2-2b", ()),
    ("mixtral-8x7b-v0.1", ()),
    ("mamba2-2.7b", ()),
]
BASE = {"batch": 7, "prompt": 3000, "output": 200}
NAMES = ("ttft", "tpot", "latency", "memory", "weights", "kv_cache", "activations")


@cache
def made(name: str, specs: tuple[str, ...]) -> tuple[Priced, Compiled | Stepwise]:
    program = apply_techniques(load(name), specs, "O1")[0]
    cluster = Cluster(
        chip("h100-sxm"), per_node=math.prod(program.mesh.values()), mesh=program.mesh
    )
    return Priced(program, cluster), compile_program(program, cluster)


def figure(engine: Compiled | Stepwise, name: str, at: dict[str, int]) -> float:
    return float(engine.figures(at["batch"], at["prompt"], at["output"], [name])[name][0])


@pytest.mark.parametrize(("name", "specs"), CASES)
def test_a_curve_over_batch_equals_the_roofline(name: str, specs: tuple[str, ...]) -> None:
    priced, engine = made(name, specs)
    curves = Curves(priced, BASE, "batch", 1, 10**6)
    found = 0
    for metric in NAMES:
        try:
            curve = curves.figure(metric)
        except NotAffineError:
            continue
        assert curve is not None
        for batch in (1, 60, 311, 500, 10_000):
            expected = figure(engine, metric, {**BASE, "batch": batch})
            assert float(curve.at(batch)) == pytest.approx(expected, rel=1e-12), (metric, batch)
            found += 1
    dealt = any("dp" in spec for spec in specs)  # whole sequences a rank: a staircase
    assert found >= (5 if dealt else 15)


@pytest.mark.parametrize("field", ["memory.bandwidth", "peak.matrix.bf16"])
@pytest.mark.parametrize("name", ["llama-3.1-8b", "gemma-2-2b", "mixtral-8x7b-v0.1"])
def test_a_curve_over_a_rate_has_the_value_of_the_changed_chip(name: str, field: str) -> None:
    priced, engine = made(name, ())
    curves = Curves(priced, BASE, field, 1, 8)
    original = chip("h100-sxm")
    slower = {
        "memory.bandwidth": f"{original.bandwidth_bytes_per_s / 4} B/s",
        "peak.matrix.bf16": f"{original.peaks['matrix', 'bf16', 'dense'] / 4} FLOP/s",
    }[field]
    changed = engine.on(original.override(field, slower))
    for metric in ("ttft", "tpot", "latency"):
        curve = curves.figure(metric)
        assert curve is not None
        assert float(curve.at(4)) == pytest.approx(figure(changed, metric, BASE), rel=1e-12)


@pytest.mark.parametrize(("name", "specs"), CASES)
@pytest.mark.parametrize("unknown", ["batch", "prompt", "output"])
def test_a_figure_goes_the_way_it_is_certified_to_go(
    name: str, specs: tuple[str, ...], unknown: str
) -> None:
    priced, engine = made(name, specs)
    ways = Ways(priced, SCENARIO[unknown])
    few = isinstance(engine, Stepwise)
    xs = np.array([2, 3, 17, 100, 301] if few else [*range(2, 40), 100, 301, 4095, 4097, 9000])
    columns = {name: np.full(len(xs), float(v)) for name, v in BASE.items()}
    columns[unknown] = xs.astype(float)
    names = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user", "memory")
    found = engine.figures(columns["batch"], columns["prompt"], columns["output"], names)
    for metric in names:
        steps = np.diff(found[metric])
        slack = 1e-12 * np.abs(found[metric][1:])
        match ways.figure(metric):
            case int(way) if way == UP:
                assert np.all(steps >= -slack), metric
            case int(way) if way == DOWN:
                assert np.all(steps <= slack), metric
            case 0:
                assert np.all(np.abs(steps) <= slack), metric


def test_a_dense_model_is_certified_in_every_size() -> None:
    priced, _ = made("llama-3.1-8b", ())
    for unknown in ("batch", "prompt", "output"):
        ways = Ways(priced, SCENARIO[unknown])
        assert all(ways.figure(m) is not None for m in ("ttft", "tpot", "latency", "memory"))


def test_throughput_over_the_output_has_no_certificate() -> None:
    priced, _ = made("llama-3.1-8b", ())
    assert Ways(priced, SCENARIO["output"]).figure("throughput") is None


def test_experts_are_no_curve_over_batch() -> None:
    priced, _ = made("mixtral-8x7b-v0.1", ())
    with pytest.raises(NotAffineError, match="power"):
        Curves(priced, BASE, "batch", 1, 10**6).figure("tpot")

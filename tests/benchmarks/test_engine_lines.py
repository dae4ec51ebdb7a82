"""The steps that benchmarks/engine.py times are made, and agree; how long they take is no test."""

from __future__ import annotations

import numpy as np
import pytest
from tests.benchmarks.conftest import Bench

from mansard.backends.engine.compiled import Compiled


@pytest.fixture(scope="module")
def engine() -> Compiled:
    from mansard.query.study import study

    ready = study("qwen2.5-0.5b", on="h100-sxm").prepared
    return Compiled(ready.program, ready.cluster)


def test_a_grid_over_rates_of_the_chip_is_made(bench: Bench, engine: Compiled) -> None:
    grid = bench("engine").over_rates(engine, 0.01)
    assert grid.size == 20 * 20 * 1024
    block = next(iter(grid.blocks()))
    assert np.isfinite(block.values["tpot"]).all()


def test_executors_are_as_far_from_fractions_as_floats_are(
    bench: Bench, engine: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = bench("engine")
    assert script.apart(engine) <= 1e-12
    exact = script.in_fractions
    monkeypatch.setattr(script, "in_fractions", lambda *at: [v * (1 + 1e-9) for v in exact(*at)])
    assert script.apart(engine) == pytest.approx(1e-9, rel=1e-3)


def test_layers_that_are_unlike_are_not_made_one(bench: Bench) -> None:
    script = bench("engine")
    program = script.passed(script.UNLIKE, ())
    (graph,) = program.graphs.values()
    assert len(graph.ops) > 80

"""The calibrated estimate at arrays is that of a point, whatever the model, chip or technique."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import mansard as ms
from mansard.backends.calibrated.bands import BANDS
from mansard.backends.calibrated.columns import COLUMNS, distinct
from mansard.backends.calibrated.compiled import CalibratedCompiled, CalibratedStepwise
from mansard.backends.calibrated.estimate import estimate
from mansard.backends.calibrated.form import PLAIN, smooth_max, smooth_min
from mansard.backends.calibrated.knots import knots
from mansard.backends.engine.figures import FIGURES, IDEAL
from mansard.backends.engine.stepwise import Stepwise

NAMES = (*FIGURES, *BANDS)
POINTS = ((1, 128, 1), (1, 1, 2), (4, 2048, 128), (64, 1000, 2000), (3, 5, 7), (200, 4000, 3))

CASES = {
    "dense": ("llama-3.1-8b", "h100-sxm", (), {}),
    "one engine": ("llama-2-7b", "a100-sxm-80gb", (), {"framework": "vllm"}),
    "ranks": ("llama-3.1-70b", "h100-sxm:8", ("parallel{tp=8}",), {}),
    "stages": ("llama-3.1-8b", "h100-sxm:4", ("parallel{tp=2 pp=2}",), {}),
    "experts": ("mixtral-8x7b", "a100-sxm-80gb:2", ("parallel{tp=2}",), {}),
    "a latent": ("deepseek-v3", "h200-sxm:8", ("parallel{tp=8 ep=8}",), {}),
    "rows sent": ("deepseek-v3", "h200-sxm:8", ("parallel{dp=8 ep=8}",), {}),
    "absorbed": ("deepseek-v2-lite", "b200-sxm", ("absorb-mla",), {}),
    "absorbed ranks": ("deepseek-v3.2", "h100-sxm:8", ("absorb-mla", "parallel{tp=8}"), {}),
    "split keys": ("llama-3.2-1b", "h100-sxm", ("split-decode-attention",), {}),
    "windows": ("gemma-2-2b", "l40s", (), {}),
    "narrow weights": ("llama-3.1-8b", "b200-sxm", ("quantize{weights=int4 group=128}",), {}),
    "narrow all": ("qwen2.5-0.5b", "mi300x", ("quantize{weights=fp8 activations=fp8 kv=fp8}",), {}),
    "no fp8": ("qwen2.5-0.5b", "a100-sxm-80gb", ("quantize{kv=fp8}",), {}),
    "blocks": ("deepseek-v3", "h200-sxm:8", ("parallel{tp=8}",), {}),
    "states": ("mamba-2.8b", "h100-sxm", (), {}),
    "a shared prefix": ("llama-3.1-8b", "h100-sxm", ("reuse-prefix",), {}),
    "prompts admitted": ("llama-3.1-8b", "h100-sxm", ("batch-continuously{admitted=1}",), {}),
    "an encoder": ("bart-large-cnn", "h100-sxm", (), {}),
}  # fmt: skip


def compiled(model: str, on: str, techniques: tuple[str, ...], given: dict[str, str]) -> Any:
    return ms.study(model, on=on, techniques=techniques, estimate="calibrated", set=given).compiled


def apart(a: Any, b: Any) -> float:
    """Return by how much two lists differ, where both are known."""
    a, b = np.asarray(a), np.asarray(b)
    assert (np.isnan(a) == np.isnan(b)).all()
    known = ~np.isnan(a) & (b != 0)
    assert (a[~np.isnan(a) & (b == 0)] == 0).all()
    return float(np.max(np.abs(a[known] / b[known] - 1), initial=0.0))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_list_is_its_points_one_by_one(case: Any) -> None:
    engine = compiled(*case)
    assert isinstance(engine, CalibratedCompiled)
    # a prompt is admitted when a sequence ends, which one of a single token never does
    points = [p for p in POINTS if p[2] > 1 or "admitted" not in str(case)]
    batch, prompt, output = (np.array(column) for column in zip(*points, strict=True))
    found = engine.figures(batch, prompt, output, NAMES)
    price = partial(estimate, **case[3])
    one_by_one = Stepwise(engine.lowered.program, engine.cluster, engine.phases, price)
    expected = one_by_one.figures(batch, prompt, output, NAMES)
    assert {name for name in NAMES if apart(found[name], expected[name]) > 1e-12} == set()


@pytest.mark.parametrize("order", [("batch", "prompt", "output"), ("output", "batch", "prompt"),
                                   ("prompt", "output", "batch")])  # fmt: skip
def test_a_grid_is_a_list_of_its_points(order: tuple[str, ...]) -> None:
    engine = compiled(*CASES["windows"])
    values = {"batch": range(1, 30), "prompt": range(4, 9000, 611), "output": range(1, 900, 120)}
    names = ("ttft", "tpot", "latency", "memory", "tpot_low", "tpot_high", "tpot_ideal")
    grid = engine.grid({name: values[name] for name in order}, names)
    seen = 0
    for block in grid.blocks():
        indices = np.indices(block.shape)
        columns = {
            name: np.asarray(values[name], dtype=float)[start + index].ravel()
            for name, start, index in zip(order, block.start, indices, strict=True)
        }
        expected = engine.figures(columns["batch"], columns["prompt"], columns["output"], names)
        for name in names:
            here = np.broadcast_to(block.values[name], block.shape).ravel()
            assert apart(here, expected[name]) < 1e-12, name
        seen += columns["batch"].size
    assert seen == 29 * 15 * 8


def test_a_sum_between_knots_is_that_of_every_step() -> None:
    engine = compiled(*CASES["dense"])
    each = ms.study("llama-3.1-8b", on="h100-sxm", context=300, batch=8, estimate="calibrated")
    steps = each.compiled.figures(8, np.arange(300, 900), 2, ("tpot",))["tpot"]
    whole = engine.point(8, 300, 601, ("decode",))["decode"] * 600
    assert whole == pytest.approx(float(steps.sum()), rel=5e-4)


def test_the_bound_stands_beside_and_is_never_above() -> None:
    engine = compiled(*CASES["ranks"])
    names = (*IDEAL, *IDEAL.values(), "ttft_low", "tpot_low")
    found = engine.figures(np.arange(1, 40), 1024, 64, names)
    bound = ms.study("llama-3.1-70b", on="h100-sxm:8", techniques=("parallel{tp=8}",)).compiled
    expected = bound.figures(np.arange(1, 40), 1024, 64, ("tpot",))["tpot"]
    assert apart(found["tpot_ideal"], expected) == 0
    for name in ("ttft", "tpot"):
        assert (found[f"{name}_ideal"] <= found[f"{name}_low"] * (1 + 1e-12)).all()
        assert (found[f"{name}_low"] <= found[name]).all()


def test_what_moves_otherwise_is_stepped_and_says_the_same_names() -> None:
    engine = compiled("llama-3.1-8b", "h100-sxm", ("speculative-decode{gamma=4}",), {})
    assert isinstance(engine, CalibratedStepwise)
    found = engine.figures(np.array([1, 8]), 512, 64, ("tpot", "tpot_low", "tpot_ideal"))
    assert (found["tpot_ideal"] < found["tpot_low"]).all()
    assert (found["tpot_low"] < found["tpot"]).all()


def test_knots_are_every_small_context_and_eight_an_octave_later() -> None:
    assert knots()[:13] == tuple(range(13))
    assert sum(1 for k in knots() if 4096 <= k < 8192) == 8


@pytest.mark.parametrize("power", [1.0, 2.5, 10.0])
def test_the_functions_of_forms_agree_on_floats_and_arrays(power: float) -> None:
    a, b = np.geomspace(1e-9, 1e-3, 200), np.geomspace(1e-4, 1e-8, 200)
    for smooth in (smooth_max, smooth_min):
        one_by_one = [
            smooth(x, y, power, PLAIN) for x, y in zip(a.tolist(), b.tolist(), strict=True)
        ]
        assert apart(smooth(a, b, power, COLUMNS), one_by_one) < 1e-13


@pytest.mark.parametrize("values", [[3.0, 1.0, 3.0, 2.0], [0.5, 7e9, 0.5]])
def test_distinct_numbers_rebuild_the_list(values: list[float]) -> None:
    found, which = distinct(np.array(values))
    assert found.tolist() == sorted(set(values))
    assert found[which].tolist() == values


@pytest.mark.parametrize("framework", ["", "vllm", "trtllm"])
def test_int4_weights_gain_less_the_larger_the_batch_and_nothing_in_prefill(framework: str) -> None:
    """As published on A100: speed-ups that fall with the batch in decode, ≤ 1.06 in prefill."""
    given = {"framework": framework} if framework else {}
    plain, narrow = (
        ms.study("llama-2-7b", on="a100-sxm-80gb", techniques=more, estimate="calibrated",
                 set=given).compiled
        for more in ((), ("quantize{weights=int4 group=128}",))
    )  # fmt: skip
    batches = 2.0 ** np.arange(9)
    before, after = (
        engine.figures(batches, 1024, 128, ("ttft", "tpot", "tpot_ideal"))
        for engine in (plain, narrow)
    )
    decode, prefill = before["tpot"] / after["tpot"], before["ttft"] / after["ttft"]
    assert (np.diff(decode) < 0).all()
    assert decode[0] > 1.2
    assert (prefill <= 1.06).all()
    bound = before["tpot_ideal"] / after["tpot_ideal"]
    assert (decode[:6] < bound[:6]).all()  # a fixed overhead a step, in both

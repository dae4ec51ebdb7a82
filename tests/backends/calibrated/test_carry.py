"""Parameters carried to other chips; plots; stacks that lean to each other."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from mansard.backends.calibrated import fitting, stacks
from mansard.backends.calibrated.carry import carried
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.plot import scatter
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.chips import load

H100, RTX = facts(load("h100-sxm")), facts(load("rtx-pro-6000-server"))
GEMM = FORMS["gemm"]


def test_the_last_level_grows_with_the_chips_units_not_with_its_memory() -> None:
    names = [p.name for p in GEMM.parameters]
    values = tuple(p.start for p in GEMM.parameters)
    moved = dict(zip(names, carried(GEMM, values, [H100], RTX), strict=True))
    before = dict(zip(names, values, strict=True))
    expected = before["resident"] * (188 / 1.792) / (132 / 3.35)
    assert moved.pop("resident") == pytest.approx(expected)
    assert moved == {n: v for n, v in before.items() if n != "resident"}


def test_nothing_changes_on_the_chip_itself_or_without_a_source() -> None:
    values = tuple(p.start for p in GEMM.parameters)
    assert carried(GEMM, values, [H100], H100) == pytest.approx(values)
    assert carried(GEMM, values, [], RTX) == values


def test_a_plot_is_xml_with_a_point_a_pair_and_escapes_names() -> None:
    text = scatter({"a<b": [(1e-5, 1.2e-5), (1e-4, 0.9e-4)]}, "gemm & more")
    root = ET.fromstring(text)
    assert "gemm & more" in "".join(root.itertext())
    assert text.count("h0") == 2


def test_many_points_are_thinned() -> None:
    points = [(1e-6 * (1 + k), 1e-6 * (1 + k)) for k in range(10_000)]
    assert len(scatter({"a": points}, "x")) < 20_000


def served(step_s: float, chip: str, models: tuple[float, ...], engine: str) -> stacks.Stack:
    """Make a stack whose engine takes ``step_s`` a step."""
    law = FORMS["network"]
    found = facts(load(chip))
    values = [step_s if p.name == "step_s" else p.start for p in law.parameters]
    rows = []
    for size in models:
        for batch in (1, 2, 4, 8, 16, 32, 64):
            for tp in (1.0, 2.0):
                z = {"layers": 32.0, "hidden": 4096.0, "parameters": size, "experts": 0.0}
                z |= {"expert_parameters": 0.0, "top_k": 0.0, "cache": 2048.0, "wide": 4096.0}
                z |= {"kv_heads": 8.0, "w_bytes": 2.0, "kv_bytes": 2.0, "tp": tp, "dp": 1.0}
                z |= {"batch": float(batch), "isl": 1024.0, "osl": 1024.0, "served": 1.0}
                z["peak"] = 9.9e14
                shape = tuple(z[n] for n in law.shape)
                seconds = law.seconds(values, z, found, PLAIN)
                key = Key("network", engine, "fp8", "served")
                rows.append(Measurement(key, chip, z, shape, seconds, f"{z}", "made.csv"))
    return stacks.Stack(chip, fitting.columns(rows, found)[0])


def test_a_model_no_stack_saw_is_predicted_by_what_stacks_share() -> None:
    mine = served(8e-3, "h100-sxm", (7e9, 13e9), "a")
    others = [served(8e-3, "h200-sxm", (7e9, 13e9, 30e9), name) for name in "bc"]
    ratio = stacks.held_back(mine, others)
    assert np.isfinite(ratio).all()
    assert np.abs(1 / ratio - 1).max() < 0.15


def test_a_judged_model_is_left_out_of_the_other_stacks_too() -> None:
    model = (32.0, 4096.0, 7e9)
    others = [served(8e-3, "h200-sxm", (7e9, 13e9), "b")]
    changed = others[0].rows.seconds * np.where(others[0].rows.sizes["parameters"] == 7e9, 9, 1)
    lying = [replace(others[0], rows=replace(others[0].rows, seconds=changed))]
    found, same = stacks.prior(others, model), stacks.prior(lying, model)
    assert found is not None
    assert same is not None
    assert found == pytest.approx(same)


def test_the_band_of_a_stack_is_that_of_all_stacks_and_of_the_others_when_judged() -> None:
    fits = stacks.fit_all(
        [served(s, "h100-sxm", (7e9, 13e9), n) for s, n in ((4e-3, "a"), (9e-3, "b"))]
    )
    bands = {(one.low, one.high) for one, _, _ in fits["h100-sxm"].values()}
    assert len(bands) == 1
    (first, _) = fits["h100-sxm"]
    everything = stacks.pooled(fits, first)
    but_one = stacks.pooled(fits, first, but=("h100-sxm", first))
    assert 0 < len(but_one) < len(everything)

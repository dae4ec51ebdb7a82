"""Forms: parameters that made synthetic rows are recovered, bounds hold, floats equal arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mansard.backends.calibrated import fitting
from mansard.backends.calibrated.columns import COLUMNS
from mansard.backends.calibrated.facts import facts, peak
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.form import PLAIN, Form
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.chips import load

CHIP = load("h100-sxm")
FACTS = facts(CHIP)
BF16 = peak(CHIP, "bf16")


def gemm_rows(values: tuple[float, ...], noise: float = 0.0) -> Columns:
    law = FORMS["gemm"]
    drawn = np.random.default_rng(1)
    rows = []
    for n in (512, 1024, 2048, 4096, 8192, 16384):
        for k in (256, 1024, 4096, 12288):
            for m in (1, 16, 64, 128, 512, 1024, 4096, 8192):
                sizes = {"m": float(m), "n": float(n), "k": float(k), "x_bytes": 2.0}
                sizes |= {"w_bytes": 2.0, "quantised": 0.0, "peak": BF16}
                seconds = law.seconds(values, sizes, FACTS, PLAIN)
                seconds *= float(np.exp(noise * drawn.standard_normal()))
                text = f"{m},{n},{k}"
                shape = (float(n), float(k))
                key = Key("gemm", "made", "bfloat16")
                rows.append(Measurement(key, CHIP.id, sizes, shape, seconds, text, "made.csv"))
    return fitting.columns(rows, FACTS)[0]


MADE = (3e-6, 3e-10, 3000.0, 0.72, 0.88, 0.75, 0.4, 3.0, 1.5, 2e-6, 1e-10)


def test_parameters_that_made_the_rows_are_recovered() -> None:
    found = fitting.fit(gemm_rows(MADE))
    names = [p.name for p in FORMS["gemm"].parameters]
    for name in ("t0", "e_compute", "e_read", "e_write", "wave"):
        at = names.index(name)
        assert found[at] == pytest.approx(MADE[at], rel=0.1), name


def test_held_back_error_is_the_noise_and_the_band_holds_four_fifths() -> None:
    rows = gemm_rows(MADE, noise=0.1)
    ratio = fitting.held_back(rows)
    one = fitting.summarise(rows, fitting.fit(rows), ratio)
    # the mean of |N(0, 0.1)| is 0.08, its 10th and 90th percentile are exp(∓0.128)
    assert one.error is not None
    assert 0.06 < one.error < 0.11
    assert one.low == pytest.approx(np.exp(-0.128), abs=0.04)
    assert one.high == pytest.approx(np.exp(0.128), abs=0.04)
    assert 0.75 <= np.mean((ratio > one.low) & (ratio < one.high)) <= 0.9


def test_all_rows_of_a_shape_share_a_fold() -> None:
    rows = gemm_rows(MADE)
    folds: dict[tuple[float, float], set[int]] = {}
    for n, k, fold in zip(rows.sizes["n"], rows.sizes["k"], rows.fold, strict=True):
        folds.setdefault((n, k), set()).add(int(fold))
    assert all(len(one) == 1 for one in folds.values())
    assert len(set().union(*folds.values())) == fitting.FOLDS


def example(law: Form) -> dict[str, float]:
    usual = {"peak": BF16, "w_peak": BF16, "batch": 8.0, "heads": 32.0, "kv_heads": 8.0}
    usual |= {"q_len": 1.0, "kv_len": 2048.0, "qk": 128.0, "v": 128.0, "kept": 256.0}
    usual |= {"kv_bytes": 2.0, "x_bytes": 2.0, "w_bytes": 2.0, "quantised": 0.0, "share": 1.75}
    usual |= {"tokens": 64.0, "top_k": 8.0, "experts": 64.0, "rows": 512.0, "active": 64.0}
    usual |= {"tiles": 64.0, "tile": 16.0, "hidden": 2048.0, "inter": 1024.0, "matrices": 3.0}
    usual |= {"nodes": 1.0, "units": 24.0, "ranks": 8.0, "absorbed": 1.0, "flops": 1e9}
    usual |= {
        "bytes": 1e8,
        "cols": 4096.0,
        "steps": 4.0,
        "blocks": 256.0,
        "groups": 32.0,
        "held": 1e8,
    }
    usual |= {"layers": 32.0, "parameters": 7e9, "expert_parameters": 0.0, "cache": 2048.0}
    usual |= {"wide": 4096.0, "tp": 1.0, "isl": 128.0, "osl": 128.0, "served": 0.0}
    usual |= {"dp": 1.0, "prefill_s": 1.0, "decode_s": 2.0, "attention_s": 1.0}
    usual |= {"grouped_s": 1.0, "widen_s": 0.0, "bound_s": 4.0}
    usual |= {"m": 64.0, "n": 4096.0, "k": 4096.0}
    return {name: usual[name] for name in law.sizes}


@pytest.mark.parametrize("law", FORMS.values(), ids=list(FORMS))
def test_floats_and_arrays_give_the_same_seconds(law: Form) -> None:
    sizes = example(law)
    values = tuple(p.start for p in law.parameters)
    plain = law.seconds(values, sizes, FACTS, PLAIN)
    columns = {name: np.array([value, value]) for name, value in sizes.items()}
    assert law.seconds(values, columns, FACTS, COLUMNS) == pytest.approx([plain, plain], rel=1e-12)


ONE_WAY = [law for law in FORMS.values() if law.name != "collective"]  # it has no single share


@pytest.mark.parametrize("law", ONE_WAY, ids=[law.name for law in ONE_WAY])
def test_perfect_efficiencies_do_not_beat_the_bound(law: Form) -> None:
    """With every share of a peak at one and nothing on chip, no form is faster than its bound."""
    perfect = {p.name: min(p.start, 1.0) for p in law.parameters}
    perfect |= {n: 1.0 for n in perfect if n.startswith("e_") or n.endswith("_e")}
    perfect |= {"resident": 1.0} if "resident" in perfect else {}
    values = tuple(perfect[p.name] for p in law.parameters)
    sizes = example(law)
    assert law.seconds(values, sizes, FACTS, PLAIN) >= 0.99 * law.bound_s(sizes, FACTS)


def test_the_gates_hold_where_the_data_are() -> None:
    folder = Path(__file__).parents[4] / "shared" / "data" / "measured" / "ops"
    table = folder / "gemm__h100_sxm.csv"
    if not table.is_file():
        pytest.skip("the published measurements are not beside this checkout")
    from mansard.backends.calibrated.measured import read

    errors = []
    for rows in fitting.columns(read(table), FACTS):
        ratio = fitting.held_back(rows)
        errors.append(float(np.mean(np.abs(1 / ratio - 1))))
    assert np.mean(errors) <= 0.13

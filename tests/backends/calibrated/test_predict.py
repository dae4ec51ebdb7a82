"""Predictions: what they fall back to, and how their bands add."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mansard.backends.calibrated import fitting, refit
from mansard.backends.calibrated.columns import COLUMNS
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.lookup import FOREIGN, find
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Calibration, Key, ParameterSet, bundled
from mansard.backends.calibrated.predict import Figures, Prediction, Predictor, combine
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.row_figures import RowFigures
from mansard.backends.calibrated.rows import figures
from mansard.backends.chips import load
from mansard.core.errors import MansardError

LINEAR = RowFigures(
    "linear", {"m": 16.0, "n": 4096.0, "k": 4096.0, "x_dtype": "bf16", "w_dtype": "bf16"}
)

STARTS = ", ".join(f"{p.name} = {p.start}" for p in FORMS["engine"].parameters)
ENGINE_SET = f'[[set]]\nform = "engine"\nparameters = {{ {STARTS} }}\n'


def predict(chip: str, row: RowFigures, framework: str = "") -> Prediction:
    found = load(chip)
    return Predictor(found).predict(figures(row, found, framework))


def test_a_measured_chip_answers_with_its_own_set() -> None:
    basis = predict("h100-sxm", LINEAR, "vllm").basis
    assert basis.startswith("h100-sxm, vllm, bfloat16")


def test_a_sibling_answers_with_its_familys_median() -> None:
    assert predict("h800-sxm", LINEAR, "vllm").basis.startswith("median of the hopper family")


def test_a_foreign_chip_answers_with_a_wide_band_and_says_so() -> None:
    known, foreign = predict("h100-sxm", LINEAR, "vllm"), predict("mi300x", LINEAR, "vllm")
    assert foreign.basis.startswith("median of all measured chips")
    assert foreign.high_s / foreign.low_s > FOREIGN * known.high_s / known.low_s


def test_an_unknown_framework_gets_the_median_of_all() -> None:
    assert "all frameworks" in predict("h100-sxm", LINEAR, "nobody").basis


def test_a_dtype_nobody_measured_widens_the_band_and_is_named() -> None:
    own = load("h100-sxm")
    other = find(Key("gemm", "vllm", "int4_wo"), own.id, "hopper")
    assert other.wider > 1
    assert "int4_wo itself was not measured" in other.basis


def test_a_prediction_is_never_below_the_bound() -> None:
    slow = RowFigures("linear", LINEAR.dims, bound_s=1.0)
    found = predict("h100-sxm", slow)
    assert found.median_s == found.low_s == 1.0


def test_the_band_surrounds_the_median() -> None:
    found = predict("h100-sxm", LINEAR, "vllm")
    assert 0 < found.low_s < found.median_s < found.high_s


def test_a_sweep_equals_its_points() -> None:
    chip = load("h100-sxm")
    predictor = Predictor(chip)
    one = figures(LINEAR, chip, "vllm")
    rows = np.array([1.0, 64.0, 4096.0])
    many = Figures(one.form, {**one.sizes, "m": rows}, one.dtype, "vllm")
    swept = predictor.predict(many, COLUMNS)
    points = [
        predictor.predict(Figures(one.form, {**one.sizes, "m": m}, one.dtype, "vllm")).median_s
        for m in rows
    ]
    assert list(swept.median_s) == pytest.approx(points, rel=1e-12)


def test_errors_add_within_a_kind_and_in_squares_across() -> None:
    gemm = Prediction(10.0, 7.0, 13.0, "gemm", "")
    other = Prediction(10.0, 6.0, 14.0, "attention_decode", "")
    assert combine([gemm, gemm]).high_s == 26.0
    assert combine([gemm, other]).high_s == 25.0  # 20 + sqrt(3² + 4²)
    assert combine([gemm, other]).low_s == 15.0


def test_grouped_queries_and_plain_heads_use_sets_of_their_own() -> None:
    dims = {"batch": 8.0, "q_len": 1.0, "kv_len": 4096.0, "heads": 32.0, "head_dim": 128.0}
    grouped = predict("h100-sxm", RowFigures("attention", {**dims, "kv_heads": 8.0}), "trtllm")
    plain = predict("h100-sxm", RowFigures("attention", {**dims, "kv_heads": 32.0}), "trtllm")
    assert grouped.kind == plain.kind == "attention_decode"
    assert grouped.basis != plain.basis
    assert plain.median_s > grouped.median_s


def test_an_ordinary_kernel_is_a_stream_of_its_bytes() -> None:
    found = predict("b200-sxm", RowFigures("rms_norm", {}, bytes=1e9))
    assert found.kind == "stream"
    assert found.median_s > 1e9 / 8e12


def test_a_collective_is_priced_by_its_message() -> None:
    small = RowFigures("collective", {}, payload={("all_reduce", 8.0): 1e4})
    large = RowFigures("collective", {}, payload={("all_reduce", 8.0): 1e9})
    assert predict("h100-sxm", large).median_s > 50 * predict("h100-sxm", small).median_s


def test_a_missing_size_is_named() -> None:
    with pytest.raises(MansardError, match="without n"):
        Predictor(load("h100-sxm")).predict(Figures("gemm", {"m": 1.0, "k": 1.0, "peak": 1.0}))


def test_a_file_of_sets_reads_back_as_written() -> None:
    law = FORMS["gemm"]
    values = tuple(float(f"{p.start:.4g}") for p in law.parameters)
    one = ParameterSet(Key("gemm", "vllm", "fp8"), values, 0.1, 0.9, 1.2, 30, 4, "a.csv", "ab")
    one = replace(one, first=(0.7, 1.4))
    made = Calibration("h100-sxm", (one,))
    assert Calibration.from_toml(made.to_toml(), where="here").sets == (one,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[set", "here"),
        ('[[set]]\nform = "nothing"', "nothing"),
        ('[[set]]\nform = "gemm"\nparameters = { t0 = 1.0 }', "parameters"),
        (ENGINE_SET + "band_first = [1.2, 0.9]", "band_first is .1.2, 0.9."),
        (ENGINE_SET + "band_first = 1.2", "band_first is 1.2"),
    ],
)
def test_a_broken_file_of_sets_is_refused(text: str, said: str) -> None:
    with pytest.raises(MansardError, match=said):
        Calibration.from_toml(text, where="here")


@pytest.mark.parametrize("name", ["h100-sxm", "family-hopper", "family-generic"])
def test_every_bundled_set_says_what_it_rests_on(name: str) -> None:
    found = bundled(name)
    assert found is not None
    assert all(s.rows > 0 and s.source and s.date and s.low < s.high for s in found.sets)


def test_a_norm_that_no_engine_was_measured_with_streams_as_the_other_one() -> None:
    sizes = {"width": 4096.0}
    rows = [RowFigures(kind, sizes, flops=1e6, bytes=5e5) for kind in ("layer_norm", "rms_norm")]
    layer, rms = (predict("h100-sxm", row) for row in rows)
    assert layer.median_s == rms.median_s < 1e-5
    assert "input_layernorm" in layer.basis


def test_a_norm_of_the_users_own_is_asked_before_the_one_that_streams_alike() -> None:
    law = FORMS["stream"]
    values = tuple(p.start for p in law.parameters)
    one = ParameterSet(Key("stream", "mine", "fp16", "", "layernorm"), values, 0.1, 0.9, 1.2, 30, 4)
    own = Calibration("h100-sxm", (one,))
    key = Key("stream", "", "fp16", "", "layernorm")
    assert find(key, "h100-sxm", "hopper", own).one == one
    assert find(key, "h100-sxm", "hopper").one.key.kernel == "input_layernorm"


def test_rows_that_time_the_host_are_fitted_by_no_set() -> None:
    def rows(launch_s: float) -> fitting.Columns:
        found = []
        for n in range(40):
            size = 1e4 * 1.3**n
            sizes = {
                "rows": size / 4096,
                "cols": 4096.0,
                "bytes": size,
                "flops": size,
                "peak": 1e30,
            }
            seconds = launch_s + size / 2e12
            shape = (size, 4096.0)
            key = Key("stream", "eager", "fp16", "", "layernorm")
            found.append(Measurement(key, "h100-sxm", sizes, shape, seconds, f"{n}", "made.csv"))
        return fitting.columns(found, facts(load("h100-sxm")))[0]

    of_host, of_kernel = rows(48e-6), rows(3e-6)
    assert fitting.is_of_host(of_host)
    assert not fitting.is_of_host(of_kernel)
    assert not refit.fit_all({"h100-sxm": [of_host]})["h100-sxm"]
    assert refit.fit_all({"h100-sxm": [of_kernel]})["h100-sxm"]

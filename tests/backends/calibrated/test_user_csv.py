"""A user's CSV: what is fitted, what is refused, what is kept out and said."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from mansard.backends.calibrated.facts import facts, peak
from mansard.backends.calibrated.fitting import band
from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.lookup import find
from mansard.backends.calibrated.parameters import Calibration, Key, bundled
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.said import unreliable
from mansard.backends.calibrated.user_csv import fit
from mansard.backends.chips import load
from mansard.core.errors import MansardError
from mansard.render.calibration import lines

CHIP = load("a100-sxm-80gb")
HEAD = "kind,dtype,framework,m,n,k,us\n"


def rows(
    shapes: tuple[tuple[int, int], ...],
    scale: float = 1.0,
    ms: tuple[int, ...] = (1, 8, 64, 512, 2048),
) -> str:
    law = FORMS["gemm"]
    values = tuple(p.start for p in law.parameters)
    lines = []
    for n, k in shapes:
        for m in ms:
            sizes = {"m": m, "n": n, "k": k, "x_bytes": 2.0, "w_bytes": 2.0, "quantised": 0.0}
            seconds = law.seconds(values, {**sizes, "peak": peak(CHIP, "bf16")}, facts(CHIP), PLAIN)
            lines.append(f"gemm,bf16,mine,{m},{n},{k},{seconds * 1e6 * scale:.6g}")
    return "\n".join(lines) + "\n"


MS = (1, 8, 64, 256, 512, 1024, 2048)
ONE = rows(((1024, 1024),), ms=(*range(1, 9), *range(16, 129, 16)))
SHAPES = tuple((n, k) for n in (1024, 4096, 8192) for k in (1024, 4096, 8192))


def impossible(us: float) -> str:
    """One row that is faster than the chip: its bound is 3524 us."""
    return f"gemm,bf16,mine,8192,8192,8192,{us}\n"


def test_a_chip_is_fitted_and_says_how_far_off_it_is() -> None:
    report = fit(HEAD + rows(SHAPES), CHIP)
    (one,) = report.calibration.sets
    assert one.key.framework == "mine"
    assert one.rows == 45
    assert one.error is not None
    assert one.error < 0.02
    assert not report.faster
    assert 'form = "gemm"' in report.calibration.to_toml()


def test_milliseconds_are_a_column_of_their_own() -> None:
    report = fit(HEAD.replace("us", "ms") + rows(SHAPES, scale=1e-3), CHIP)
    (one,) = report.calibration.sets
    assert one.error is not None
    assert one.error < 0.02


def test_rows_faster_than_the_bound_are_listed_and_kept_out() -> None:
    impossible = "gemm,bf16,mine,8192,8192,8192,1.0\n"
    report = fit(HEAD + rows(SHAPES) + impossible, CHIP)
    assert report.calibration.sets[0].rows == 45
    assert len(report.faster) == 1
    assert "the bound is" in report.faster[0]
    assert "line 47" in report.faster[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind,dtype,m,n,k,time\n", "time"),
        ("kind,dtype,m,n,k\n", "0 columns of time"),
        ("kind,dtype,m,n,k,us,ms\n", "2 columns of time"),
        ("dtype,m,n,k,us\n", "no column 'kind'"),
        (HEAD, "no rows"),
        (HEAD + "gemm,bf16,x,1,2,3,0\n", "us is '0'"),
        (HEAD + "gemm,bf16,x,1,2,3,-4\n", "us is '-4'"),
        (HEAD + "gemm,bf16,x,1,2,3,nan\n", "us is 'nan'"),
        (HEAD + "gemm,bf16,x,1,2,,5\n", "k is ''"),
        (HEAD + "gemm,bf16,x,1,2,3,9e9\n", "another unit|a kernel of"),
        (HEAD + "gemm,int7,x,1,2,3,5\n", "int7"),
        (HEAD + "conv,bf16,x,1,2,3,5\n", "conv"),
        (HEAD + "gemm,bf16,x,1,2,3,5\ngemm,bf16,x,1,2,4,5\n", "2 rows, 12 are needed"),
        (HEAD + ONE, "one shape only, 2 are needed"),
        (HEAD + "gemm,bf16,x,1,024,3,5,7\n", "line 2: 8 cells, the header has 7"),
        (HEAD.replace("us", "us,m"), "2 columns 'm'"),
        ("kind,dtype,m,k,us\ngemm,bf16,1,3,5\n", "no column 'n', which gemm needs"),
        ("kind,dtype,rows,cols,bytes,us\nstream,bf16,1,2,8,5\n", "no column 'kernel', which stre"),
        (HEAD.replace(",n,", ",nn,"), "'nn' is not a column mansard knows"),
        (HEAD + "x\n" * 50_000, "50001 lines, at most 50000 are read"),
        (HEAD + "gemm,bf16,x,1.5,2,3,5\n", "m is '1.5'"),
        (HEAD.replace("us", "ms") + rows(SHAPES), "45 of 45 rows are over 300 times slower"),
        (HEAD.replace(",", ";"), "one column"),
    ],
)
def test_bad_input_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(MansardError, match=said):
        fit(text, CHIP)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("kind,dtype,m,n,k,time_us\n", "the time is a column us, ms or s"),
        ("kind,dtype,m,n,k,latency\n", "the time is a column us, ms or s"),
        (HEAD.replace(",", ";"), "separate by commas"),
        (HEAD.replace(",", "\t"), "separate by commas"),
        (HEAD + "gemm,int7,x,1,2,3,5\n", "one of bfloat16, bf16, fp16"),
        (HEAD.replace("us", "ms") + rows(SHAPES), "is the column ms really in ms"),
        (HEAD + rows(SHAPES, scale=1e-6), "is the column us really in us"),
        (HEAD + "gemm,bf16,x,1.5,2,3,5\n", "sizes are whole numbers"),
        (HEAD + ONE, "12 rows of at least 2 shapes"),
        (HEAD.replace(",k,", ",kk,"), "did you mean 'k'"),
        ("kind,dtype,m,n,k,time\n", "known: batch, bytes, cols"),
        ("kind,dtype,m,k,us\ngemm,bf16,1,3,5\n", "gemm needs the columns m, n, k"),
    ],
)
def test_a_hint_says_what_to_do(text: str, hint: str) -> None:
    with pytest.raises(MansardError) as caught:
        fit(text, CHIP)
    assert hint in (caught.value.hint or "")


def test_weights_that_stayed_in_the_cache_are_no_measurement_of_a_layer() -> None:
    """2·2048² bytes are 8.4 MB, within 40 MB of L2; memory moves them in 4.1 us, not in 2."""
    report = fit(HEAD + rows(SHAPES) + "gemm,bf16,mine,1,2048,2048,2.0\n", CHIP)
    assert len(report.faster) == 1
    assert "line 47" in report.faster[0]


def test_what_was_thrown_out_is_said_where_too_few_rows_remain() -> None:
    good, fast = rows(SHAPES[:2]), "".join(impossible(us) for us in (1, 2, 3))
    with pytest.raises(MansardError, match=r"10 rows, 12 are needed \(3 of 13 rows are faster"):
        fit(HEAD + good + fast, CHIP)


def test_the_bound_of_all_rows_thrown_out_is_said() -> None:
    with pytest.raises(MansardError, match="13 of 13 rows are faster than the bound"):
        fit(HEAD + "".join(impossible(900 + n) for n in range(13)), CHIP)


def test_a_table_mostly_faster_than_the_bound_is_refused_and_unit_and_chip_are_suspected() -> None:
    fast = "".join(impossible(900 + n) for n in range(46))
    with pytest.raises(MansardError, match="46 of 91 rows are faster than the bound of a1") as got:
        fit(HEAD + rows(SHAPES) + fast, CHIP)
    assert "line 47: 900 us, the bound is 3524 us" in got.value.message
    assert "line 49" in got.value.message
    assert "line 50" not in got.value.message
    assert got.value.hint == (
        "is the column us really in us, and was it measured on a100-sxm-80gb?"
    )
    assert len(fit(HEAD + rows(SHAPES) + fast[: len(fast) // 2], CHIP).faster) == 23


def test_a_set_mostly_faster_than_the_bound_is_left_out_beside_a_good_one() -> None:
    other = (rows(SHAPES[:3]) + "".join(impossible(900 + n) for n in range(16))).replace(
        "mine", "b"
    )
    report = fit(HEAD + rows(SHAPES) + other, CHIP)
    assert [one.key.framework for one in report.calibration.sets] == ["mine"]
    (said,) = report.left
    assert "gemm b bfloat16: 16 of 31 rows are faster than the bound" in said


def test_rows_that_repeat_count_once_and_are_said() -> None:
    once = fit(HEAD + rows(SHAPES), CHIP)
    twice = fit(HEAD + rows(SHAPES) + rows(SHAPES[:1]), CHIP)
    assert twice.calibration == once.calibration
    assert dict(twice.repeated) == {47: 2, 48: 3, 49: 4, 50: 5, 51: 6}
    (said,) = [line for line in lines(twice) if "repeat" in line]
    assert said.startswith("5 rows repeat an earlier one and count once: line 47 is line 2, line ")


def test_an_error_that_nothing_was_held_back_for_is_unknown_and_never_a_number() -> None:
    report = fit(HEAD + rows(SHAPES[:2], ms=MS), CHIP)
    (one,) = report.calibration.sets
    assert (one.rows, one.shapes, one.error) == (14, 2, None)
    text = report.calibration.to_toml()
    assert 'error = "unknown"  # too few rows to hold a shape back\n' in text
    assert "band = [0.500, 2.000]  # taken wide, not measured\n" in text
    (again,) = Calibration.from_toml(text, where="mine").sets
    assert (again.error, again.low, again.high) == (None, 0.5, 2.0)
    said = "\n".join(lines(report))
    told = " ".join(said.split())
    assert "error not known: 14 rows of 2 shapes are too few rows to hold a shape back" in told
    assert "%" not in said.splitlines()[1].replace(f"{report.held[one.key.text()].naive:.1%}", "")
    found = find(Key("gemm", "mine", "bfloat16"), CHIP.id, "ampere", report.calibration)
    assert found.basis.endswith("14 rows, fitted " + one.date + ", error not known")


@pytest.mark.parametrize(("shapes", "ms"), [(2, range(1, 13)), (4, (1, 64, 512, 2048))])
def test_as_many_rows_as_the_warning_asks_for_hold_a_shape_back(
    shapes: int, ms: Iterable[int]
) -> None:
    (one,) = fit(HEAD + rows(SHAPES[:shapes], ms=tuple(ms)), CHIP).calibration.sets
    assert one.rows == (24 if shapes == 2 else 16)
    assert one.error is not None


def test_no_set_that_ships_says_an_error_nobody_measured() -> None:
    one = bundled("b300-sxm")
    assert one is not None
    lacking = [s for s in one.sets if s.error is None]
    assert "attention_decode" in {s.key.form for s in lacking}
    assert all(s.error != 1.0 for s in one.sets)


def test_a_set_that_predicts_nothing_is_warned_of() -> None:
    noisy = rows(SHAPES).splitlines()
    wild = [
        f"{line.rpartition(',')[0]},{float(line.rpartition(',')[2]) * (1, 9, 60)[at % 3]}"
        for at, line in enumerate(noisy)
    ]
    report = fit(HEAD + "\n".join(wild) + "\n", CHIP)
    (said,) = report.warned
    assert "do not rely on it" in said
    (one,) = report.calibration.sets
    assert one.low <= 1 <= one.high
    (note,) = unreliable(report.calibration.sets)
    assert note.code == "M085"
    assert "gemm" in note.message
    assert not list(unreliable(fit(HEAD + rows(SHAPES), CHIP).calibration.sets))
    assert not fit(HEAD + rows(SHAPES), CHIP).warned


def test_a_band_is_never_upside_down() -> None:
    low, high = band(np.full(20, 1e-4))
    assert low <= high
    low, high = band(np.full(20, 1e4))
    assert low <= high


SET = """chip = "a100-sxm-80gb"
[[set]]
form = "collective"
dtype = "all_reduce"
parameters = {{ {} }}
band = {}
"""
NAMES = tuple(p.name for p in FORMS["collective"].parameters)
GOOD = ", ".join(f"{name} = 1.0" for name in NAMES)


@pytest.mark.parametrize(
    ("parameters", "edges", "said"),
    [
        (GOOD, "[2.0, 1.0]", r"band is \[2, 1\]"),
        (GOOD, "[2.0]", "band is"),
        (GOOD, '["a", 1.0]', "band is 'a'"),
        (GOOD.replace("1.0", "-1.0", 1), "[0.9, 1.1]", f"{NAMES[0]} is -1.0"),
        (GOOD.replace("1.0", "nan", 1), "[0.9, 1.1]", f"{NAMES[0]} is nan"),
        (GOOD.partition(", ")[2], "[0.9, 1.1]", f"lacks the parameter {NAMES[0]}"),
        (GOOD + ", zz = 1.0", "[0.9, 1.1]", "has the parameter zz"),
    ],
)
def test_a_calibration_is_refused_by_file_set_and_parameter(
    parameters: str, edges: str, said: str
) -> None:
    with pytest.raises(MansardError, match=said) as caught:
        Calibration.from_toml(SET.format(parameters, edges), where="my.toml")
    assert caught.value.message.startswith("my.toml, set 1 (collective all_reduce): ")
    assert caught.value.hint


ENGINE = """\
chip = "a100-sxm-80gb"
[[set]]
form = "engine"
framework = "mine"
parameters = {{ step_s = 0.002, layer_s = 6e-6, ranks_s = 6e-6, sequence_s = 3e-6, \
prefill = 1.1, decode = 1.0, attend = 1.04{} }}
"""


def test_an_engine_written_before_its_form_grew_is_read_with_what_was_meant() -> None:
    before = Calibration.from_toml(ENGINE.format(""), where="my.toml")
    same = ENGINE.format(", grouped = 1.0, widen = 35.0")
    assert before == Calibration.from_toml(same, where="my.toml")
    assert Calibration.from_toml(before.to_toml(), where="my.toml") == before
    given = Calibration.from_toml(ENGINE.format(", grouped = 1.7"), where="my.toml")
    assert given.sets[0].values[-2:] == (1.7, 35.0)
    with pytest.raises(MansardError, match="has the parameter grupped"):
        Calibration.from_toml(ENGINE.format(", grupped = 1.7"), where="my.toml")
    with pytest.raises(MansardError, match="lacks the parameter attend"):
        Calibration.from_toml(ENGINE.format("").replace(", attend = 1.04", ""), where="my.toml")

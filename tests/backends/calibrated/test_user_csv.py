"""A user's CSV: what is fitted, what is refused, what is kept out and said."""

from __future__ import annotations

import pytest

from mansard.backends.calibrated.facts import facts, peak
from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.user_csv import fit
from mansard.backends.chips import load
from mansard.core.errors import MansardError

CHIP = load("a100-sxm-80gb")
HEAD = "kind,dtype,framework,m,n,k,us\n"


def rows(shapes: tuple[tuple[int, int], ...], scale: float = 1.0) -> str:
    law = FORMS["gemm"]
    values = tuple(p.start for p in law.parameters)
    lines = []
    for n, k in shapes:
        for m in (1, 8, 64, 512, 2048):
            sizes = {"m": m, "n": n, "k": k, "x_bytes": 2.0, "w_bytes": 2.0, "quantised": 0.0}
            seconds = law.seconds(values, {**sizes, "peak": peak(CHIP, "bf16")}, facts(CHIP), PLAIN)
            lines.append(f"gemm,bf16,mine,{m},{n},{k},{seconds * 1e6 * scale:.6g}")
    return "\n".join(lines) + "\n"


SHAPES = tuple((n, k) for n in (1024, 4096, 8192) for k in (1024, 4096, 8192))


def test_a_chip_is_fitted_and_says_how_far_off_it_is() -> None:
    report = fit(HEAD + rows(SHAPES), CHIP)
    (one,) = report.calibration.sets
    assert one.key.framework == "mine"
    assert one.rows == 45
    assert one.error < 0.02
    assert not report.faster
    assert 'form = "gemm"' in report.calibration.to_toml()


def test_milliseconds_are_a_column_of_their_own() -> None:
    report = fit(HEAD.replace("us", "ms") + rows(SHAPES, scale=1e-3), CHIP)
    assert report.calibration.sets[0].error < 0.02


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
        (HEAD + rows(((1024, 1024),)) * 3, "one shape only"),
    ],
)
def test_bad_input_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(MansardError, match=said):
        fit(text, CHIP)

"""``mansard calibrate``: from a CSV to a file that estimates are made with."""

from __future__ import annotations

import csv
import itertools
import json
import re
from pathlib import Path

import pytest
from tests.conftest import Run

from mansard.backends.calibrated.facts import facts, peak
from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.user_rows import KNOWN
from mansard.backends.chips import load

DOCS = Path(__file__).parents[2] / "docs"
CHIP = load("l40s")
SLOW = 0.3
"""Share of the peaks that the made chip reaches: nothing that ships says so."""


def made(path: Path, shapes: int = 16, extra: str = "") -> Path:
    """Write products of a chip that reaches ``SLOW`` of its matrix peak and its bandwidth."""
    law = FORMS["gemm"]
    named = {p.name: p.start for p in law.parameters}
    named |= {"e_compute": SLOW, "e_read": SLOW, "e_write": SLOW, "resident": 1.0}
    lines = ["kind,dtype,framework,m,n,k,us"]
    sizes = itertools.product((1024, 4096, 8192, 14336), (1024, 4096, 8192, 14336))
    for n, k in itertools.islice(sizes, shapes):
        for m in (1, 16, 128, 1024, 4096):
            z = {"m": m, "n": n, "k": k, "x_bytes": 2.0, "w_bytes": 2.0, "quantised": 0.0}
            z["peak"] = peak(CHIP, "bf16")
            seconds = law.seconds(tuple(named.values()), z, facts(CHIP), PLAIN)
            lines.append(f"gemm,bf16,mine,{m},{n},{k},{seconds * 1e6:.6g}")
    path.write_text("\n".join(lines) + "\n" + extra, encoding="utf-8")
    return path


def test_a_chip_is_fitted_written_drawn_and_used(run: Run, tmp_path: Path) -> None:
    fitted, plot = tmp_path / "mine.toml", tmp_path / "mine.svg"
    table = made(tmp_path / "mine.csv", extra="gemm,bf16,mine,8192,8192,8192,1.0\n")
    ran = run("calibrate", str(table), "--chip", "l40s", "-o", str(fitted), "--plot", str(plot))
    assert ran.code == 0
    assert re.search(r"gemm mine bfloat16 +80 +16 +\d\.\d%", ran.out)
    assert "1 rows are faster than the bound" in ran.out
    assert "line 82" in ran.out
    assert 'form = "gemm"' in fitted.read_text("utf-8")
    assert plot.read_text("utf-8").startswith("<svg")

    asked = ("analyze", "llama-3.1-8b", "--on", "l40s", "-b", "8", "-p", "2048", "-n", "16",
             "--estimate", "calibrated", "-f", "json")  # fmt: skip
    own = json.loads(run(*asked, "--set", f"calibration={fitted}").out)
    shipped = json.loads(run(*asked).out)
    basis = {b["form"]: b["set"] for b in own["basis"]}
    assert basis["gemm"].startswith("your calibration of l40s, mine")
    assert not basis["stream"].startswith("your calibration")
    slower = own["metrics"]["ttft_s"] / own["ideal"]["metrics"]["ttft_s"]
    assert 1 / SLOW < slower < 2 / SLOW
    assert own["metrics"]["ttft_s"] > 1.5 * shipped["metrics"]["ttft_s"]


def test_without_a_file_the_calibration_is_data_on_stdout(run: Run, tmp_path: Path) -> None:
    ran = run("calibrate", str(made(tmp_path / "mine.csv", 6)), "--chip", "l40s")
    assert ran.code == 0
    assert ran.out.startswith('chip = "l40s"')
    assert "held back" in ran.err


@pytest.mark.parametrize(("again", "told"), [(1, False), (64, True)])
def test_a_long_table_is_said_to_take_a_while_and_a_short_one_is_not(
    run: Run, tmp_path: Path, again: int, told: bool
) -> None:
    """80 rows over and over: a row that repeats another word for word counts once."""
    table = made(tmp_path / "mine.csv")
    head, *rows = table.read_text("utf-8").splitlines()
    table.write_text("\n".join([head, *rows * again]) + "\n", encoding="utf-8")
    ran = run("calibrate", str(table), "--chip", "l40s", "-o", str(tmp_path / "mine.toml"))
    assert ran.code == 0
    assert ("reading and fitting 5121 lines, some seconds" in ran.err) is told
    assert re.search(r"gemm mine bfloat16 +80 +16 ", ran.out)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind,dtype,m,n,k,micros\n", "micros"),
        ("kind,dtype,m,n,k,us\ngemm,bf16,1,2,3,-4\n", "us is '-4'"),
        ("kind,dtype,m,n,k,us\ngemm,bf16,1,2,3,0\n", "us is '0'"),
        ("kind,dtype,m,n,k,us\ngemm,bf16,1,2,3,5\ngemm,bf16,2,2,3,5\n", "12 are needed"),
        ("kind,dtype,rows,cols,bytes,us,kernel\nstream,bf16,1,2,8,5,noorm\n", "noorm"),
    ],
)
def test_a_bad_table_is_refused_by_line_and_value(
    run: Run, tmp_path: Path, text: str, said: str
) -> None:
    table = tmp_path / "bad.csv"
    table.write_text(text, encoding="utf-8")
    ran = run("calibrate", str(table), "--chip", "h100-sxm")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "hint:" in ran.err


def test_a_missing_table_an_unknown_chip_and_another_chips_file_are_named(
    run: Run, tmp_path: Path
) -> None:
    assert "nowhere.csv" in run("calibrate", "nowhere.csv", "--chip", "h100-sxm").err
    table = str(made(tmp_path / "mine.csv", 6))
    wide = tmp_path / "wide.csv"
    for raw in (b"\xff\xfek\x00i\x00", "kind,dtype\n".encode("utf-16-le")):
        wide.write_bytes(raw)
        ran = run("calibrate", str(wide), "--chip", "h100-sxm")
        assert ran.code == 2
        assert "looks like UTF-16" in ran.err
        assert "save it as UTF-8" in ran.err
    assert "'h100-sxm'" in run("calibrate", table, "--chip", "h100-sx").err
    fitted = str(tmp_path / "mine.toml")
    run("calibrate", table, "--chip", "l40s", "-o", fitted)
    ran = run("analyze", "qwen2.5-0.5b", "--on", "h100-sxm", "--estimate", "calibrated",
              "--set", f"calibration={fitted}")  # fmt: skip
    assert ran.code == 2
    assert "fitted on 'l40s'" in ran.err


def test_the_documented_script_is_python_and_writes_known_columns() -> None:
    page = (DOCS / "calibrate.md").read_text("utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    compile(script, "calibrate.md", "exec")
    (columns,) = re.findall(r'COLUMNS = "(.*?)"\.split', script)
    assert set(columns.split()) <= KNOWN
    written = set(re.findall(r'"(\w+)": ', script))
    assert {"kind", "us", "m", "n", "k"} <= written <= KNOWN


@pytest.mark.parametrize("model", ["llama-2-7b", "llama-2-13b"])
def test_int4_weights_help_less_the_larger_the_batch_and_no_prefill(run: Run, model: str) -> None:
    """Published speed-ups on A100 fall with the batch; prefills gain 6 % at most."""
    import mansard as ms

    faster = []
    for batch in (1, 4, 16, 64, 128):
        plain, narrow = (
            ms.analyze(model, on="a100-sxm-80gb", batch=batch, prompt=512, output=32,
                       estimate="calibrated", techniques=techniques)
            for techniques in ([], ["quantize{weights=int4 group=128}"])
        )  # fmt: skip
        assert plain.tpot
        assert narrow.tpot
        assert plain.ttft
        assert narrow.ttft
        faster.append(plain.tpot / narrow.tpot)
        assert plain.ttft / narrow.ttft <= 1.06
    assert faster == sorted(faster, reverse=True)
    assert faster[0] > 1.2 > 1.1 > faster[-1] > 0.95


def test_compare_sets_calibrated_answers_side_by_side(run: Run) -> None:
    ran = run("compare", "llama-3.1-8b", "--on", "h100-sxm,a100-sxm-80gb", "-p", "512", "-n", "16",
              "--estimate", "calibrated", "-f", "csv")  # fmt: skip
    assert ran.code == 0
    rows = list(csv.DictReader(ran.out.splitlines()))
    bound = run("compare", "llama-3.1-8b", "--on", "h100-sxm,a100-sxm-80gb", "-p", "512", "-n",
                "16", "-f", "csv")  # fmt: skip
    for slow, fast in zip(rows, csv.DictReader(bound.out.splitlines()), strict=True):
        assert float(slow["tpot_s"]) > 1.1 * float(fast["tpot_s"])


def test_sweeps_and_solutions_use_the_calibrated_estimate(run: Run) -> None:
    asked = ("qwen2.5-0.5b", "--on", "h100-sxm", "-p", "64", "-n", "4", "--estimate", "calibrated")
    swept = json.loads(run("sweep", *asked, "--vary", "batch=1,4", "-f", "json").out)
    one = json.loads(run("analyze", *asked, "-b", "4", "-f", "json").out)
    points = swept if isinstance(swept, list) else swept["points"]
    assert points[1]["tpot_s"] == pytest.approx(one["metrics"]["tpot_s"])
    ran = run("plan", *asked[:3], "--slo", "tpot<30ms", "--rate", "5/s", *asked[-2:])
    assert ran.code == 0
    assert "[M081]" in ran.out + ran.err  # said of calibrated answers alone

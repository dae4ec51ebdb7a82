"""Sweeps: every row is what ``analyze`` says of its point; the command's forms and endings."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mansard as ms
from mansard.core.errors import SpecError
from mansard.query.sweeps import sweep
from mansard.query.sweeps.asked import Asked
from mansard.query.sweeps.axes import read_axes
from mansard.query.sweeps.cases import laid_out, parts
from mansard.query.sweeps.metrics import FIELDS
from mansard.query.sweeps.programs import Engines
from mansard.query.sweeps.streaming import Streamed, stream

Run = Callable[..., Any]
MODEL, CHIP = "qwen2.5-0.5b", "h100-sxm"


def answered(row: dict[str, Any], **asked: Any) -> None:
    """Compare a row with the answer of ``analyze``."""
    estimate = ms.analyze(row["model"], on=row["on"], batch=row["batch"], **asked).to_dict()
    for name in FIELDS:
        where = "memory" if name in ("memory", "capacity") else "metrics"
        key = "total" if name == "memory" else name
        expected = estimate[where][key]
        same = row[name] == expected or row[name] == pytest.approx(expected, rel=1e-12)
        assert same, (name, row, expected)
    assert row["fits"] == estimate["memory"]["fits"]


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compare rows; another executor may round the last digit otherwise."""
    assert len(found) == len(expected)
    for got, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            real = isinstance(value, float)
            assert got[name] == (pytest.approx(value, rel=1e-12) if real else value), name


def test_every_row_is_what_analyze_says_of_its_point() -> None:
    found = sweep(
        ms.study(MODEL, on=CHIP),
        {"on": ["h100-sxm", "l40s:2"], "quantize.weights": "bf16,int4"},
        batch="1,64", prompt=[128, 4096], output=[1, 32],
    )  # fmt: skip
    assert len(found) == found.points == 32
    order = itertools.product(
        ["h100-sxm", "l40s:2"], ["bf16", "int4"], [1, 64], [128, 4096], [1, 32]
    )
    names = ("on", "quantize.weights", "batch", "prompt", "output")
    for row, point in zip(found.rows, order, strict=True):
        assert tuple(row[n] for n in names) == point
        spec = f"quantize{{weights={row['quantize.weights']}}}"
        answered(row, prompt=row["prompt"], output=row["output"], techniques=[spec])


def test_fields_of_chips_and_configs_are_axes() -> None:
    found = sweep(
        ms.study(MODEL, on=CHIP, prompt=512, output=8),
        {"hardware.memory.bandwidth": "2TB/s..4TB/s+1TB/s", "model.num_hidden_layers": "4,24"},
    )
    assert len(found) == 6
    for row in found.rows:
        changed = {
            "hardware.memory.bandwidth": f"{row['hardware.memory.bandwidth']}B/s",
            "model.num_hidden_layers": row["model.num_hidden_layers"],
        }
        answered(row, prompt=512, output=8, set=changed)


def test_a_context_is_one_decode_step_and_models_are_an_axis() -> None:
    found = sweep(ms.study(MODEL, on=CHIP), model=["qwen2.5-0.5b", "mamba2-2.7b"], context="1k,8k")
    for row in found.rows:
        assert row["ttft_s"] is None
        answered(row, context=row["context"])


def test_an_option_of_a_pass_of_the_pipeline_is_changed_in_place() -> None:
    base = ["quantize{weights=int4 group=64}", "page-kv{page=16}"]
    found = sweep(ms.study(MODEL, on=CHIP, techniques=base, prompt=512, output=8),
                  {"quantize.group": [32, 128]})  # fmt: skip
    for row in found.rows:
        spec = f"quantize{{weights=int4 group={row['quantize.group']}}}"
        answered(row, prompt=512, output=8, techniques=[spec, base[1]])


def test_a_front_and_the_best_are_those_of_all_rows_that_fit() -> None:
    study = ms.study("llama-3.1-8b", on="l40s")
    axes: dict[str, object] = {"on": "l40s,h100-sxm", "batch": "1..1024x2", "prompt": "1k,8k"}
    rows = [r for r in sweep(study, axes).rows if r["fits"]]
    front = sweep(study, axes, pareto="throughput,tpot")
    expected = [
        r for r in rows
        if not any(o["throughput_tok_s"] >= r["throughput_tok_s"] and o["tpot_s"] <= r["tpot_s"]
                   and (o["throughput_tok_s"], o["tpot_s"]) != (r["throughput_tok_s"], r["tpot_s"])
                   for o in rows)
    ]  # fmt: skip
    assert_same(front.rows, expected)
    assert "M070" in {n.code for n in front.notes}
    best = sweep(study, axes, top=3, best="throughput_tok_s").rows
    assert_same(best, sorted(rows, key=lambda r: -r["throughput_tok_s"])[:3])
    unfit = sweep(study, axes, top=1, best="throughput", unfit=True).rows[0]
    assert not unfit["fits"]


def test_the_order_of_axes_changes_the_order_of_rows_alone() -> None:
    study = ms.study(MODEL, on=CHIP)
    axes: dict[str, object] = {"batch": "1..40", "output": "2,9,300", "on": "h100-sxm,l40s"}

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(sorted((k, str(v)) for k, v in row.items()))

    rows = {key(r) for r in sweep(study, axes).rows}
    for order in itertools.permutations(axes):
        found = sweep(study, {name: axes[name] for name in order})
        assert {key(r) for r in found.rows} == rows
        assert [r[order[0]] for r in found.rows] == sorted(
            (r[order[0]] for r in found.rows), key=[r[order[0]] for r in found.rows].index
        )


def test_parts_of_a_sweep_merge_to_the_whole() -> None:
    study = ms.study(MODEL, on=CHIP)
    axes = read_axes({"on": "h100-sxm,l40s", "batch": "1..300", "prompt": "1..5000+50"})
    layout, asked = laid_out(study, axes), Asked(pareto=("throughput", "tpot"))
    whole = Streamed(asked.reduction())
    for _ in stream(layout, asked, list(parts(layout, 10**9)), whole, Engines()):
        pass
    total = Streamed(asked.reduction())
    for part in parts(layout, 4000):
        one = Streamed(asked.reduction())
        for _ in stream(layout, asked, [part], one, Engines()):
            pass
        total.merge(one)
    assert total.evaluated == whole.evaluated == layout.points
    assert total.unfit == whole.unfit
    assert np.array_equal(total.kept.numbers, whole.kept.numbers)


def test_a_combination_that_cannot_be_built_is_left_out_and_named() -> None:
    found = sweep(ms.study(MODEL, on="h100-sxm:2"), {"parallel.tp": [2, 3]}, batch=[1, 2])
    assert [r["parallel.tp"] for r in found.rows] == [2, 2]
    assert any(n.code == "M071" for n in found.notes)
    with pytest.raises(ms.MansardError, match="no combination"):
        sweep(ms.study(MODEL, on="h100-sxm:2"), {"parallel.tp": [3, 5]})
    with pytest.raises(ms.MansardError, match="no hardware"):
        sweep(ms.study(MODEL, on=CHIP), on=["h100-sxm", "h1000"])


def test_a_schedule_that_is_stepped_is_swept_too() -> None:
    specs = ["chunk-prefill{size=512}", "batch-continuously"]
    study = ms.study(MODEL, on=CHIP, techniques=specs[:1], prompt=1024, output=8)
    for row in sweep(study, batch=[1, 3]).rows:
        answered(row, prompt=1024, output=8, techniques=specs[:1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": "1..1000000", "prompt": "1..1000000"}, "1,000,000,000,000 points"),
        ({"pareto": "speed", "batch": [1]}, "no metric"),
        ({"top": 3, "batch": [1]}, "best by what"),
        ({"pareto": "tpot", "best": "tpot", "batch": [1]}, "two questions"),
        ({"top": 0, "best": "tpot", "batch": [1]}, "best 0"),
        ({"context": [1], "prompt": [1]}, "context"),
        ({"engine": "numy", "batch": [1]}, "no engine"),
        ({"engine": "dask", "batch": [1]}, "reduced"),
        ({}, "nothing varies"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ms.MansardError, match=said):
        sweep(ms.study(MODEL, on=CHIP), **options)


# The command.

SWEEP = (
    "sweep",
    MODEL,
    "--on",
    CHIP,
    "--vary",
    "batch=1..8x2",
    "--vary",
    "prompt=1k,2k",
    "-n",
    "8",
)


def test_the_command_writes_every_form(run: Run, tmp_path: Path) -> None:
    rows = json.loads(run(*SWEEP, "-f", "json").out)
    assert len(rows) == 8
    lines = [json.loads(line) for line in run(*SWEEP, "-f", "jsonl").out.splitlines()]
    assert lines == rows
    table = list(csv.DictReader(io.StringIO(run(*SWEEP, "-f", "csv").out)))
    assert [float(r["tpot_s"]) for r in table] == [r["tpot_s"] for r in rows]
    assert run(*SWEEP, "-f", "md").out.count("\n") == 10
    shown = run(*SWEEP)
    assert shown.code == 0
    assert "8 points of 8 points" in shown.out
    out = tmp_path / "points.csv"
    assert run(*SWEEP, "-o", str(out)).out == ""
    assert len(out.read_text().splitlines()) == 9


def test_the_command_takes_lists_of_models_and_chips(run: Run) -> None:
    found = run("sweep", f"{MODEL},mamba2-2.7b", "--on", "h100-sxm,l40s", "--vary", "batch=1,2",
                "--pareto", "throughput,tpot", "-f", "json")  # fmt: skip
    rows = json.loads(found.out)
    assert {r["model"] for r in rows} <= {MODEL, "mamba2-2.7b"}
    assert rows


def test_ctrl_c_keeps_what_is_done(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mansard.backends.engine import arrays

    blocks = arrays.Grid.blocks

    def stopped(self: Any) -> Any:
        for k, block in enumerate(blocks(self)):
            if k == 1:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(arrays.Grid, "blocks", stopped)
    monkeypatch.setattr(arrays, "BLOCK", 8)
    monkeypatch.setattr("mansard.query.sweeps.blocks.LISTED", 0)
    monkeypatch.setattr(arrays.Grid.__init__, "__defaults__", (8,))
    found = run("sweep", MODEL, "--on", CHIP, "--vary", "batch=1..50", "-f", "json")
    assert found.code == 130
    assert 0 < len(json.loads(found.out)) < 50
    assert "interrupted" in found.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--vary", "batch"), "cannot read --vary"),
        (("--vary", "batch=1", "--vary", "batch=2"), "given twice"),
        (("--vary", "bacth=1"), "no axis"),
        (("--vary", "batch=1", "-f", "parquet"), "parquet"),
        (("--vary", "quantize.weights=int4}"), "weights"),
        (("--vary", "quantize.weights=int4 group=2"), "weights"),
    ],
)
def test_the_command_refuses_with_an_action(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    found = run("sweep", MODEL, "--on", CHIP, *arguments)
    assert found.code == 2
    assert said in found.err
    assert "hint:" in found.err


def test_parquet_needs_its_extra_or_reads_back(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "points.parquet"
    found = run(*SWEEP, "-o", str(out))
    try:
        from pyarrow import parquet
    except ImportError:
        assert found.code == 2
        assert "pyarrow" in found.err
        return
    assert parquet.read_table(out).num_rows == 8


def test_results_convert_where_the_libraries_are_installed() -> None:
    found = sweep(ms.study(MODEL, on=CHIP), batch=[1, 2], prompt=[128, 256, 512])
    pytest.importorskip("xarray", reason="the extra `tables` is not installed: `make extras`")
    data = found.to_xarray()
    assert dict(data.sizes) == {"batch": 2, "prompt": 3}
    assert float(data.tpot_s.sel(batch=2, prompt=256)) == found.rows[4]["tpot_s"]
    assert list(found.to_pandas()["batch"]) == [1, 1, 1, 2, 2, 2]


def test_a_long_sweep_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from mansard.cli import sweep as command

    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    with command._bar() as progress:
        assert progress is not None
        progress(1, 1000)  # too early to be worth a bar
        assert not shown.getvalue()
        monkeypatch.setattr(command, "LONG_S", -1.0)
        progress(500, 1000)
        progress(1000, 1000)
    assert "500 of 1,000 points" in shown.getvalue()


@pytest.mark.parametrize("width", ["60", "80", "100"])
def test_a_table_cuts_no_value_and_names_what_it_leaves_out(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    ran = run("sweep", "gpt2", "--on", "h100-sxm,l4", "-p", "64", "--vary", "batch=1,512",
              "--vary", "quantize.weights=bf16,int4")  # fmt: skip
    assert "…" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= int(width)
    missing = [n for n in ("throughput", "per user", "memory") if n not in ran.out.split("──")[0]]
    assert ("for want of space" in ran.out) == bool(missing)
    assert all(name in ran.out for name in missing)
    assert "ktok/s" not in ran.out


def test_values_of_a_field_of_the_chip_have_their_unit(run: Run) -> None:
    ran = run("sweep", "gpt2", "--on", "l4", "-p", "64", "-n", "4",
              "--vary", "hardware.memory.bandwidth=2TB/s,4TB/s")  # fmt: skip
    assert "2.00 TB/s" in ran.out
    assert "4.00 TB/s" in ran.out


@pytest.mark.parametrize(("option", "word"), [("-p", "prompt"), ("-n", "output")])
def test_a_context_that_varies_and_a_length_exclude_each_other(
    run: Run, option: str, word: str
) -> None:
    ran = run("sweep", "qwen2.5-0.5b", "--on", "h100-sxm", "--vary", "context=1k,2k", option, "8")
    assert ran.code == 2
    assert f"so {word} has no place" in ran.err
    asked: dict[str, Any] = {word: 8}
    with pytest.raises(SpecError, match=f"{word} has no place"):
        ms.study("qwen2.5-0.5b", on="h100-sxm", **asked).sweep(context=[1024])


def test_a_context_that_varies_beats_a_length_in_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "asked.toml"
    file.write_text('model = "qwen2.5-0.5b"\non = "h100-sxm"\nprompt = 8\n')
    rows = run("sweep", str(file), "--vary", "context=1k,2k", "-f", "json")
    assert rows.code == 0, rows.err
    with pytest.raises(SpecError, match="prompt has no place"):
        ms.study(str(file)).sweep(context=[1024])
    file.write_text('model = "qwen2.5-0.5b"\non = "h100-sxm"\n')
    assert len(ms.study(str(file)).sweep(context=[1024])) == 1

"""The list and show commands, and the doctor."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mansard.backends import chips
from mansard.frontends.hf import bundled

Run = Callable[..., Any]


def test_hardware_list_has_every_chip_in_every_form(run: Run) -> None:
    assert [r["id"] for r in json.loads(run("hardware", "list", "-f", "json").out)] == list(
        chips.bundled()
    )
    rows = list(csv.DictReader(io.StringIO(run("hardware", "list", "-f", "csv").out)))
    h100 = next(r for r in rows if r["id"] == "h100-sxm")
    assert h100["capacity_bytes"] == str(80 * 2**30)
    text = run("hardware", "list", "--grep", "H100").out
    assert "h100-sxm" in text
    assert "a100" not in text


def test_hardware_show_gives_every_figure_with_its_source(run: Run) -> None:
    record = json.loads(run("hardware", "show", "h100-sxm", "-f", "json").out)
    assert {"unit": "matrix", "dtype": "bf16", "structure": "dense", "flops_per_s": 989.4e12} in (
        record["peaks"]
    )
    assert record["sources"]["memory"]
    shown = run("hardware", "show", "H100 SXM", "--set", "memory.bandwidth=4TB/s").out
    assert "4.00 TB/s" in shown


def test_hardware_diff_shows_only_what_differs(run: Run) -> None:
    rows = json.loads(run("hardware", "diff", "h100-sxm", "h200-sxm", "-f", "json").out)
    keys = {row["key"] for row in rows}
    assert "memory.capacity" in keys
    assert "peak.matrix.bf16" not in keys
    assert run("hardware", "diff", "h100-sxm", "h100-sxm5").code == 2


def test_hardware_check_reads_files_and_names_what_is_wrong(run: Run, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('id = "mine"\n[memory]\ncapacity = "80GB"\nbandwidth = "2TB/s"\n')
    bad.write_text('id = "mine"\n[memory]\ncapacity = "80GB"\nbandwith = "2TB/s"\n')
    assert "mine" in run("hardware", "check", str(good)).out
    ran = run("hardware", "check", str(bad))
    assert ran.code == 2
    assert "memory.bandwith" in ran.err
    assert run("hardware", "check").code == 0


def test_models_list_has_every_bundled_model(run: Run) -> None:
    records = json.loads(run("models", "list", "-f", "json").out)
    assert [r["name"] for r in records] == list(bundled.names())
    assert "494 M" in run("models", "list", "--grep", "qwen2.5-0.5b").out


def test_models_show_says_what_was_read_and_where(run: Run) -> None:
    record = json.loads(run("models", "show", "qwen2.5-0.5b", "-f", "json").out)
    assert record["params"] == 494_032_768
    assert record["kv_bytes_per_token"] == 24 * 2 * 2 * 64 * 2
    assert record["facts"]["num_hidden_layers"]["value"] == "24"
    assert "494,032,768" in run("models", "show", "qwen2.5-0.5b").out


def test_the_doctor_says_where_answers_are_remembered(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mansard.cli.doctor import _remembered

    assert _remembered()[2].startswith("off: no answer is remembered")
    monkeypatch.setenv("MANSARD_CACHE", str(tmp_path / "cache"))
    assert ": empty (" in _remembered()[2]
    run("models", "show", "qwen2.5-0.5b")
    well, name, state = _remembered()
    assert (well, name) == (True, "cache")
    assert f"{tmp_path / 'cache'}: 1 kept, " in state
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MANSARD_CACHE", str(tmp_path / "file"))
    assert not _remembered()[0]


def test_the_doctor_finds_everything_well(run: Run) -> None:
    ran = run("doctor")
    assert ran.code == 0
    assert f"{len(chips.bundled())} read" in ran.out
    assert "BAD" not in ran.out


def test_hardware_check_names_a_slipped_digit_and_what_measurements_reach(
    run: Run, tmp_path: Path
) -> None:
    said = run("hardware", "check", "h100-sxm").out
    assert "measured products reach, of the matrix peak: 0.7" in said
    assert "odd" not in said
    slipped = tmp_path / "slipped.toml"
    slipped.write_text(
        'id = "slipped"\n[memory]\ncapacity = "80GB"\nbandwidth = "3.35GB/s"\n'
        '[peak.matrix]\nbf16 = "989TFLOP/s"\n',
        encoding="utf-8",
    )
    ran = run("hardware", "check", str(slipped))
    assert ran.code == 0
    assert "odd: bf16 FLOP a byte of memory can carry: 2.95e+05 (usually 0.5 to 1000)" in ran.out
    assert "slipped: odd, see below" in ran.out
    assert "odd: outside of where this ratio usually lies" in ran.out
    small = tmp_path / "small.toml"
    small.write_text('id = "small"\n[memory]\ncapacity = "48MB"\nbandwidth = "1.2TB/s"\n')
    said = run("hardware", "check", str(small)).out
    assert "odd: time to read the whole memory [ms]: 0.04 (usually 0.5 to 20000)" in said
    small.write_text(
        'id = "small"\n[memory]\ntype = "SRAM"\ncapacity = "48MB"\nbandwidth = "1.2TB/s"\n'
    )
    assert "small: ok" in run("hardware", "check", str(small)).out
    every = run("hardware", "check").out
    assert f"{len(chips.bundled())} chips: {len(chips.bundled()) - 2} ok, 2 odd" in every
    assert "rtx-pro-6000-server: odd: measured products reach, of the bandwidth" in every


def test_techniques_show_says_what_to_write(run: Run) -> None:
    assert (
        "write      -t quantize:weights=int4,group=64" in run("techniques", "show", "quantize").out
    )
    assert "write      -t fuse-attention" in run("techniques", "show", "fuse-attention").out
    shown = run("techniques", "show", "exit-early").out
    assert "write      -t 'exit-early{after=[2] rates=[0.5]}'" in shown

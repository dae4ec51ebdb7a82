"""What ``mansard analyze`` prints, writes and returns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import mansard as ms
from mansard.query.report import OP_FIELDS

Run = Callable[..., Any]

ASK = ("analyze", "qwen2.5-0.5b", "--on", "h100-sxm", "-b", "4", "-p", "1k", "-n", "32")
SCHEMA = json.loads(
    resources.files("mansard").joinpath("schemas/result-1.schema.json").read_text("utf-8")
)


def strict(schema: Any) -> Any:
    """The schema with no property beyond those it names."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if found.get("type") == "object" and "required" in found:
        found.setdefault("additionalProperties", False)
    return found


def test_json_is_the_contracts_document_and_nothing_else(run: Run) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(run(*ASK, "-f", "json").out)
    jsonschema.validate(document, strict(SCHEMA))
    assert document["scenario"] == {"batch": 4, "prompt": 1024, "output": 32}
    assert document["model"]["params"] == 494_032_768  # its safetensors index
    assert list(document["phases"]) == ["prefill", "decode"]


def test_jsonl_is_the_same_document_in_one_line(run: Run) -> None:
    lines = run(*ASK, "-f", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == [json.loads(run(*ASK, "-f", "json").out)]


def test_rows_times_their_count_are_the_phases_sums(answer: ms.Estimate) -> None:
    for phase in answer.phases.values():
        for name in ("flops", "bytes", "weight_bytes", "kv_bytes", "time_s"):
            total = sum(getattr(row, name) * row.count for row in phase.ops)
            assert total == pytest.approx(getattr(phase, name), rel=1e-12)


def test_the_metrics_are_what_the_contract_says_of_the_phases(answer: ms.Estimate) -> None:
    assert answer.ttft == answer.prefill.time_s
    assert answer.tpot == answer.decode.time_s
    assert answer.latency == pytest.approx(answer.prefill.time_s + 31 * answer.decode.time_s)
    assert answer.latency is not None
    assert answer.throughput == pytest.approx(4 * 32 / answer.latency)


def test_one_output_token_has_no_time_per_token() -> None:
    found = ms.analyze("qwen2.5-0.5b", on="h100-sxm", output=1)
    assert found.tpot is None
    assert found.latency == found.ttft
    jsonschema.validate(found.to_dict(), SCHEMA)


def test_a_context_is_one_decode_step_over_that_many_cached_tokens() -> None:
    step = ms.analyze("qwen2.5-0.5b", on="h100-sxm", context=4096)
    whole = ms.analyze("qwen2.5-0.5b", on="h100-sxm", prompt=4096, output=2)
    assert list(step.phases) == ["decode"]
    assert step.tpot == whole.tpot
    assert step.ttft is None
    # 24 layers x (K and V) x 2 heads x 64 x 2 bytes, for prompt + output tokens
    assert step.memory.kv_cache == 24 * 2 * 2 * 64 * 2 * (4096 + 2)
    assert step.memory.activations < whole.memory.activations


def test_csv_has_a_row_per_op_and_phase_with_the_names_of_the_json(
    run: Run, answer: ms.Estimate
) -> None:
    rows = list(csv.DictReader(io.StringIO(run(*ASK, "-f", "csv").out)))
    assert list(rows[0]) == ["phase", *OP_FIELDS]
    assert len(rows) == sum(len(phase.ops) for phase in answer.phases.values())
    lm_head = next(r for r in rows if r["name"] == "lm_head" and r["phase"] == "decode")
    assert lm_head["count"] == "1"
    assert int(lm_head["flops"]) == answer.op("lm_head").flops


@pytest.mark.parametrize("by", ["kind", "layer"])
def test_groups_add_up_to_the_same_phase(run: Run, answer: ms.Estimate, by: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run(*ASK, "-f", "csv", "--by", by).out)))
    decode = [r for r in rows if r["phase"] == "decode"]
    assert len(decode) < len(answer.decode.ops)
    assert sum(float(r["time_s"]) for r in decode) == pytest.approx(answer.decode.time_s)


def test_top_and_all_say_how_many_rows(run: Run, answer: ms.Estimate) -> None:
    few = run(*ASK, "--top", "3", "--phase", "decode").out
    left = len(answer.decode.ops) - 3
    assert f"{left} more (--all)" in few
    assert "more (--all)" not in run(*ASK, "--all").out


def test_markdown_is_tables_and_the_caveat(run: Run) -> None:
    text = run(*ASK, "-f", "md").out
    assert text.startswith("# qwen2.5-0.5b")
    assert "arXiv:2411.00136" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths = {line.count("|") - line.count("\\|") for line in tables}
    assert widths == {3, 8, 9}


def test_data_goes_to_stdout_and_notes_to_stderr(run: Run) -> None:
    ran = run(*ASK)
    assert "[M031]" in ran.err
    assert "[M031]" not in ran.out
    assert "TPOT" in ran.out
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("suffix", "begins"), [("json", "{"), ("csv", "phase,"), ("md", "# "), ("txt", "╭─")]
)
def test_the_suffix_of_the_file_picks_the_format(
    run: Run, tmp_path: Path, suffix: str, begins: str
) -> None:
    out = tmp_path / f"result.{suffix}"
    ran = run(*ASK, "-o", str(out))
    assert (ran.code, ran.out) == (0, "")
    assert out.read_text("utf-8").startswith(begins)
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_is_replaced_whole_and_a_folder_never(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    out.write_text("before")
    assert run("analyze", "qwen2.5-0.5b", "--on", "nothing", "-o", str(out)).code == 2
    assert out.read_text() == "before"
    assert run(*ASK, "-o", str(out)).code == 0
    assert json.loads(out.read_text("utf-8"))["schema"] == "mansard.result/1"
    assert run(*ASK, "-o", str(tmp_path)).code == 2
    assert run(*ASK, "-o", str(tmp_path / "absent" / "x.json")).code == 2
    assert run(*ASK, "-o", str(tmp_path / "x.pdf")).code == 2


def test_a_gate_that_holds_exits_with_1_after_printing_the_answer(run: Run) -> None:
    held = run(*ASK, "--fail-if", "tpot > 1ns", "-f", "json")
    assert held.code == 1
    assert json.loads(held.out)["schema"] == "mansard.result/1"
    assert "tpot > 1ns" in held.err
    assert run(*ASK, "--fail-if", "tpot > 1h", "--fail-if", "memory > capacity").code == 0


def test_a_gate_on_what_the_answer_lacks_is_bad_input(run: Run) -> None:
    ran = run(*ASK, "--phase", "decode", "--fail-if", "ttft > 1s")
    assert (ran.code, ran.out) == (2, "")
    assert "no ttft" in ran.err


def test_strict_exits_with_3_and_lists_what_is_unknown(run: Run, tmp_path: Path) -> None:
    assert run(*ASK, "--strict").code == 0
    chip = tmp_path / "chip.toml"
    chip.write_text('id = "mine"\n[memory]\ncapacity = "80GB"\nbandwidth = "2TB/s"\n')
    ran = run("analyze", "qwen2.5-0.5b", "--on", str(chip), "--strict")
    assert ran.code == 3
    assert "[M012]" in ran.err.partition("--strict")[2]


def test_an_override_changes_the_model_and_the_chip(run: Run) -> None:
    half = json.loads(run(*ASK, "--set", "model.num_hidden_layers=12", "-f", "json").out)
    assert half["model"]["kv_bytes_per_token"] == 12 * 2 * 2 * 64 * 2
    whole = json.loads(run(*ASK, "-f", "json").out)
    fast = json.loads(run(*ASK, "--set", "hardware.memory.bandwidth=33.5TB/s", "-f", "json").out)
    assert fast["metrics"]["tpot_s"] < whole["metrics"]["tpot_s"]

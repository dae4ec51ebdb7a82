"""Bad input ends in exit code 2 with a message and a hint, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
    "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2, "vocab_size": 100,
    "max_position_embeddings": 4096, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["--on", "h100sxm"], "no hardware called 'h100sxm'", "h100-sxm"),
        (["--on", "h100-sxm:8x"], "'8x'", "h100-sxm:8"),
        (["--on", "h100-sxm", "-b", "0"], "--batch must be at least 1", "1"),
        (["--on", "h100-sxm", "-b", "-3"], "--batch: cannot read '-3'", "16"),
        (["--on", "h100-sxm", "-b", "1.5"], "'1.5'", "16"),
        (["--on", "h100-sxm", "-p", "eight"], "'eight'", "8k"),
        (["--on", "h100-sxm", "-p", "9" * 30], "prompt", "check"),
        (["--on", "h100-sxm", "-n", "1", "--phase", "decode"], "no decode step", "2 output"),
        (["--on", "h100-sxm", "--context", "8k", "-p", "1k"], "context", "either"),
        (["--on", "h100-sxm", "--context", "8k", "--phase", "prefill"], "context", "leave"),
        (["--on", "h100-sxm", "--bach", "3"], "no option called '--bach'", "--batch"),
        (["--on", "h100-sxm", "--phase", "decoding"], "'decoding'", "analyze --help"),
        (["--on", "h100-sxm", "-f", "jsn"], "'jsn'", "analyze --help"),
        (["--on", "h100-sxm", "-O2"], "'2'", "analyze --help"),
        (["--on", "h100-sxm", "--set", "layers=3"], "'layers'", "model"),
        (["--on", "h100-sxm", "--set", "model"], "'model'", "KEY=VALUE"),
        (["--on", "h100-sxm", "--set", "model.num_hidden_layer=3"], "num_hidden_layer",
         "num_hidden_layers"),
        (["--on", "h100-sxm", "--set", "model.num_hidden_layers=0"], "num_hidden_layers", ""),
        (["--on", "h100-sxm", "--set", "model.num_hidden_layers=2.5"], "num_hidden_layers", ""),
        (["--on", "h100-sxm", "--set", "model.dtype=bf17"], "'bf17'", "bf16"),
        (["--on", "h100-sxm", "--set", "hardware.memory.bandwith=4TB/s"], "memory.bandwith",
         "memory.bandwidth"),
        (["--on", "h100-sxm", "--set", "hardware.memory.bandwidth=4GB"], "'4GB'", "TB/s"),
        (["--on", "h100-sxm", "--fail-if", "tpto > 3ms"], "'tpto'", "tpot"),
        (["--on", "h100-sxm", "--fail-if", "tpot > 3GB"], "3GB", "20ms"),
        (["--on", "h100-sxm", "--fail-if", "tpot"], "compares nothing", "tpot <= 20ms"),
        (["--on", "h100-sxm", "--set", "framework=vllm"], "framework", "--estimate calibrated"),
        (["--on", "h100-sxm", "--estimate", "calibrated", "--set", "framework=vlm"], "'vlm'",
         "vllm"),
        (["--on", "h100-sxm", "--estimate", "calibrated", "--set", "calibration=nowhere.toml"],
         "nowhere.toml", "mansard calibrate"),
        ([], "no hardware", "--on h100-sxm"),
    ],
)  # fmt: skip
def test_a_bad_option_is_named_and_answered_with_what_to_do(
    run: Run, arguments: list[str], said: str, hint: str
) -> None:
    ran = run("analyze", "qwen2.5-0.5b", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert hint in ran.err.partition("hint:")[2]


def test_a_misspelt_command_or_model_is_answered_with_near_names(run: Run) -> None:
    assert "'analyze'" in run("analyse").err
    assert "'show'" in run("hardware", "shwo").err
    ran = run("analyze", "llama-3.1-8", "--on", "h100-sxm")
    assert (ran.code, ran.out) == (2, "")
    assert "'llama-3.1-8b'" in ran.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b'{"model_type": "llama", "hidden_si', "not valid JSON"),
        (bytes(range(256)) * 4, "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1, 2]", "not an object"),
        (b'"llama"', "not an object"),
        (b'{"hidden_size": 64}', "model_type"),
        (b'{"model_type": "lama"}', "lama"),
        (b'{"model_type": "llama", "vocab_size": NaN}', "NaN"),
    ],
)
def test_a_file_that_is_no_config_is_refused(
    run: Run, tmp_path: Path, content: bytes, said: str
) -> None:
    file, out = tmp_path / "config.json", tmp_path / "out.json"
    file.write_bytes(content)
    ran = run("analyze", str(file), "--on", "h100-sxm", "-o", str(out))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not out.exists()


def test_a_missing_file_a_folder_without_config_and_a_huge_file_are_refused(
    run: Run, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(200 * 2**20)
    for source in (tmp_path / "absent.json", tmp_path, huge):
        ran = run("analyze", str(source), "--on", "h100-sxm")
        assert (ran.code, ran.out) == (2, "")
        assert source.name in ran.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 0), ("hidden_size", -64), ("hidden_size", 64.5), ("hidden_size", "64"),
        ("num_hidden_layers", 10**30), ("num_attention_heads", 0), ("vocab_size", True),
        ("num_key_value_heads", 3), ("num_attention_heads", None), ("intermediate_size", [128]),
    ],
)  # fmt: skip
def test_a_size_no_model_can_have_is_refused_by_its_key(
    run: Run, tmp_path: Path, key: str, value: object
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(LLAMA | {key: value}))
    ran = run("analyze", str(file), "--on", "h100-sxm")
    assert (ran.code, ran.out) == (2, "")
    assert key in ran.err


def test_devices_that_do_not_divide_the_heads_are_refused_by_name(run: Run) -> None:
    ran = run("analyze", "qwen2.5-0.5b", "--on", "h100-sxm:8")
    assert ran.code == 2
    assert "does not divide the 14 heads" in ran.err
    assert run("analyze", "qwen2.5-0.5b", "--on", "h100-sxm:1").code == 0


def test_a_context_beyond_the_models_maximum_is_a_note(run: Run) -> None:
    ran = run("analyze", "qwen2.5-0.5b", "--on", "h100-sxm", "--context", "64k")
    assert ran.code == 0
    assert "[M004]" in ran.err
    assert "32,768" in ran.err


def test_a_model_that_does_not_fit_is_a_note_unless_it_must(run: Run) -> None:
    ran = run("analyze", "llama-3.1-70b", "--on", "h100-sxm")
    assert ran.code == 0
    assert "more than its 85.9 GB" in ran.err
    assert "[M030]" in ran.err
    must = run("analyze", "llama-3.1-70b", "--on", "h100-sxm", "--must-fit")
    assert must.code == 1
    assert "--must-fit" in must.err
    assert must.out == ran.out

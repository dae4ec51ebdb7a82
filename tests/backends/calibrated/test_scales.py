"""Which measured kernels a weight's scales ask for: of a block, a row, a tensor, or none."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import mansard as ms
from mansard.backends.calibrated import predict
from mansard.backends.calibrated.lookup import OTHER_DTYPE, Found, find
from mansard.backends.calibrated.parameters import Calibration, Key, bundled

Asked = Callable[..., set[tuple[str, str]]]
"""(model, chip, techniques) → the (form, dtype) of kernels that are looked up."""

SIZES: dict[str, Any] = {"batch": 4, "prompt": 256, "output": 4}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Return what looks up which sets a question asks for."""

    def run(model: str, on: str, *techniques: str, engine: str = "") -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()

        def spied(key: Key, chip: str, family: str, own: Calibration | None = None) -> Found:
            found.add((key.form, key.dtype))
            return find(key, chip, family, own)

        monkeypatch.setattr(predict, "find", spied)
        given = {"framework": engine} if engine else {}
        ms.analyze(model, on=on, estimate="calibrated", techniques=techniques, set=given, **SIZES)
        return found

    return run


def test_blocks_of_128_by_128_ask_for_kernels_of_blocks_whatever_the_width(asked: Asked) -> None:
    """o_proj of DeepSeek-V3 has 128 heads of 128: rows as long as a block has elements."""
    found = asked("deepseek-v3", "h200-sxm:8", "parallel:tp=8")
    assert {("gemm", "fp8_block"), ("moe", "fp8_block")} <= found
    assert not {("gemm", "fp8"), ("moe", "fp8")} & found


def test_groups_of_128_in_a_row_ask_for_kernels_of_blocks(asked: Asked) -> None:
    found = asked("llama-3.1-8b", "h200-sxm", "quantize:weights=fp8,activations=fp8,group=128")
    assert ("gemm", "fp8_block") in found
    assert ("gemm", "fp8") not in found


@pytest.mark.parametrize("ranks", ["parallel:tp=8", "parallel:tp=2,dp=4"])
@pytest.mark.parametrize("per", ["", ",per=channel"])
def test_a_scale_a_tensor_or_a_row_asks_for_the_kernels_that_scale_at_the_end(
    asked: Asked, per: str, ranks: str
) -> None:
    """Rows of Llama-3.1-405B are 16384 long, and stay groups of it where ranks divide them."""
    technique = f"quantize:weights=fp8,activations=fp8{per}"
    found = asked("llama-3.1-405b", "h200-sxm:8", technique, ranks)
    assert ("gemm", "fp8") in found
    assert ("gemm", "fp8_block") not in found


@pytest.mark.parametrize(
    ("weights", "activations", "scheme"),
    [
        ("nvfp4", "nvfp4", "nvfp4"),
        ("mxfp4", "mxfp4", "mxfp4"),
        ("nvfp4", "fp8", "w4a8_nvfp4_fp8"),
        ("mxfp4", "fp8", "w4a8_mxfp4_mxfp8"),
        ("nvfp4", "", "w4a16_nvfp4"),
        ("mxfp4", "", "w4a16_mxfp4"),
    ],
)
def test_four_bits_are_called_after_how_many_share_a_scale(
    asked: Asked, weights: str, activations: str, scheme: str
) -> None:
    technique = f"quantize:weights={weights}" + f",activations={activations}" * bool(activations)
    assert ("gemm", scheme) in asked("llama-3.1-8b", "b200-sxm", technique)


def test_kernels_of_mxfp4_are_answered_by_those_of_nvfp4_and_it_is_said() -> None:
    found = find(Key("gemm", "", "mxfp4"), "b200-sxm", "blackwell")
    assert (found.one.key.dtype, found.wider) == ("nvfp4", OTHER_DTYPE)
    assert "mxfp4 itself was not measured" in found.basis


def test_attention_of_a_table_that_writes_bf16_is_found_as_it_is_asked_for() -> None:
    found = find(Key("attention_decode", "", "bfloat16/bfloat16"), "h20", "hopper")
    assert found.one.source.startswith("infersim")
    assert found.wider == 1.0


def test_kernels_of_a_tensors_scale_stand_for_those_of_blocks_and_it_is_said() -> None:
    found = find(Key("gemm", "", "fp8_block"), "h20", "hopper")
    assert found.one.key.dtype == "fp8"
    assert found.wider == OTHER_DTYPE
    assert "fp8_block itself was not measured" in found.basis


def mine(tmp_path: Path, *dtypes: str) -> str:
    """Write a calibration of products of an H200 alone, those of some dtypes."""
    known = bundled("h200-sxm")
    assert known is not None
    sets = tuple(s for s in known.sets if s.key.form == "gemm" and s.key.dtype in dtypes)
    path = tmp_path / "mine.toml"
    path.write_text(Calibration("h200-sxm", sets).to_toml(), encoding="utf-8")
    return str(path)


def with_own(path: str) -> ms.Estimate:
    return ms.analyze(
        "llama-3.1-8b", on="h200-sxm", estimate="calibrated", set={"calibration": path},
        techniques=("quantize:weights=fp8,activations=fp8,group=128",), **SIZES,
    )  # fmt: skip


def test_a_users_kernels_of_blocks_serve_weights_of_blocks(tmp_path: Path) -> None:
    found = with_own(mine(tmp_path, "fp8_block"))
    assert "your calibration of h200-sxm" in found.op("layers.down_proj", "decode").basis
    assert not [note for note in found.notes if note.code == "M158"]


def test_a_calibration_that_counts_for_nothing_is_said_with_what_was_asked(tmp_path: Path) -> None:
    found = with_own(mine(tmp_path, "fp8"))
    assert "your calibration" not in found.op("layers.down_proj", "decode").basis
    (note,) = (note for note in found.notes if note.code == "M158")
    has, wants = note.message.split("asked are")
    assert "it has gemm fp8," in has
    assert "gemm fp8_block" in wants
    assert not [note for note in found.notes if note.code == "M083"]


QUESTIONS = (
    ("deepseek-v3", "h200-sxm:8", "", "parallel:tp=8"),
    ("deepseek-v3", "h200-sxm:8", "", "parallel:dp=8,ep=8"),
    ("deepseek-v3", "h200-sxm:8", "vllm", "parallel:dp=8,ep=8"),
    ("deepseek-v3", "h200-sxm:8", "", "quantize:kv=fp8", "parallel:tp=8"),
    ("deepseek-v3", "h200-sxm:8", "", "absorb-mla", "parallel:tp=8"),
    ("deepseek-v3", "h200-sxm:8", "", "absorb-mla", "quantize:kv=fp8", "parallel:tp=8"),
    ("llama-3.1-8b", "h200-sxm", "", "quantize:weights=fp8,activations=fp8,kv=fp8"),
    ("llama-3.1-8b", "a100-sxm-80gb", "", "quantize:weights=int8,activations=int8"),
    ("llama-3.1-8b", "a100-sxm-80gb", "", "quantize:weights=int8"),
    ("mixtral-8x7b", "a100-sxm-80gb", "", "quantize:weights=int4,group=128"),
    ("mixtral-8x7b", "b200-sxm", "", "quantize:weights=nvfp4,activations=nvfp4"),
    ("mixtral-8x7b", "b200-sxm", "", "quantize:weights=fp8,activations=fp8"),
    ("mixtral-8x7b", "b200-sxm", "", "quantize:weights=mxfp4,activations=fp8"),
    ("qwen3-next-80b-a3b", "h200-sxm:8", "", "parallel:tp=8"),
)
"""(model, chip, engine, techniques …) that together ask for every kind of kernel."""

NOT_ASKED = {
    "gemm fp16": "fp16 runs the kernels of bf16 at the same rate: those are asked for",
    "engine": "looked up by the engine's name, not by a kernel",
    "network": "a whole network, which the estimate of served tokens looks up",
    "attention_prefill fp8/fp8": "queries are counted in 16 bits, whatever the cache is in",
    "mla_module": "projections and attention timed as one, which a graph has as several rows",
    "batched_gemm fp8": "timed with the kernel that quantises, which a graph has as its own row",
}
"""Sets that ship and that no question above asks for (all of a form, or one dtype), with why."""


def shipped() -> set[tuple[str, str]]:
    """Return the (form, dtype) of all sets that ship."""
    folder = files("mansard.backends.calibrated")
    names = [p.name for p in folder.iterdir() if p.name.endswith(".toml")]
    known = [bundled(n.removesuffix(".toml")) for n in names if n != "networks.toml"]
    return {(s.key.form, s.key.dtype) for found in known if found for s in found.sets}


def test_every_set_that_ships_is_asked_for_by_some_question_or_named_with_a_reason(
    asked: Asked,
) -> None:
    seen = set[tuple[str, str]]()
    for model, on, engine, *techniques in QUESTIONS:
        seen |= asked(model, on, *techniques, engine=engine)
    left = {key for key in shipped() - seen if key[0] not in NOT_ASKED}
    assert {" ".join(key) for key in left} <= NOT_ASKED.keys()


def test_what_is_named_as_not_asked_for_ships() -> None:
    known = shipped()
    assert NOT_ASKED.keys() <= {f for f, _ in known} | {" ".join(key) for key in known}

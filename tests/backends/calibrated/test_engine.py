"""Engines: what they add is told from batches and first tokens together, and where it is paid."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import mansard as ms
from mansard.backends.calibrated import end_to_end, fitting, stacks
from mansard.backends.calibrated.attention_rows import widen_s
from mansard.backends.calibrated.engine import ENGINE, slowing
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.row_figures import RowFigures
from mansard.backends.chips import load

CHIP = load("h100-sxm")
NAMES = [p.name for p in ENGINE.parameters]
MADE = {
    "step_s": 1e-3, "layer_s": 6e-6, "ranks_s": 5e-6, "sequence_s": 8e-5, "prefill": 1.1,
    "decode": 1.0, "attend": 1.1, "grouped": 1.8, "widen": 35.0,
}  # fmt: skip


def batches(made: dict[str, float], *, first: bool) -> Columns:
    """Return batches that read as many tokens as they make, and their first tokens."""
    values = tuple(made[name] for name in NAMES)
    rows = []
    lengths = (128, 256, 512, 1024, 2048)
    for (layers, group), batch, length in product(
        ((32, 1), (40, 4), (48, 8)), (1, 16, 64), lengths
    ):
        for steps in (length, 1) if first else (length,):
            decode_s = 2.5e-4 * layers * (steps - 1)
            attended = 1e-9 * layers * batch * 1.5 * length * (steps - 1) / group
            sizes = {
                "layers": float(layers), "hidden": 4096.0, "parameters": layers * 2e8,
                "tp": 1.0, "batch": float(batch), "steps": float(steps), "peak": 1.0,
                "prefill_s": 8e-7 * layers * batch * length, "decode_s": decode_s,
                "attention_s": attended if group == 1 else 0.0,
                "grouped_s": attended if group > 1 else 0.0, "widen_s": 0.0,
            }  # fmt: skip
            sizes["bound_s"] = 0.6 * (sizes["prefill_s"] + decode_s)
            seconds = ENGINE.seconds(values, sizes, facts(CHIP), PLAIN)
            shape = tuple(sizes[name] for name in ENGINE.shape)
            text = f"{layers},{batch},{length},{steps}"
            key = Key("engine", "made")
            rows.append(Measurement(key, CHIP.id, sizes, shape, seconds, text, "made.csv"))
    return fitting.columns(rows, facts(CHIP))[0]


def test_first_tokens_tell_a_prefill_from_what_each_sequence_costs() -> None:
    slow = MADE | {"prefill": 2.0, "sequence_s": 2e-5}
    for made in (MADE, slow):
        found = dict(zip(NAMES, fitting.fit(batches(made, first=True)), strict=True))
        for name in ("prefill", "sequence_s", "decode", "grouped"):
            assert found[name] == pytest.approx(made[name], rel=0.1), name


def test_batches_alone_leave_a_slow_prefill_to_the_prior() -> None:
    slow = MADE | {"prefill": 2.0, "sequence_s": 2e-5}
    found = dict(zip(NAMES, fitting.fit(batches(slow, first=False)), strict=True))
    assert found["prefill"] < 1.6
    assert found["sequence_s"] > 1.5 * slow["sequence_s"]


def test_first_tokens_have_a_band_of_their_own() -> None:
    rows = batches(MADE, first=True)
    drawn = np.random.default_rng(2).standard_normal(rows.rows)
    first = rows.sizes["steps"] == 1
    noisy = rows.seconds * np.exp(np.where(first, 0.3, 0.03) * drawn)
    noisy_rows = Columns(
        rows.key, rows.law, rows.chip, rows.sizes, noisy, rows.fold, rows.shapes, "", ""
    )
    one, _, ratio = stacks.fit_all([stacks.Stack(CHIP.id, noisy_rows)])[CHIP.id][rows.key]
    assert one.first is not None
    assert one.first[0] < 0.8 < 0.9 < one.low < 1 < one.high < 1.1 < 1.25 < one.first[1]
    (whole, is_whole), (token, is_token) = stacks.parts(rows.key, noisy_rows)
    assert (whole.family, token.family) == ("", stacks.FIRST)
    assert (is_token == first).all()
    assert (is_whole == ~first).all()
    assert np.isfinite(ratio).all()


@pytest.mark.parametrize(
    ("phase", "kind", "heads", "times"),
    [
        ("prefill", "attention", 8.0, 1.1),
        ("prefill", "linear", 8.0, 1.1),
        ("decode", "linear", 8.0, 1.0),
        ("decode", "attention", 32.0, 1.2),
        ("decode", "attention", 8.0, 1.2 * 1.8),
    ],
)
def test_attention_that_shares_a_cache_is_slowed_the_most(
    phase: str, kind: str, heads: float, times: float
) -> None:
    values = (*(1e-6,) * 4, 1.1, 1.0, 1.2, 1.8, 35.0)
    form = "attention_decode" if kind == "attention" and phase == "decode" else "gemm"
    found = slowing(values, phase, kind).of(form, {"heads": 32.0, "kv_heads": heads}, PLAIN)
    assert found == pytest.approx(times)
    assert slowing(None, phase, kind).of(form, {}, PLAIN) == 1.0


def test_no_engine_slows_a_latent_cache_as_a_shared_one() -> None:
    found = slowing((*(1e-6,) * 4, 1.1, 1.0, 1.2, 1.8, 35.0), "decode", "attention")
    assert found.of("mla_decode", {"heads": 128.0}, PLAIN) == 1.2


def test_a_first_token_is_read_as_a_batch_of_one_token(tmp_path: Path) -> None:
    names = "gpu,model,precision,framework,tp,mode,batch,concurrency,isl,osl,ttft_ms,tpot_ms,e2e_ms"
    row = "Nvidia H100,meta-llama/Meta-Llama-3-8B,fp16/bf16,vLLM,1,static-batch,16,,1024,1024"
    (tmp_path / "e2e").mkdir()
    table = tmp_path / "e2e" / "lib_ttft.csv"
    table.write_text(f"{names},out_tok_s\n{row},426,,11000,\n{row},,,11000,\n", encoding="utf-8")
    (model, found), *rest = end_to_end.read_first(tmp_path)
    assert not rest  # a row without a first token is none
    assert (model, found.seconds, found.sizes["osl"]) == ("llama-3-8b", 0.426, 1.0)
    assert not list(end_to_end.read(tmp_path))  # its batch stands in the table of batches, too


def test_a_time_to_first_token_takes_the_band_of_first_tokens() -> None:
    found = ms.analyze("llama-3.1-8b", on="h100-sxm", batch=4, prompt=256, output=8,
                       estimate="calibrated", set={"framework": "vllm"}).calibrated  # fmt: skip
    assert found is not None
    engine = next(b.fit for b in found.bases if b.form == "engine")
    assert engine is not None
    low, high = found.bands["ttft_s"].low, found.bands["ttft_s"].high
    ends = engine.found.band(first=True)
    assert ends != engine.found.band()
    assert high / low == pytest.approx(ends[1] / ends[0])


def decode_s(on: str, cache: str, batch: int = 16) -> float:
    techniques = [f"quantize{{kv={cache}}}"] if cache else []
    found = ms.analyze("llama-3.1-8b", on=on, batch=batch, prompt=1024, output=64,
                       techniques=techniques, estimate="calibrated",
                       set={"framework": "vllm"})  # fmt: skip
    assert found.tpot is not None
    return found.tpot


def test_a_cache_in_fp8_costs_time_where_the_chip_has_none_and_saves_it_where_it_has() -> None:
    """A100, batch 16 × (1024 + 1024): 52.3 s measured in fp8, 19.9 s in 16 bits [LIB, Fig. 3]."""
    a100 = decode_s("a100-sxm-40gb", "fp8") / decode_s("a100-sxm-40gb", "")
    assert 1.8 < a100 < 3.0
    assert decode_s("h100-sxm", "fp8") < decode_s("h100-sxm", "")
    assert decode_s("a100-sxm-40gb", "int8") <= decode_s("a100-sxm-40gb", "")


def test_widening_is_said_and_is_the_same_for_arrays() -> None:
    row = RowFigures("attention", {}, cache="fp8")
    z = {"heads": 32.0, "kept": 256.0}
    a100 = load("a100-sxm-40gb")
    lanes = 108 * 64 * 1.41e9
    full = widen_s(row, {**z, "batch": 64.0, "kv_len": 4096.0}, a100, PLAIN)
    assert full == pytest.approx(64 * 32 * 4096 * 256 / lanes, rel=0.01)
    one = widen_s(row, {**z, "batch": 1.0, "kv_len": 512.0}, a100, PLAIN)
    assert one == pytest.approx(32 * 512 * 256 / lanes * (3 * 108 / 32), rel=0.01)  # few blocks
    many = {**z, "batch": np.array([64.0, 1.0]), "kv_len": np.array([4096.0, 512.0])}
    assert widen_s(row, many, a100, np) == pytest.approx([full, one])
    assert widen_s(row, z, load("h100-sxm"), PLAIN) == 0.0
    assert widen_s(RowFigures("attention", {}, cache="int8"), z, a100, PLAIN) == 0.0
    found = ms.analyze("llama-3.1-8b", on="a100-sxm-40gb", prompt=256, output=4,
                       techniques=["quantize{kv=fp8}"], estimate="calibrated")  # fmt: skip
    bases = {row.kind: row.basis for row in found.decode.ops}
    assert "widened in software" in bases["attention"]
    assert "widened" not in bases["linear"]


def test_quantized_batches_are_read_by_what_their_precision_says(tmp_path: Path) -> None:
    names = "gpu,model,precision,framework,tp,mode,batch,concurrency,isl,osl,ttft_ms,tpot_ms,e2e_ms"
    row = 'Nvidia A100,meta-llama/Meta-Llama-3-8B,"{}",vLLM,1,static-batch,16,,128,128,,,2000,'
    said = ("Weight = fp16, KV Cache = fp8", "Weight = fp8, KV Cache = fp8", "Weight = fp6")
    (tmp_path / "e2e").mkdir()
    lines = [f"{names},out_tok_s", *(row.format(one) for one in said)]
    (tmp_path / "e2e" / "lib_quant.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = [one for _, one in end_to_end.read_quantized(tmp_path)]
    assert [one.key.dtype for one in found] == ["fp8 cache", "fp8"]
    assert [(one.sizes["w_bytes"], one.sizes["kv_bytes"]) for one in found] == [(2, 1), (1, 1)]

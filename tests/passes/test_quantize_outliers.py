"""Scales per channel and outliers kept wide: bits and FLOPs counted to the last one."""

from __future__ import annotations

import pytest
import sympy as sp
from tests.passes.models import KNOWN, O1, by_place_and_role, figures, model, of, plain, through
from tests.passes.test_quantize import BEFORE

from mansard.core.errors import MansardError
from mansard.core.symbols import T
from mansard.ir import parse_graph
from mansard.ir.footprint import model_facts, storages
from mansard.passes.pipeline import parse, run

LLAMA = "llama-3.1-8b"  # hidden 4096, width 14336, 8 KV heads of 128, 32 layers
ROWS = {4096: 4096 + 2 * 1024 + 4096 + 2 * 14336, 14336: 4096}
"""Input features of a layer's products → rows of all matrices with as many."""

CHANNELS = """
graph(%x: bf16[T, 64]) {
  weight %up.weight: int8g64s16z0(bf16)[256, 64]
  weight %lm_head.weight: bf16[512, 256]
  %up.quantize: int8g64s16z0(bf16)[T, 64] = quantize(%x, to=encoding<int8g64s16z0(bf16)>)
  %up: bf16[T, 256] = linear(%up.quantize, %up.weight)
  %lm_head: bf16[T, 512] = linear(%up, %lm_head.weight)
  return %lm_head
}
"""
SPARSE_OUTLIERS = """
graph(%x: bf16[T, 64]) {
  weight %up.weight: int3g16s3z3(bf16)+1/100@{bf16i16}[256, 64]
  weight %lm_head.weight: bf16[512, 256]
  %up.dequantize: bf16[256, 64] = dequantize(%up.weight, times=ceil_div(T, 128)) #up
  %up: bf16[T, 256] = linear(%x, %up.dequantize) #up
  %lm_head: bf16[T, 512] = linear(%up, %lm_head.weight)
  return %lm_head
}
"""
OUTLIER_FEATURES = """
graph(%x: bf16[T, 64]) {
  weight %up.weight: int8(bf16)[256, 64]
  weight %lm_head.weight: bf16[512, 256]
  %up.quantize: int8(bf16)[T, 64] = quantize(%x, to=encoding<int8(bf16)>)
  %up.narrow: bf16[T, 256] = partial_linear(%up.quantize, %up.weight, share=15/16, tokens=1, \
axis="in") "up"
  %up.outliers.dequantize: bf16[256, 64] = dequantize(%up.weight, times=ceil_div(T, 128), \
share=1/16) #up.outliers
  %up.outliers: bf16[T, 256] = partial_linear(%x, %up.outliers.dequantize, share=1/16, tokens=1, \
axis="in") #up.outliers
  %up: bf16[T, 256] = add(%up.narrow, %up.outliers) "up.outliers_add" #up.outliers
  %lm_head: bf16[T, 512] = linear(%up, %lm_head.weight)
  return %lm_head
}
"""


@pytest.mark.parametrize(
    ("options", "after"),
    [
        ("weights=int8 activations=int8 per=channel", CHANNELS),
        ("weights=int3 group=16 scale-bits=3 zero-bits=3 outliers=0.01", SPARSE_OUTLIERS),
        ("weights=int8 activations=int8 outliers=0.0625", OUTLIER_FEATURES),
    ],
)
def test_golden_ir_of_channels_and_outliers(options: str, after: str) -> None:
    text = str(through(parse_graph(BEFORE), f"quantize{{{options}}}").graph())
    assert text.strip() == after.strip()


def test_a_channel_has_one_scale_for_each_row_of_its_matrix() -> None:
    """8 bits an element and one fp16 scale a row, matrix by matrix."""
    before, after = (
        by_place_and_role(through(model(LLAMA), text).graph().cost)["memory", "weight"]
        for text in ("", "quantize{weights=int8 per=channel}")
    )
    elements = sum(width * rows for width, rows in ROWS.items())
    rows = sum(ROWS.values())
    assert sp.expand(before - after) == 32 * (elements * (2 - 1) - rows * 2)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("share", ["0.001", "0.01", "0.05"])
def test_sparse_outliers_are_a_wide_value_and_a_column_each(bits: int, share: str) -> None:
    """Counted one by one: every position narrow, a scale and a zero a group, 32 bits an outlier."""
    rows, width, group, few = 1000, 1600, 16, sp.Rational(share)
    dense = rows * width * bits + rows * (width // group) * (16 + 4)
    outliers = int(rows * width * few) * (16 + 16)
    option = f"weights=int{bits} group={group} zero-bits=4 outliers={share}"
    graph = through(model(LLAMA), f"quantize{{{option}}}").graph()
    encoding = storages(graph)["model.layers.{i}.mlp.up_proj.weight"].value.encoding
    assert encoding.bits * rows * width == dense + outliers


def test_sparse_outliers_change_no_flop_of_the_matrix_unit() -> None:
    plain_, kept = (
        figures(through(model(LLAMA), f"quantize{{weights=int4 group=128{o}}}"))
        for o in ("", " outliers=0.02")
    )
    assert {k: n for k, n in plain_.items() if k != ("memory", "weight")} == {
        k: n for k, n in kept.items() if k != ("memory", "weight")
    }


@pytest.mark.parametrize("share", ["0.001", "0.01", "0.25"])
def test_products_of_outlier_features_sum_to_the_whole(share: str) -> None:
    """FLOPs by dtype: the wide columns, rounded to whole ones, there; all others narrow."""
    alone, split = (
        figures(through(model(LLAMA), f"quantize{{weights=int8 activations=int8{o}}}"))
        for o in ("", f" outliers={share}")
    )
    wide = sum(2 * rows * max(round(width * float(share)), 1) * 32 for width, rows in ROWS.items())
    narrow, other = ("matrix", "int8", "dense"), ("matrix", "bf16", "dense")
    assert plain(split[other] - alone[other] - wide * T) == 0
    assert plain(alone[narrow] - split[narrow] - wide * T) == 0
    assert split["memory", "weight"] == alone["memory", "weight"]  # each column is read once
    # Seven second products a layer; both norms and the activation, which the wide product reads
    # too, are stored before they are quantized by a kernel of its own.
    assert split["launches"] - alone["launches"] == 32 * (7 + 3)


def test_outlier_features_change_no_count_of_the_model() -> None:
    program = through(model(LLAMA), "quantize{weights=int8 activations=int8 outliers=0.01}")
    after, before = model_facts(program), model_facts(model(LLAMA))
    assert (after.params, after.active_params) == (before.params, before.active_params)


@pytest.mark.parametrize("name", ["gpt2", "qwen3-8b", "gemma-2-9b"])
def test_outlier_features_and_fused_kernels_commute_in_work(name: str) -> None:
    asked = "quantize{weights=int8 activations=int8 outliers=0.02}"
    one = figures(through(model(name), f"{asked},fuse-attention"))
    assert one == figures(through(model(name), f"fuse-attention,{asked}"))
    late = figures(through(model(name), f"{O1},{asked}"))
    early = figures(through(model(name), f"{asked},{O1}"))
    for key in {k for k in {*early, *late} if isinstance(k, tuple) and k[0] == "matrix"}:
        assert early[key] == late[key]


def test_a_mixture_says_that_its_experts_keep_no_feature_wide() -> None:
    text = "quantize{weights=int8 activations=int8 outliers=0.01}"
    _, (done,) = run(model("mixtral-8x7b-v0.1"), parse(text, KNOWN))
    assert [n.code for n in done.notes] == ["M023"]
    assert run(of(parse_graph(BEFORE)), parse(text, KNOWN))[1][0].notes == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("weights=int4 per=row", "per"),
        ("weights=int4 per=channel group=64", "group=64 and per=channel"),
        ("weights=int4 outliers=1.5", "above 0.5"),
        ("weights=int4 outliers=-0.1", "below 0"),
        ("weights=int4 outliers=many", "outliers"),
        ("weights=int4 outlier=0.1", "outlier"),
        ("kv=int4 outliers=0.01", "outliers without weights"),
        ("weights=int4 zero-bits=4", "zero-bits=4 of no group"),
    ],
)
def test_options_that_contradict_are_refused_with_a_hint(options: str, words: str) -> None:
    with pytest.raises(MansardError, match=words) as caught:
        parse(f"quantize{{{options}}}", KNOWN)
    assert caught.value.hint

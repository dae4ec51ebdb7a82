"""Pipelines as text: both forms, the printed form, and what bad input gets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.passes.models import KNOWN, O1, model

from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.core.symbols import P, S
from mansard.ir.op import Op
from mansard.ir.ops import Scores
from mansard.passes.fuse_attention import FuseAttention
from mansard.passes.limit_kv import LimitKv
from mansard.passes.pipeline import parse, run, with_level, written
from mansard.passes.quantize import Quantize
from mansard.passes.speculative_decode import SpeculativeDecode
from mansard.passes.technique import Pass

names = st.text(st.characters(codec="utf-8"), max_size=12)
fused = st.builds(FuseAttention, on=names, skip_masked=st.booleans())
quantized = st.builds(
    Quantize,
    weights=st.sampled_from(["int4", "fp8", "mxfp4"]),
    group=st.integers(0, 10**6),
    skip=st.lists(names, max_size=4).map(tuple),
)


@given(st.lists(st.one_of(fused, quantized), max_size=4))
def test_the_printed_form_reads_back(passes: list[Pass]) -> None:
    assert parse(written(passes), KNOWN) == tuple(passes)


@given(st.floats(0, 1e3))
def test_a_time_is_printed_with_its_unit_and_reads_back(lookup: float) -> None:
    known = {"speculative-decode": SpeculativeDecode}
    asked = SpeculativeDecode(draft="ngram", lookup=lookup)
    assert parse(str(asked), known) == (asked,)
    assert not lookup or str(asked).endswith("s}")


def test_a_number_without_the_unit_of_its_option_is_refused_and_tokens_need_none() -> None:
    known = {"speculative-decode": SpeculativeDecode, "limit-kv": LimitKv}
    with pytest.raises(SpecError, match="lookup: 5 has no unit: time needs one"):
        parse("speculative-decode:lookup=5", known)
    assert parse("limit-kv:window=1k", known) == parse("limit-kv:window=1024", known)
    with pytest.raises(SpecError, match="gamma is '1k', not a whole number"):
        parse("speculative-decode:gamma=1k", known)


def test_the_short_form_is_the_same_pass_and_may_be_followed_by_another() -> None:
    short = parse("quantize:weights=int4,group=128,fuse-attention:skip-masked=false", KNOWN)
    braces = parse("quantize{weights=int4 group=128},fuse-attention{skip-masked=false}", KNOWN)
    assert (
        short == braces == (Quantize(weights="int4", group=128), FuseAttention(skip_masked=False))
    )


def test_only_options_that_differ_from_their_default_are_printed() -> None:
    assert written([FuseAttention(), FuseAttention(skip_masked=False)]) == (
        "fuse-attention,fuse-attention{skip-masked=false}"
    )


@pytest.mark.parametrize("text", ["007", "1.50", "true", "1e3", "a b", "2:4", "", '"', "\\", "[x]"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    made = (FuseAttention(on=text),)
    assert parse(written(made), KNOWN) == made


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("fuse-atention", "fuse-attention"),
        ("quantize{weigths=int4}", "weights"),
        ("quantize{weights=int44}", "int4"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(text: str, near: str) -> None:
    with pytest.raises(MansardError) as caught:
        parse(text, KNOWN)
    assert near in str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        "quantize{weights=int4",
        "quantize{weights=}",
        "quantize{=int4}",
        "quantize{weights=int4 weights=int8}",
        "quantize{weights=int4 group=many}",
        "quantize{weights=int4 group=1e400}",
        "quantize{weights=int4 group=2.5}",
        "fuse-attention{skip-masked=no}",
        "quantize{weights=[int4]}",
        "quantize{weights=int4 skip=[a [b]]}",
        "quantize{skip=" + "[" * 9000,
        "fuse-attention fuse-attention",
        "{}",
        '"',
        "x" * 30_000,
    ],
)
def test_text_that_is_no_pipeline_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(MansardError) as caught:
        parse(text, KNOWN)
    assert caught.value.hint


@pytest.mark.parametrize(
    "options",
    [{"group": "128"}, {"group": 1.5}, {"group": True}, {"skip": "lm_head"}, {"skip": ["lm_head"]}],
)
def test_an_option_of_the_wrong_type_is_refused_in_python_too(options: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=f"quantize: {next(iter(options))} is"):
        Quantize(weights="int4", **options)  # type: ignore[arg-type]


def test_a_level_comes_last_and_leaves_out_what_the_user_placed() -> None:
    mine = (FuseAttention(skip_masked=False), Quantize(weights="int4"))
    assert [p.name for p in with_level(mine, "O1", KNOWN)] == [
        "fuse-attention", "quantize", "fuse-elementwise", "merge-qkv",
    ]  # fmt: skip
    assert with_level(mine, "O0", KNOWN) == mine
    with pytest.raises(UnknownNameError):
        with_level(mine, "O9", KNOWN)


def test_a_pass_that_matched_nothing_returns_its_input_and_says_so() -> None:
    once, _ = run(model("gpt2"), parse("fuse-attention", KNOWN))
    again, (done,) = run(once, parse("fuse-attention", KNOWN))
    assert again is once
    assert [note.code for note in done.notes] == ["M020"]


def test_a_failure_names_the_pass_and_those_before_it() -> None:
    with pytest.raises(UnknownNameError) as caught:
        run(model("gpt2"), parse("fuse-elementwise,fuse-attention{on=draft}", KNOWN))
    assert str(caught.value).startswith("fuse-attention{on=draft} after fuse-elementwise: ")
    assert isinstance(caught.value.__cause__, UnknownNameError)


def test_requires_and_conflicts_are_checked_in_order() -> None:
    class Late(FuseAttention):
        """Works on what quantize makes."""

        name = "late"
        requires = ("quantize",)
        conflicts = ("merge-qkv",)

    known = {**KNOWN, "late": Late}
    for text, words in (
        ("late", "not in the pipeline"),
        ("late,quantize{weights=int4}", "comes after it"),
        ("quantize{weights=int4},merge-qkv,late", "cannot follow merge-qkv"),
    ):
        with pytest.raises(SpecError, match=words):
            run(model("gpt2"), parse(text, known))
    assert run(model("gpt2"), parse("quantize{weights=int4},late", known))[1][1].matches == 1


def test_a_phase_gets_a_variant_that_later_passes_reach_too() -> None:
    program, _ = run(
        model("llama-3.1-8b"), parse(f"quantize{{weights=int4 phase=decode}},{O1}", KNOWN)
    )
    assert set(program.graphs) == {"target", "target@decode"}
    for name in program.graphs:
        labels = {op.kernel for op, _ in program.graph(name).walk() if isinstance(op, Scores)}
        assert labels == {"layers.attention"}
    with pytest.raises(UnknownNameError, match="decod"):
        run(model("llama-3.1-8b"), parse("quantize{weights=int4 phase=decod}", KNOWN))


def test_an_indexers_scores_stay_apart_and_its_attention_is_fused() -> None:
    """DeepSeek-V3.2 leaves out keys between scores and softmax [DeepSeek-AI 2025, eq. 1]."""
    program, _ = run(model("deepseek-v3.2"), parse(O1, KNOWN))
    kernel: dict[str, Op] = {op.name: op for op, _ in program.graph().walk()}
    assert kernel["layers.keep_chosen"].kernel == kernel["layers.scores"].kernel != ""
    assert kernel["layers.index_scores"].kernel != kernel["layers.scores"].kernel
    assert "layers.q_b_proj+index_q" not in kernel


def test_a_cache_of_which_a_mask_picks_keys_is_not_decoded_whole() -> None:
    program, _ = run(model("deepseek-v3.2"), parse("quantize{kv=fp8}", KNOWN))
    picking = [op for op, _ in program.graph().walk()
               if isinstance(op, Scores) and op.mask.kind == "budget"]  # fmt: skip
    assert picking
    for op in picking:
        assert replace(op.mask).reach(S, P) != op.k.shape[2]
        assert f"{op.name}.dequantize" not in {o.name for o, _ in program.graph().walk()}

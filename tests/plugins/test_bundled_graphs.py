"""Bundled techniques that rewrite graphs, each against the formula of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import sympy as sp

import mansard as ms
from mansard.core.symbols import PARAMETERS, T, ragged
from mansard.plugins.bundled.rotate_activations import Hadamard
from mansard.plugins.bundled.vector_quantize import LookUpCodes
from mansard.testing import rewritten

B, S, P = (PARAMETERS[name] for name in "BSP")
LAYERS, HEADS, KV, D, HIDDEN = 16, 32, 8, 64, 2048  # of llama-3.2-1b
CONTEXT: Mapping[str, Any] = {"on": "h100-sxm", "context": 8191}


def asked(technique: str = "", model: str = "llama-3.2-1b", **changes: Any) -> ms.Estimate:
    """A decode step over 8192 tokens, the new one included, unless asked otherwise."""
    specs = [technique] if technique else []
    return ms.analyze(model, techniques=specs, **{**CONTEXT, **changes})


def attention_matrix(program: ms.Program) -> sp.Expr:
    """FLOP of the matrix unit in everything that is no product with a weight."""
    kinds = {"scores", "values", "linear_attention", "project_tokens"}
    found = [
        n * trips
        for op, trips in program.graph().walk()
        if op.kind in kinds
        for (unit, _, _), n in op.cost().flops.items()
        if unit == "matrix"
    ]
    return sp.expand(ragged(sp.Add(*found)))


def test_linear_attention_costs_the_same_at_every_context() -> None:
    program = rewritten("llama-3.2-1b", "linear-attention{chunk=1}")
    found = attention_matrix(program).xreplace({S: sp.S.One})
    per_head = 4 * D * D + 2 * (D + D)  # through the state, and inside a block of one token
    assert sp.expand(found - B * LAYERS * HEADS * per_head) == 0
    short, long = (asked("linear-attention", context=n).decode for n in (100, 100_000))
    assert short.flops == long.flops
    assert short.kv_bytes == long.kv_bytes == 2 * LAYERS * HEADS * D * D * 2


def test_linear_attention_has_a_state_and_no_cache() -> None:
    made = asked("linear-attention{features=128}")
    assert made.memory.kv_cache == LAYERS * HEADS * 128 * D * 2
    assert made.decode.kv_bytes == 2 * made.memory.kv_cache


def test_selecting_reads_the_budget_and_the_summaries_of_all_pages() -> None:
    plain, made = asked(), asked("select-keys{budget=1024 page=16}")
    row = KV * D * 2 * LAYERS  # bytes of one key of every layer
    scanned = 512 * 2 * row + 2 * row / 16  # 512 pages of two vectors, a sixteenth of one written
    read = 2 * 1024 * row
    assert plain.decode.kv_bytes == (2 * 8192 + 2) * row
    assert made.decode.kv_bytes == pytest.approx(read + 2 * row + scanned)
    assert made.memory.kv_cache == pytest.approx(plain.memory.kv_cache * (1 + 1 / 16), rel=1e-3)


def test_a_landmark_is_half_of_two_bounds_and_a_prefill_is_left_alone() -> None:
    bounds, landmark = (asked(f"select-keys{{budget=1024 summary={s}}}").decode
                        for s in ("bounds", "landmark"))  # fmt: skip
    row = KV * D * 2 * LAYERS
    assert bounds.kv_bytes - landmark.kv_bytes == pytest.approx((512 + 1 / 16) * row)
    both = ms.analyze("llama-3.2-1b", on="h100-sxm", techniques=["select-keys{budget=1024}"])
    assert both.ttft == ms.analyze("llama-3.2-1b", on="h100-sxm").ttft


def test_vector_quantization_reads_codes_codebooks_and_a_scale_a_row() -> None:
    plain, made = asked(), asked("vector-quantize{books=2 code=8 vector=8}")
    shapes = [(HIDDEN + 2 * KV * D, HIDDEN), (HIDDEN, HIDDEN), (2 * 8192, HIDDEN), (HIDDEN, 8192)]
    old = sum(n * k * 2 for n, k in shapes) * LAYERS
    rows = [(n, k) for n, k in shapes]
    new = sum(n * k * 2 / 8 + n * 2 for n, k in rows) * LAYERS
    books = 7 * 2 * 2**8 * 8 * 2 * LAYERS  # q, k, v, o, gate, up, down
    assert plain.decode.weight_bytes - made.decode.weight_bytes == pytest.approx(old - new - books)


def test_a_look_up_adds_one_vector_less_than_there_are_codebooks() -> None:
    program = rewritten("llama-3.2-1b", "vector-quantize{books=4 code=8 vector=8}")
    looks = [op for op, _ in program.graph().walk() if isinstance(op, LookUpCodes)]
    assert len(looks) == 7
    assert all(op.cost().total_flops == 3 * op.codes.numel for op in looks)
    with pytest.raises(ms.MansardError, match="bits a weight"):
        rewritten("llama-3.2-1b", "vector-quantize{books=1 code=12 vector=8}")


def test_entropy_coding_stores_less_and_moves_more_unless_it_decodes_on_chip() -> None:
    plain, memory = asked(), asked("entropy-code{bits=11}")
    chip = asked("entropy-code{bits=11 where=chip}")
    weights = sum(n * k for n, k in ((3072, 2048), (2048, 2048), (16384, 2048), (2048, 8192)))
    weights *= LAYERS
    saved = weights * 5 / 8
    assert plain.memory.weights - memory.memory.weights == pytest.approx(saved)
    assert plain.memory.weights - chip.memory.weights == pytest.approx(saved)
    assert plain.decode.bytes - chip.decode.bytes == pytest.approx(saved)
    assert memory.decode.bytes - plain.decode.bytes == pytest.approx(weights * (11 + 16) / 8)


def test_mixtures_of_tokens_make_an_encoders_attention_linear() -> None:
    program = rewritten("bert-base-uncased", "low-rank-attention{rank=64}")
    found = attention_matrix(program)
    layers, width, rank = 12, 768, 64
    expected = layers * B * S * rank * width * (4 + 4)  # scores and values; two projections
    assert sp.expand(found - expected) == 0


def test_attention_over_a_cache_is_not_projected() -> None:
    answer = asked("low-rank-attention")
    assert [n.code for n in answer.notes if "low-rank-attention" in n.message] == ["M020"]


def test_a_rotation_is_log2_additions_an_element() -> None:
    b = ms.Builder()
    graph = b.done(b(Hadamard(b.input("x", T, 14336)), "y"))
    assert graph.cost.total_flops == T * 14336 * (11 + 7 - 1)  # 14336 = 2^11 · 7
    program = rewritten("llama-3.2-1b", "rotate-activations")
    extra = [op.cost().total_flops * n for op, n in program.graph().walk()
             if isinstance(op, Hadamard)]  # fmt: skip
    assert sp.expand(sp.Add(*extra) - LAYERS * T * (2048 * 11 + 8192 * 13)) == 0


def test_narrow_exchanges_have_fewer_bits_and_conversions_around_them() -> None:
    program = rewritten("llama-3.2-1b", "parallel{tp=2}")
    narrow = rewritten(program, ("parallel{tp=1}", "compress-collectives{dtype=int8 group=128}"))
    before = {link: n for link, n in program.graph().cost.payload.items() if n != 0}
    after = narrow.graph().cost.payload
    bits = {n: sp.Rational(8 * 128 + 16, 128) / 16 for n in ("all_reduce", "all_gather")}
    assert {link[0] for link in before} >= {"all_reduce"}
    for link, n in before.items():
        assert sp.expand(ragged(after[link] - n * bits[link[0]])) == 0


def test_exchanges_are_compressed_after_they_were_made() -> None:
    with pytest.raises(ms.MansardError, match="parallel"):
        rewritten("llama-3.2-1b", "compress-collectives")


def test_a_head_of_a_quarter_of_the_vocabulary_costs_a_quarter() -> None:
    plain, made = asked(model="llama-3.1-8b"), asked("trim-vocabulary:keep=0.25", "llama-3.1-8b")
    (before,), (after,) = ([r for r in a.decode.ops if r.name == "lm_head"] for a in (plain, made))
    assert after.flops == before.flops / 4
    assert plain.memory.weights - made.memory.weights == 128256 * 4096 * 2 * 3 // 4


def test_a_tied_head_is_trimmed_with_its_table_or_not_at_all() -> None:
    tied = asked("trim-vocabulary:keep=0.5")
    assert [n.code for n in tied.notes if "trim-vocabulary" in n.message] == ["M020"]
    both = asked("trim-vocabulary{keep=0.5 of=both}")
    assert asked().memory.weights - both.memory.weights == 128256 * 2048


def test_the_draft_alone_can_rank_fewer_tokens() -> None:
    specs = ["speculative-decode{draft=llama-3.2-1b}", "trim-vocabulary{on=draft keep=0.5 of=both}"]
    made = ms.analyze("llama-3.1-8b", on="h100-sxm", techniques=specs)
    plain = ms.analyze("llama-3.1-8b", on="h100-sxm", techniques=specs[:1])
    assert plain.memory.weights - made.memory.weights == 128256 * 2048

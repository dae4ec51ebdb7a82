"""Tensor parallelism: what one rank holds, computes and sends, against the whole."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
from tests.passes.models import plain
from tests.passes.rewriting import applied, model, ops, stored, through

from mansard.core.errors import SpecError
from mansard.core.symbols import Expr, T
from mansard.ir.builder import Builder
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import storages
from mansard.ir.op import Op, like
from mansard.ir.ops import Activation, Add, Append, Collective, Linear, Scores
from mansard.ir.program import TARGET, Call, Program, binding
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.parallel import Parallel

O1 = "fuse-attention,fuse-elementwise,merge-qkv"
FAMILIES = (
    "llama-3.1-8b",  # grouped queries, gated
    "qwen3-8b",  # norms on heads of q and k
    "phi-3-mini-4k-instruct",  # q, k, v and gate, up stored as one
    "gpt2",  # biases, learned positions, tied head, an odd vocabulary
    "mixtral-8x7b-v0.1",  # experts
    "gemma-2-9b",  # soft caps, norms behind blocks
    "bloomz-560m",  # alibi, a norm behind the embedding
    "gpt-j-6b",  # attention and feed-forward side by side
    "deepseek-v2-lite",  # latent attention, shared experts
    "mamba2-780m",  # state spaces
    "qwen3-next-80b-a3b",  # gated delta nets
    "kimi-linear-48b-a3b",  # low-rank gates
)
"""One model for each way in which blocks differ."""


def figures(program: Program) -> dict[object, Expr]:
    """All a call costs: FLOP by unit, bytes by place and role, payload by link, launches."""
    cost = program.graph().cost
    moved = cost.by(lambda v: (v.place, v.role))
    found: dict[Any, Expr] = {**cost.flops, **moved, **cost.payload, "n": cost.launches}
    return {key: plain(value) for key, value in found.items() if plain(value) != 0}


def products(program: Program) -> dict[str, Expr]:
    """FLOP of matrix units by the name of the op, every trip counted."""
    found: dict[str, Expr] = {}
    for op, trips in program.graph().walk():
        if not op.bodies:
            for (unit, _, _), n in op.cost().flops.items():
                if unit == MATRIX:
                    found[op.name] = found.get(op.name, sp.S.Zero) + n * trips
    return {name: plain(n) for name, n in found.items()}


PADDED = {
    "gpt2": {"lm_head"},  # a vocabulary of 50,257
    "mamba2-780m": {"layers.scan"},  # C·Bᵀ, of the one group that in_proj's note names
}
"""Products that are not even for a reason of their own."""


def said_of_copies(pipeline: str, name: str) -> set[str]:
    """Names of the products of which several ranks hold all or a part, as notes list them."""
    (done,) = applied(name, pipeline)[1]
    return {part for note in done.notes for part in note.message.partition(": ")[2].split(", ")
            for part in (part.rpartition(": ")[2],)}  # fmt: skip


def whole_products(pipeline: str, name: str) -> set[str]:
    """Names of the products that a rank holds whole, as the technique's note lists them."""
    (done,) = applied(name, pipeline)[1]
    notes = [
        n.message.partition("tp: ")[2] for n in done.notes if "whole on every rank" in n.message
    ]
    return {part for note in notes for part in note.split(", ")}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_ranks_compute_sums_to_the_whole_and_what_each_repeats_is_named(name: str) -> None:
    whole, rank = products(model(name)), products(through(name, "parallel:tp=2"))
    assert whole.keys() == rank.keys()
    uneven = {n for n in whole if plain(2 * rank[n] - whole[n]) != 0}
    assert uneven - PADDED.get(name, set()) <= said_of_copies("parallel:tp=2", name)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "mixtral-8x7b-v0.1", "gemma-2-9b", "qwen3-8b"])
def test_weights_and_caches_of_all_ranks_are_the_whole_but_for_named_copies(name: str) -> None:
    before, after = (storages(p.graph()) for p in (model(name), through(name, "parallel:tp=4")))
    assert before.keys() == after.keys()
    copied = {k for k in before if plain(after[k].bytes - before[k].bytes) == 0}
    for key in before.keys() - copied:
        assert plain(4 * after[key].bytes - before[key].bytes) == 0, key
    assert all("norm" in key or "gate.weight" in key for key in copied)


def test_a_rank_of_eight_holds_an_eighth_of_llama_70b_but_its_norms_whole() -> None:
    params, norms = 70_553_706_496, 161 * 8192
    held = (params - norms) // 8 + norms
    assert stored(through("llama-3.1-70b", "parallel:tp=8"), "weight") == 2 * held


def test_a_layer_sends_two_messages_of_a_hidden_state_a_token() -> None:
    payload = through("llama-3.1-70b", "parallel:tp=8").graph().cost.payload
    reduced = payload["all_reduce", "tp", sp.Integer(8)]
    assert plain(reduced - (2 * 80 + 1) * T * 8192 * 2) == 0  # and one behind the embedding
    assert set(payload) == {
        ("all_reduce", "tp", sp.Integer(8)),
        ("all_gather", "tp", sp.Integer(8)),
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_fusing_before_dividing_costs_what_dividing_before_fusing_does(name: str) -> None:
    first, last = f"parallel:tp=2,{O1}", f"{O1},parallel:tp=2"
    assert figures(through(name, first)) == figures(through(name, last))


@pytest.mark.parametrize("name", FAMILIES)
def test_quantize_fuse_shard_equals_shard_fuse_quantize(name: str) -> None:
    quantize = "quantize{weights=int4 group=64}"
    first, last = f"{quantize},{O1},parallel:tp=2", f"parallel:tp=2,{O1},{quantize}"
    assert figures(through(name, first)) == figures(through(name, last))


def test_an_epilogue_behind_a_sum_over_ranks_leaves_the_kernel_of_its_product() -> None:
    program = through("llama-3.1-8b", f"{O1},parallel:tp=2")
    labels = {op.name: op.kernel for op, _ in program.graph().walk()}
    assert labels["layers.attn_add"] == labels["layers.ffn_add"] == ""
    assert labels["layers.k_append"] == labels["layers.qkv_proj"] != ""
    assert not any(op.kernel for op in ops(program, Collective))


def test_key_heads_are_held_by_several_ranks_when_there_are_more_ranks_than_heads() -> None:
    program = through("llama-3.1-8b", "parallel:tp=16")
    assert {op.cache.shape[1] for op in ops(program, Append)} == {1}
    assert {op.heads for op in ops(program, Scores)} == {2}
    whole = stored(model("llama-3.1-8b"), "cache")
    assert plain(8 * stored(program, "cache") - whole) == 0


def test_one_all_reduce_adds_up_what_stands_side_by_side() -> None:
    program = through("gpt-j-6b", "parallel:tp=2")
    layer = [op.name for op in ops(program, Collective) if op.name.startswith("layers.")]
    assert layer == ["layers.add.all_reduce"] or len(layer) == 1
    shared = [op.name for op in ops(through("deepseek-v2-lite", "parallel:tp=2"), Collective)]
    assert sum("shared_add" in name or "experts" in name for name in shared) == 1


@pytest.mark.parametrize(
    ("degree", "said"),
    [(3, "the 32 heads of layers.q_proj"), (64, "the 32 heads of layers.q_proj")],
)
def test_a_degree_that_does_not_divide_is_an_error_with_the_divisors(
    degree: int, said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        through("llama-3.1-8b", f"parallel:tp={degree}")
    assert f"tp={degree} does not divide {said}" in str(caught.value)
    assert caught.value.hint == "tp must divide it: 1, 2, 4, 8, 16, 32"


def test_latent_attention_is_divided_alike_when_inputs_of_products_are_quantized() -> None:
    """A checkpoint's own fp8: heads of kv_b and o_proj divide, projections to latents do not."""
    narrow = "quantize{weights=fp8 activations=fp8}"
    _, (_, one) = applied("deepseek-v3", f"{narrow},parallel:tp=8")
    _, (two, _) = applied("deepseek-v3", f"parallel:tp=8,{narrow}")
    whole = "layers.q_a_proj, layers.kv_a_proj, layers.router"
    assert [n.message for n in one.notes] == [f"parallel: whole on every rank of tp: {whole}"]
    assert one.notes == two.notes


def test_factors_that_stay_whole_say_in_which_order_they_are_divided() -> None:
    _, (_, report) = applied("llama-2-7b", "low-rank:keep=0.5,parallel:tp=8")
    assert "put low-rank after parallel" in report.notes[0].message
    made, (_, report) = applied("llama-2-7b", "parallel:tp=8,low-rank:keep=0.5")
    assert not report.notes
    assert stored(made, "weight") < stored(through("llama-2-7b", "parallel:tp=8"), "weight")


def test_one_device_is_the_identity() -> None:
    program = model("llama-3.1-8b")
    done = Parallel().run(program)
    assert done.program is program
    assert not done.notes


def test_dividing_twice_is_an_error() -> None:
    with pytest.raises(SpecError, match="already divided"):
        through("llama-3.1-8b", "parallel:tp=2,parallel:dp=2")
    with pytest.raises(SpecError, match="dp=2 was already asked for"):
        through("llama-3.1-8b", "parallel:dp=2,parallel{dp=2 phase=decode}")


class Mystery(Op):
    """An op nobody wrote a rule for."""

    x: Value

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        return (like(self.x),)


def test_an_op_without_a_rule_on_a_divided_value_is_named() -> None:
    b = Builder()
    x = b.input("x", T, 64)
    inner = b(Linear(x, b.leaf("up", 128, 64)), "up")
    out = b(Linear(b(Mystery(inner), "odd"), b.leaf("down", 64, 128)), "down")
    program = Program({TARGET: b.done(out)}, (Call(TARGET, binding(1, 1, 0), ("down",)),))
    with pytest.raises(SpecError, match="no rule how mystery %odd works"):
        Parallel(tp=2).run(program)


def test_a_router_reads_every_logit_and_stays_whole() -> None:
    assert whole_products("parallel:tp=8", "mixtral-8x7b-v0.1") == {"layers.router"}
    latent = whole_products("parallel:tp=8", "deepseek-v2-lite")
    assert latent == {"layers.kv_a_proj", "layers.router"}


def test_the_one_key_head_of_multi_query_attention_is_whole_on_every_rank() -> None:
    """Gemma 3 1B has one, with a norm of its own: neither is cut, and nothing is gathered."""
    program = through("gemma-3-1b", "parallel:tp=4")
    assert {op.cache.shape[1] for op in ops(program, Append)} == {1}
    assert not any("k_proj" in op.name for op in ops(program, Collective))


def test_summaries_of_tokens_are_whole_on_every_rank() -> None:
    """DeepSeek-V4: queries of a rank's heads meet the one key head, its window and summaries."""
    program = through("deepseek-v4-flash", "parallel:tp=8")
    assert {op.heads for op in ops(program, Scores)} == {8, 64}  # the indexer's are not divided
    assert plain(stored(program, "cache") - stored(model("deepseek-v4-flash"), "cache")) == 0


def test_a_norm_over_all_heads_gathers_them_and_keeps_its_own() -> None:
    names = [op.name for op in ops(through("olmo-2-7b", "parallel:tp=2"), Collective)]
    assert {"layers.q_proj.all_gather", "layers.k_proj.all_gather"} <= set(names)
    assert {op.heads for op in ops(through("olmo-2-7b", "parallel:tp=2"), Scores)} == {16}


def test_a_rank_of_a_vocabulary_has_its_rows_and_ranks_add_what_they_find() -> None:
    program = through("gpt2", "parallel:tp=2")
    table = storages(program.graph())["transformer.wte.weight"].value
    assert table.shape == (25_129, 768)  # ⌈50257 / 2⌉
    assert program.graph().output("logits").shape[-1] == 50_257


def test_dealt_heads_share_attention_evenly_and_send_rows_both_ways() -> None:
    whole, rank = model("llama-3.1-8b"), through("llama-3.1-8b", "parallel:cp=4")
    scores, mine = (plain(products(p)["layers.scores"]) for p in (whole, rank))
    assert plain(4 * mine - scores) == 0
    assert plain(stored(whole, "cache") - 4 * stored(rank, "cache")) == 0
    kinds = [op.op for op in ops(rank, Collective)]
    assert kinds == ["all_to_all"] * 4  # queries, keys, values, and back
    verify(rank.graph())


def test_a_graph_for_one_phase_is_divided_by_itself() -> None:
    program = through(
        "llama-3.1-8b", "parallel{tp=4 phase=prefill},parallel{tp=2 dp=2 phase=decode}"
    )
    assert program.mesh == {"tp@prefill": 4, "tp@decode": 2, "dp@decode": 2}
    assert set(program.graphs) == {"target", "target@prefill", "target@decode"}


def test_adding_two_summands_to_a_whole_value_adds_them_up_once() -> None:
    b = Builder()
    x = b.input("x", T, 64)
    parts = []
    for name in ("a", "b"):
        up = b(Linear(x, b.leaf(f"{name}.up", 128, 64)), f"{name}_up")
        acted = b(Activation(up), f"{name}_act")
        parts.append(b(Linear(acted, b.leaf(f"{name}.down", 64, 128)), f"{name}_down"))
    out = b(Add((x, *parts)), "sum")
    program = Program({TARGET: b.done(out)}, (Call(TARGET, binding(1, 1, 0), ("sum",)),))
    made = Parallel(tp=2).run(program).program.graph()
    assert [op.kind for op in made.ops].count("collective") == 1
    assert made.cost.payload == {("all_reduce", "tp", sp.Integer(2)): T * 64 * 2}

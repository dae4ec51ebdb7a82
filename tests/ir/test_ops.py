"""What ops say of themselves equals what enumeration counts."""

from itertools import product

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from tests.ir.examples import HEADS, KV, D, H, attention, every_op, numbers, repeated

from mansard.core.errors import VerifyError
from mansard.core.symbols import B, Expr, P, S, T
from mansard.ir.builder import Builder
from mansard.ir.cost import touched
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.ops import GroupedLinear, Join, Linear, Scores
from mansard.ir.region import Routed

EXAMPLES = every_op()
small = st.integers(1, 9)


def seen(mask: Mask, new: int, past: int) -> list[set[int]]:
    """The keys each new query sees, by the masks' definitions."""
    size = int(mask.size or 0)
    rows = []
    for at in range(past, past + new):
        match mask.kind:
            case "full":
                rows.append(set(range(past + new)))
            case "causal":
                rows.append(set(range(at + 1)))
            case "window":
                rows.append(set(range(max(0, at + 1 - size), at + 1)))
            case "chunk":
                rows.append(set(range(at - at % size, at + 1)))
    return rows


masks = st.one_of(
    st.sampled_from([Mask("full", skip=True), Mask("causal", skip=True)]),
    st.builds(
        lambda k, n: Mask(k, sp.Integer(n), True), st.sampled_from(["window", "chunk"]), small
    ),
)


@given(masks, small, st.integers(0, 12))
def test_a_mask_computes_the_pairs_that_enumeration_counts(mask: Mask, new: int, past: int) -> None:
    rows = seen(mask, new, past)
    at = numbers(B=1, S=new, P=past)
    assert mask.pairs(S, P, P + S).xreplace(at) == sum(map(len, rows))


@given(masks, small, st.integers(0, 12))
def test_a_mask_reads_the_keys_that_some_query_sees(mask: Mask, new: int, past: int) -> None:
    keys = set[int]().union(*seen(mask, new, past))
    read = sp.S(mask.reach(S, P)).xreplace(numbers(B=1, S=new, P=past))
    assert read >= len(keys)
    if mask.kind != "chunk" or past % int(mask.size or 1) + new <= int(mask.size or 1):
        assert read == len(keys)


@given(masks, st.integers(1, 3), small, st.integers(0, 9))
def test_attention_counts_two_flops_a_pair_and_element(
    mask: Mask, b: int, new: int, past: int
) -> None:
    if mask.kind == "chunk":
        return
    at = numbers(B=b, S=new, P=past)
    scores, _, values = attention(mask).ops[2:]
    pairs = sum(map(len, seen(mask, new, past)))
    for op in (scores, values):
        assert op.cost().total_flops.xreplace(at) == 2 * D * b * HEADS * pairs


def test_keys_are_read_once_per_kv_head_and_not_per_query_head() -> None:
    scores = attention().ops[2]
    assert scores.cost().reads[scores.operands[1]] == B * KV * (P + S) * D * 2


def test_unmasked_softmax_touches_the_rectangle_and_a_skipping_one_its_pairs() -> None:
    rectangle, skipping = (attention(Mask("causal", skip=s)).ops[3] for s in (False, True))
    assert rectangle.cost().total_flops == 5 * B * HEADS * S * (P + S)
    exact = 5 * B * HEADS * (S * P + S * (S + 1) / 2)
    assert sp.expand(skipping.cost().total_flops - exact) == 0


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_a_linear_multiplies_every_row_by_every_weight(rows: int, n: int, k: int) -> None:
    b = Builder()
    op = Linear(b.input("x", rows, k), b.leaf("w", n, k), b.leaf("bias", n))
    cost = b.done(b(op, "y")).cost
    counted = sum(2 for _ in product(range(rows), range(n), range(k))) + rows * n
    assert cost.total_flops == counted
    assert cost.bytes == 2 * (rows * k + n * k + n + rows * n)
    assert cost.launches == 1


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_experts_touched_is_the_exact_expectation(k: int, tokens: int) -> None:
    # Every way in which `tokens` tokens each choose k of 4 experts, equally likely.
    choices = [c for c in product((0, 1), repeat=4) if sum(c) == k]
    draws = list(product(choices, repeat=tokens))
    mean = sp.Rational(sum(sum(map(any, zip(*d, strict=True))) for d in draws), len(draws))
    assert 4 * touched(sp.Rational(k, 4), tokens) == mean


def test_grouped_weights_are_read_by_the_share_that_is_touched() -> None:
    op = EXAMPLES["grouped_linear"].ops[0]
    assert isinstance(op, GroupedLinear)
    assert op.cost().reads[op.w] == op.w.bytes * (1 - sp.Rational(1, 2) ** T)
    assert op.weight_share() == sp.Rational(1, 2)


@pytest.mark.parametrize(
    ("kind", "flops", "moved"),
    [
        ("rms_norm", 4 * T * H, 2 * 2 * T * H),
        ("layer_norm", 7 * T * H, 2 * 2 * T * H + 2 * H),
        ("add", 2 * T * H, 3 * 2 * T * H),
        ("activation", 4 * T * H, 2 * 2 * T * H),
        ("gated_activation", 5 * T * H, 3 * 2 * T * H),
        ("rope", 3 * T * HEADS * 8, 2 * 2 * T * H),
        ("embedding", 0, 2 * 2 * B * S * H),
        ("quantize", 2 * T * H, 3 * T * H),
        ("cast", 0, 6 * T * H),
        ("dequantize", 6 * H * H, H * H * sp.Rational(5, 8) + 2 * H * H),
        ("dispatch", 0, 2 * T * H + 2 * sp.Rational(5, 2) * T * H),
        ("combine", 4 * T * H, 4 * T * H + 4 * T + 2 * T * H),
        ("slice", 0, 0),
        ("join", 0, 0),
    ],
)
def test_elementwise_ops_cost_what_their_docstrings_say(
    kind: str, flops: Expr, moved: Expr
) -> None:
    cost = EXAMPLES[kind].cost
    assert sp.expand(cost.total_flops - flops) == 0
    assert sp.expand(cost.bytes - moved) == 0


def test_an_append_writes_new_rows_and_leaves_old_ones() -> None:
    append = attention().ops[0]
    assert append.cost().writes[append.out] == B * KV * S * D * 2
    assert append.out.shape == (B, KV, P + S, D)


def test_a_collective_hands_its_operand_to_the_link_and_moves_no_memory() -> None:
    cost = EXAMPLES["collective"].cost
    assert dict(cost.payload) == {("all_gather", "tp", 8): 2 * T * H}
    assert cost.bytes == cost.total_flops == 0


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
@given(b=st.integers(1, 3), s=st.integers(1, 6), p=st.integers(0, 9))
def test_costs_are_nonnegative_and_grow_with_every_parameter(
    kind: str, b: int, s: int, p: int
) -> None:
    cost = EXAMPLES[kind].cost

    def at(**values: int) -> tuple[Expr, Expr]:
        bound = numbers(**values)
        frames = {f: sp.Integer(3) for f in (cost.bytes + cost.total_flops).free_symbols - {*bound}}
        return tuple(e.xreplace({**bound, **frames}) for e in (cost.total_flops, cost.bytes))

    low = at(B=b, S=s, P=p)
    assert min(low) >= 0
    for more in (at(B=b + 1, S=s, P=p), at(B=b, S=s, P=p + 1)):
        assert all(x <= y for x, y in zip(low, more, strict=True))


def test_a_repeat_costs_its_body_as_often_as_it_runs() -> None:
    body = repeated().ops[0].bodies[0].cost
    whole = repeated(5).ops[0].cost()
    assert whole.total_flops == 5 * body.total_flops
    assert whole.launches == 5 * body.launches == 10
    assert sp.expand(whole.bytes - 5 * body.bytes) == 0


def test_a_routed_body_scales_work_by_its_share_and_weights_by_who_needs_them() -> None:
    op = EXAMPLES["routed"].ops[0]
    assert isinstance(op, Routed)
    (inner,) = op.body.ops
    cost, whole = op.cost(), inner.cost()
    x, w = inner.operands
    assert cost.total_flops == whole.total_flops / 4
    assert cost.reads[x] == whole.reads[x] / 4
    assert sp.expand(cost.reads[w] - whole.reads[w] * (1 - sp.Rational(3, 4) ** T)) == 0
    assert cost.launches == whole.launches


def test_reading_the_last_rows_of_a_joined_value_walks_its_parts_from_the_end() -> None:
    b = Builder()
    old, new = b.leaf("old", P, 4, role="cache"), b.leaf("new", 10, 4, role="cache")
    joined = b(Join((old, new), 0), "both")
    for n, (from_old, from_new) in {3: (0, 3), 10: (0, 10), 14: (4, 10), 99: (20, 10)}.items():
        rows = {v: e.xreplace({P: sp.Integer(20)}) for v, e in joined.rows(0, n).items()}
        assert rows.get(old, 0) == from_old * 8
        assert rows[new] == from_new * 8
    across = joined.rows(1, 2)
    assert across == {old: P * 4, new: 40}


def test_nested_joins_read_what_is_stored() -> None:
    b = Builder()
    leaves = [b.leaf(n, 8, 4, role="cache") for n in "abc"]
    inner = b(Join(tuple(leaves[:2]), 0), "inner")
    outer = b(Join((inner, leaves[2]), 0), "outer")
    assert sum(outer.rows(0, 12).values()) == 12 * 8
    assert set(outer.rows(1, 1)) == set(leaves)


def test_sizes_that_do_not_fit_name_the_op_and_both() -> None:
    b = Builder()
    with pytest.raises(VerifyError, match=r"linear .*: features of x is 64, expected 65"):
        b(Linear(b.input("x", T, 64), b.leaf("w", 8, 65)), "y")


def test_a_graph_drops_what_no_wanted_output_needs_and_keeps_effects() -> None:
    full = attention()
    both = Graph(full.inputs, full.ops, (full.ops[0].out, full.ops[-1].out))
    kept = both.wanting(("keys",))
    assert [op.kind for op in kept.ops] == ["append", "append"]
    assert full.wanting(("out",)) is full


def test_queries_may_be_another_number_than_the_sequence_has_new_tokens() -> None:
    """Places of an image: 2304 of them look at 576, 12 heads of 64 over one shared key."""
    g = Builder()
    q, k = g.input("q", B * 2304, 12 * 64), g.input("k", B, 1, 576, 64)
    g(Scores(q, k, 12, Mask("full"), queries=2304), "scores")
    (op,) = g.done().ops
    assert op.outs[0].shape == (B, 12, 2304, 576)
    assert op.cost().total_flops == 2 * 64 * 12 * 2304 * 576 * B
    assert op.dims()["q_len"] == 2304

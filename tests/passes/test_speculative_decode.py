"""Speculative decoding: identities, expected tokens, and cycles counted by hand."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from tests.passes.serving import FAMILIES, O1, applied, model, priced, step_s, through

import mansard as ms
from mansard.core.dtypes import Encoding
from mansard.core.errors import MansardError, SpecError
from mansard.core.symbols import P, S, output
from mansard.ir.footprint import storages
from mansard.ir.mask import Mask
from mansard.ir.ops import Linear, Scores
from mansard.ir.program import Loop, Program, calls
from mansard.passes.pipeline import run
from mansard.passes.speculative_decode import SpeculativeDecode, best_gamma
from mansard.passes.trees import Tree

BIG, SMALL = "llama-3.1-8b", "llama-3.2-1b"


def speculating(**options: Any) -> Program:
    return run(model(BIG), [SpeculativeDecode(draft=model(SMALL), **options)])[0]


def test_no_proposal_is_the_identity() -> None:
    for draft in (model(SMALL), "self", "ngram", "medusa", "eagle"):
        assert SpeculativeDecode(draft=draft, gamma=0).run(model(BIG)).program is model(BIG)


@pytest.mark.parametrize(
    ("alpha", "gamma", "tokens"), [(0.7, 5, 2.94), (0.8, 5, 3.69), (0.9, 7, 5.70)]
)
def test_a_trip_yields_what_leviathan_states(alpha: float, gamma: int, tokens: float) -> None:
    program = speculating(alpha=alpha, gamma=gamma)
    loop = program.schedule[-1]
    assert isinstance(loop, Loop)
    assert float(loop.yields) == pytest.approx(tokens, abs=0.005)
    assert sp.expand(loop.times * loop.yields - (output - 1)) == 0


@pytest.mark.parametrize("gamma", [1, 4, 63])
def test_when_everything_is_accepted_a_trip_yields_one_more_than_it_proposes(gamma: int) -> None:
    loop = speculating(alpha=1.0, gamma=gamma).schedule[-1]
    assert isinstance(loop, Loop)
    assert loop.yields == gamma + 1


def test_whole_cycles_are_the_sum_of_their_steps_counted_by_hand() -> None:
    """alpha = 1, gamma = 4: trips of 5 tokens; the draft starts each with the token it missed."""
    program = speculating(alpha=1.0, gamma=4)
    prompt, trips = 300, 5
    decode = priced(program, prompt=prompt, output=5 * trips + 1).phases["decode"]
    each = []
    for trip in range(trips):
        past = prompt + 5 * trip
        drafted = step_s(program, "draft", 1, 2, past - 1)
        drafted += sum(step_s(program, "draft", 1, 1, past + k) for k in range(1, 4))
        each.append(drafted + step_s(program, "target", 1, 5, past, rows=5))
    assert decode.steps == 5 * trips
    assert decode.total_s == pytest.approx(sum(each), rel=1e-12)
    assert decode.first_step_s == pytest.approx(each[0] / 5, rel=1e-12)
    assert decode.last_step_s == pytest.approx(each[-1] / 5, rel=1e-12)


def test_the_token_to_catch_up_on_is_weighed_by_its_probability() -> None:
    alpha, gamma, prompt = 0.6, 3, 200
    program = speculating(alpha=alpha, gamma=gamma)
    decode = priced(program, prompt=prompt, output=30).phases["decode"]
    behind = alpha**gamma
    trip = behind * step_s(program, "draft", 1, 2, prompt - 1)
    trip += (1 - behind) * step_s(program, "draft", 1, 1, prompt)
    trip += sum(step_s(program, "draft", 1, 1, prompt + k) for k in (1, 2))
    trip += step_s(program, "target", 1, 4, prompt, rows=4)
    tokens = sum(alpha**k for k in range(gamma + 1))
    assert decode.first_step_s == pytest.approx(trip / tokens, rel=1e-12)


def test_the_draft_prefills_and_is_in_the_footprint() -> None:
    plain, draft, both = priced(model(BIG)), priced(model(SMALL)), priced(speculating(alpha=1.0))
    assert both.memory.weights == plain.memory.weights + draft.memory.weights
    head = step_s(model(SMALL), "target", 1, 1000, 0, wants=("hidden",))
    assert both.phases["prefill"].time_s == pytest.approx(
        plain.phases["prefill"].time_s + head, rel=1e-12
    )
    last = 1000 + 100  # where the last trip of five begins is 95 past the prompt: 95 + 5 + 1
    assert both.memory.kv_cache == (last + 1) * 131_072 + (1000 + 95 + 3 + 2) * 32_768


def test_a_draft_of_the_targets_own_layers_shares_their_weights() -> None:
    program = through(BIG, "speculative-decode{draft=self keep=0.25}")
    assert priced(program).memory.weights == priced(model(BIG)).memory.weights
    assert {str(s.copies) for s in storages(program.graph("target@draft")).values()} == {"1", "8"}
    narrow = through(BIG, "speculative-decode{draft=self},quantize{weights=int4}")
    assert (
        priced(narrow).memory.weights
        == priced(through(BIG, "quantize{weights=int4}")).memory.weights
    )


def test_a_draft_that_cannot_help_is_said() -> None:
    (assumed,) = run(model(BIG), [SpeculativeDecode(draft=model(SMALL))])[1][0].notes
    assert assumed.code == "M141"
    big, small = model("qwen2.5-7b"), model("qwen2.5-0.5b")
    note, _ = run(big, [SpeculativeDecode(draft=small)])[1][0].notes
    assert (note.code, "151936 entries, the target's 152064" in note.message) == ("M022", True)
    note, _ = run(model(SMALL), [SpeculativeDecode(draft=model(BIG))])[1][0].notes
    assert (note.code, "no smaller" in note.message) == ("M022", True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ("probability 0.8 (alpha=), so a trip makes 3.36 tokens", "draft is free (lookup=)")),
        ({"lookup": 0.001}, ("draft is a look-up of 1.00 ms",)),
        ({"alpha": 0.5, "gamma": 1}, ("chain of 1", "probability 0.5", "makes 1.50 tokens")),
        ({"draft": "self"}, ("probability 0.8",)),
    ],
)
def test_what_a_speculation_rests_on_is_said(
    options: dict[str, Any], words: tuple[str, ...]
) -> None:
    (note,) = run(model(SMALL), [SpeculativeDecode(**options)])[1][0].notes
    assert note.code == "M141"
    assert all(word in note.message for word in words)
    assert ("draft is" in note.message) == (options.get("draft", "ngram") == "ngram")


def test_a_step_that_makes_several_tokens_is_told_by_the_token() -> None:
    from mansard.query.answers import dump

    asked: dict[str, Any] = {"on": "h100-sxm", "output": 33}
    plain = ms.analyze("gpt2", **asked)
    speculated = ms.analyze("gpt2", **asked, techniques=["speculative-decode"])
    assert "a token (" in str(speculated)
    assert " a step" in str(plain)
    assert " a step" not in str(speculated)
    assert dump(speculated)["decodes_several"]
    assert not dump(plain)["decodes_several"]


def test_a_draft_of_another_vocabulary_is_an_error() -> None:
    with pytest.raises(SpecError, match="50257 entries, the target's 128256") as caught:
        run(model(BIG), [SpeculativeDecode(draft=model("gpt2"))])
    assert "the target's own tokenizer" in (caught.value.hint or "")


def test_medusa_heads_cost_two_products_each() -> None:
    """H heads of d → d → V on one row a sequence: 2·B·(d² + d·V)."""
    b, d, v = 3, 4096, 128_256
    rows = (
        priced(through(BIG, "speculative-decode{draft=medusa gamma=3}"), batch=b)
        .phases["decode"]
        .ops
    )
    heads = [r for r in rows if r.graph == "draft" and r.kind == "linear"]
    per_trip = sum(r.flops * r.count for r in heads) * float(
        Tree((1, 1, 1)).tokens(sp.Rational(4, 5))
    )
    assert per_trip == pytest.approx(3 * 2 * b * (d * d + d * v), rel=1e-12)
    held = priced(through(BIG, "speculative-decode{draft=medusa gamma=3}")).memory.weights
    assert held - priced(model(BIG)).memory.weights == 3 * 2 * (d * d + d * v)


def test_an_eagle_drafts_with_one_layer_on_hidden_states() -> None:
    program = through(BIG, "speculative-decode{draft=eagle}")
    graph = program.graph("draft")
    fc = next(op for op, _ in graph.walk() if isinstance(op, Linear) and op.name == "fc")
    assert fc.w.shape == (4096, 8192)
    layer = 218_112_000  # of Llama-3.1-8B
    held = priced(program).memory.weights - priced(model(BIG)).memory.weights
    assert held == 2 * (layer + 4096 * 8192)
    called = [c for c in calls(program.schedule) if c.graph == "draft" and c.phase == "decode"]
    assert [c.bind[S] for c in called] == [1, 2, 3, 4, 5, 1, 1, 1]


def test_a_tree_yields_the_expectation_over_every_outcome() -> None:
    """Two children at the root, two each below: 1 + P(one of two) + P(that, and one of two)."""
    alpha = Fraction(3, 10)
    expected = Fraction(0)
    for outcome in itertools.product((True, False), repeat=4):
        chance = Fraction(1)
        for hit in outcome:
            chance *= alpha if hit else 1 - alpha
        first, second = any(outcome[:2]), any(outcome[2:])
        expected += chance * (1 + first + (first and second))
    made = Tree((2, 4)).tokens(sp.Rational(3, 10))
    assert made == sp.Rational(expected.numerator, expected.denominator)
    assert sum(Tree((2, 4)).exactly(sp.Rational(3, 10))) == 1


def test_a_trees_nodes_attend_to_their_ancestors() -> None:
    nodes = (2, 4, 3)
    depths = [0, *(k + 1 for k, n in enumerate(nodes) for _ in range(n))]
    mask = Mask("tree", sp.Integer(Tree(nodes).pairs), skip=True)
    assert Tree(nodes).pairs == sum(depth + 1 for depth in depths)
    assert mask.pairs(sp.Integer(10), P, P + 10) == 10 * P + sum(d + 1 for d in depths)
    program = through(BIG, f"speculative-decode{{draft=medusa tree=[2 4 3]}},{O1}")
    kinds = {
        op.mask.kind for op, _ in program.graph("target@decode").walk() if isinstance(op, Scores)
    }
    assert kinds == {"tree"}
    assert {op.mask.kind for op, _ in program.graph().walk() if isinstance(op, Scores)} == {
        "causal"
    }
    assert [c.bind[S] for c in calls(program.schedule) if c.graph == "target@decode"] == [10]


def test_a_chain_written_as_a_tree_is_the_chain() -> None:
    one = priced(speculating(tree=("1", "1", "1")))
    assert one.metrics == priced(speculating(gamma=3)).metrics


def test_a_lookup_is_a_wait_and_costs_its_time() -> None:
    free = priced(through(BIG, "speculative-decode{alpha=1 gamma=1}"))
    slow = priced(through(BIG, "speculative-decode{alpha=1 gamma=1 lookup=2ms}"))
    assert slow.metrics.tpot_s == pytest.approx((free.metrics.tpot_s or 0) + 1e-3, rel=1e-12)


def test_verification_wakes_more_experts() -> None:
    """Five tokens of a sequence need 8·(1 - (3/4)^5) = 6.10 of Mixtral's experts, one needs 2."""

    def weights(pipeline: str) -> float:
        rows = priced(through("mixtral-8x7b-v0.1", pipeline)).phases["decode"].ops
        return next(r for r in rows if r.name == "layers.experts.down_proj").weight_bytes

    share = weights("speculative-decode{gamma=4}") / weights("chunk-prefill")
    assert share == pytest.approx(8 * (1 - 0.75**5) / 2, rel=1e-12)


def test_the_best_number_of_proposals_falls_with_acceptance() -> None:
    def tpot_s(alpha: float, gamma: int) -> float:
        return priced(speculating(alpha=alpha, gamma=gamma)).metrics.tpot_s or 0.0

    rare, often = (best_gamma(lambda g, a=a: tpot_s(a, g), 8) for a in (0.05, 0.95))  # type: ignore[misc]
    assert rare == 0
    assert often == 8


@pytest.mark.parametrize("start", [1, 4, 16])
@pytest.mark.parametrize("alpha", [0.3, 0.7, 0.9])
def test_the_best_gamma_is_found_from_anywhere_without_trying_all(alpha: float, start: int) -> None:
    """A draft of a tenth of the target's time, and a target that slows down by 2 % a token."""

    def tpot_s(gamma: int) -> float:
        tokens = (1 - alpha ** (gamma + 1)) / (1 - alpha)
        return (0.1 * gamma + 1 + 0.02 * gamma) / tokens

    assert best_gamma(tpot_s, start=start) == min(range(17), key=tpot_s)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("draft", ["ngram", "self", "medusa", "eagle"])
def test_it_stands_before_and_after_quantization_and_fusion(name: str, draft: str) -> None:
    spec = f"speculative-decode{{draft={draft}}}"
    before, after = f"quantize{{weights=int4}},{spec},{O1}", f"{spec},quantize{{weights=int4}},{O1}"
    one, other = priced(through(name, before)), priced(through(name, after))
    quantized = {r.name for r in one.phases["decode"].ops if r.weight_encoding.startswith("int4")}
    assert quantized
    if draft in ("ngram", "self"):  # else the draft's own weights differ
        assert one.memory == other.memory
        assert one.metrics.tpot_s == pytest.approx(other.metrics.tpot_s, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("speculative-decode{alpha=1.2}", "above 1"),
        ("speculative-decode{gamma=-1}", "below 0"),
        ("speculative-decode{gamma=64}", "above 63"),
        ("speculative-decode{tree=[4 x]}", "nodes a depth"),
        ("speculative-decode{draft=self},speculative-decode{draft=self}", "draft"),
    ],
)
def test_bad_options_are_named(text: str, said: str) -> None:
    with pytest.raises(MansardError, match=said):
        applied(BIG, text)


def test_a_draft_must_be_loaded_first() -> None:
    with pytest.raises(MansardError, match="a name, not a program"):
        run(model(BIG), [SpeculativeDecode(draft="no-such-model")])


@pytest.mark.parametrize("draft", ["ngram", "self", "medusa", model(SMALL)], ids=str)
def test_stages_come_after_speculation_since_its_steps_are_those_of_whole_models(
    draft: str | Program,
) -> None:
    from mansard.passes.parallel import Parallel

    speculation = SpeculativeDecode(draft=draft)
    with pytest.raises(SpecError, match="pipeline") as refused:
        run(model(BIG), [Parallel(pp=4), speculation])
    assert "put speculative-decode before parallel" in (refused.value.hint or "")
    assert run(model(BIG), [speculation, Parallel(pp=4)])[0].mesh == {"pp": 4}
    assert run(model(BIG), [Parallel(pp=4), SpeculativeDecode(draft=draft, gamma=0)])[0].mesh


def test_a_loop_that_makes_several_tokens_a_trip_already_is_left_with_a_note() -> None:
    made, (_, again) = run(
        model(BIG), [SpeculativeDecode(draft="ngram"), SpeculativeDecode(draft=model(SMALL))]
    )
    assert made is again.before
    assert [note.code for note in again.notes] == ["M020"]


def test_an_encoding_of_the_draft_is_changed_by_name() -> None:
    from mansard.passes.quantize import Quantize

    program = run(speculating(), [Quantize(weights="fp8", on="draft")])[0]
    found = storages(program.graph("draft"))
    narrow = [s for s in found.values() if s.value.encoding != Encoding()]
    assert narrow
    assert all(s.value.storage.startswith("draft/") for s in narrow)

"""Every technique before and after every other, on three models: they compose, or say why not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations
from typing import Any

import pytest
from tests.passes.models import plain
from tests.passes.rewriting import known, model

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError
from mansard.core.symbols import Expr
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph
from mansard.ir.program import Program
from mansard.passes.pipeline import LEVELS, parse, run
from mansard.passes.shipped import technique_homes
from mansard.passes.technique import Pass

MODELS = ("gemma-2-2b", "olmoe-1b-7b", "deepseek-v2-lite")
"""Windows and grouped queries; experts; a latent cache with experts."""

OPTIONS = {
    "contextual-sparsity": "predictor=128",
    "exit-early": "after=8 rates=0.25",
    "limit-kv": "window=1020 sinks=4",
    "low-rank": "keep=0.5",
    "moe-routing": "imbalance=1.25 correlation=0.5",
    "offload": "",
    "parallel": "tp=2",
    "prune": "sparsity=0.5",
    "prune-tokens": "tokens=64 keep=0.5 layer=2",
    "quantize": "weights=int4 kv=int8 group=64",
    "skip-layers": "layers=2",
}
"""Options of the techniques that need some, or do nothing without."""

MOST_CONFLICTS = 0.10

IN_PERIODS = {"prune-tokens": "tokens=64 keep=0.5 layer=4", "skip-layers": "layers=4"}
"""What a hint of whole periods asks for: after mixture-of-depths, Gemma repeats in fours."""

FACTORS = "the factors of a part of a matrix are not parts of the factors of the whole"
ADDED = "what the one adds to the graph, the other changes only when it comes later"
STEADY = (
    "a steady batch repeats the prefill it finds: what divides, shortens or moves the prefill has "
    "to stand before it"
)
SENT = "what is sent is the cache there is when the pools are parted"
ORDER_MATTERS = {
    ("absorb-mla", "batch-continuously"): "a steady batch prefills inside its decode loop, and "
    "what absorbs in decode absorbs there too",
    ("absorb-mla", "low-rank"): FACTORS,
    ("batch-continuously", "chunk-prefill"): STEADY,
    ("contextual-sparsity", "low-rank"): FACTORS,
    ("contextual-sparsity", "prune"): ADDED,
    ("contextual-sparsity", "quantize"): ADDED,
    ("disaggregate", "limit-kv"): SENT,
    ("disaggregate", "page-kv"): SENT,
    ("exit-early", "merge-qkv"): "layers above an exit fill their caches with k and v; a merged "
    "product makes q as well",
    ("exit-early", "page-kv"): "layers that only fill their cache look its pages up when they are "
    "paged after the exits are there",
    ("fuse-elementwise", "mixture-of-depths"): ADDED,
    ("low-rank", "merge-qkv"): "two factors of the joined matrix are not the joined factors",
    ("low-rank", "parallel"): FACTORS,
    ("mixture-of-depths", "prune"): ADDED,
    ("mixture-of-depths", "quantize"): ADDED,
}
"""Pairs that cost different things in different orders, and why that is right."""


@cache
def names() -> tuple[str, ...]:
    """The techniques that need nothing but a model."""
    return tuple(name for name in technique_homes() if _made(name) is not None)


@cache
def _made(name: str, options: str | None = None) -> Pass | None:
    given = OPTIONS.get(name, "") if options is None else options
    try:
        return parse(f"{name}{{{given}}}", known())[0]
    except MansardError:
        return None


@cache
def outcome(first: str, second: str, on: str) -> Program | MansardError:
    """What a pair makes of a model, or what it says when it does not compose."""
    passes = tuple(p for p in map(_made, (first, second)) if p is not None)
    ordered = any(p.requires or p.conflicts for p in passes)  # which only a whole run checks
    start, left = (model(on), passes) if ordered else (alone(first, on), passes[1:])
    try:
        return run(start, left)[0]
    except MansardError as error:
        return error


@cache
def alone(name: str, on: str) -> Program:
    """What one technique makes of a model."""
    technique = _made(name)
    return run(model(on), (technique,) if technique is not None else ())[0]


def conflicts(on: str) -> dict[tuple[str, str], MansardError]:
    """The ordered pairs that do not compose."""
    found = {pair: outcome(*pair, on) for pair in permutations(names(), 2)}
    return {pair: error for pair, error in found.items() if isinstance(error, MansardError)}


def works(hint: str, first: str, second: str, on: str) -> bool:
    """Whether what a hint advises composes, with whole periods of layers where it asks for them."""
    if hint == "use one of the two":
        return isinstance(outcome(second, first, on), MansardError)
    if f"put {second} before {first}" in hint:
        first, second = second, first
    elif "a multiple of" not in hint:
        return False
    whole = _made(second, IN_PERIODS.get(second))
    passes = tuple(p for p in (_made(first), whole) if p)
    return run(model(on), passes)[0] is not model(on)


@cache
def cost(graph: Graph) -> dict[Any, Expr]:
    """FLOP by unit, bytes by place and role, payload by link, launches, and what is stored."""
    work = graph.cost
    found: dict[Any, Expr] = {"launches": work.launches}
    found |= work.flops
    found |= work.by(lambda v: (v.place, v.role))
    found |= work.payload
    for s in storages(graph).values():
        key = ("stored", s.value.place, s.value.role)
        found[key] = found.get(key, 0) + s.bytes
    return {key: made for key, value in found.items() if (made := plain(value)) != 0}


def figures(program: Program) -> tuple[object, ...]:
    """What each graph costs, and how it is called."""
    return {n: cost(g) for n, g in program.graphs.items()}, program.mesh, program.schedule


def commuting(on: str) -> Iterator[tuple[tuple[str, str], bool]]:
    """Every pair of which both orders compose, and whether they cost the same."""
    for a, b in combinations(sorted(names()), 2):
        one, other = outcome(a, b, on), outcome(b, a, on)
        if isinstance(one, Program) and isinstance(other, Program):
            yield (a, b), figures(one) == figures(other)


@pytest.mark.parametrize("on", MODELS)
def test_pairs_compose_in_either_order_at_one_cost_or_say_what_to_do(on: str) -> None:
    """One test a model, since the pairs are run once for all of it.

    A pair that does not compose gives advice that works; of one that does, both orders cost the
    same unless it is written down why not; nothing is stored without a name.
    """
    said = conflicts(on)
    listed = "\n".join(f"{a},{b}: {error}\n  {error.hint}" for (a, b), error in said.items())
    assert [p for p, error in said.items() if not works(error.hint or "", *p, on)] == [], listed
    assert len(said) <= MOST_CONFLICTS * len(names()) * (len(names()) - 1), listed
    differ = {pair for pair, same in commuting(on) if not same}
    assert differ - ORDER_MATTERS.keys() == set()
    made = {pair: outcome(*pair, on) for pair in permutations(names(), 2)}
    graphs = ((pair, g) for pair, p in made.items() if isinstance(p, Program)
              for g in p.graphs.values())  # fmt: skip
    assert {pair for pair, g in graphs if "" in storages(g)} == set()


@pytest.mark.parametrize("pair", ORDER_MATTERS)
def test_a_pair_said_to_depend_on_its_order_does_on_some_model(pair: tuple[str, str]) -> None:
    orders = (pair, pair[::-1])
    assert any(
        figures(one) != figures(other)
        for one, other in (tuple(outcome(*order, on) for order in orders) for on in MODELS)
        if isinstance(one, Program) and isinstance(other, Program)
    )


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("on", MODELS)
def test_each_technique_runs_before_what_engines_do_and_has_a_price(name: str, on: str) -> None:
    passes = (_made(name), *parse(LEVELS["O1"], known()))
    program, _ = run(model(on), tuple(p for p in passes if p is not None))
    answer = estimate(program, chip("h100-sxm"), {"batch": 2, "prompt": 300, "output": 4})
    assert all(phase.time_s > 0 for phase in answer.phases.values())
    assert answer.memory.weights > 0


def test_experts_spread_over_ranks_compose_with_every_other_technique() -> None:
    spread = _made("parallel", "dp=4 ep=4")
    assert spread is not None
    for name in names():
        other = _made(name)
        if other is None or name == "parallel":
            continue
        one, _ = run(model("olmoe-1b-7b"), (spread, other))
        assert one.mesh["dp"] == 4

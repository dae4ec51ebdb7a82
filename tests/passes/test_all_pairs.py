"""Every technique before and after every other, on three models: they compose, or say why not."""

from __future__ import annotations

from functools import cache

import pytest
from tests.passes.rewriting import known, model

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError
from mansard.passes.pipeline import LEVELS, parse, run
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
    "prune": "sparsity=0.5",
    "prune-tokens": "tokens=64 keep=0.5 layer=2",
    "quantize": "weights=int4 kv=int8 group=64",
    "skip-layers": "layers=2",
}
"""Options of the techniques that need some, or do nothing without."""

MOST_CONFLICTS = 0.10


def names() -> list[str]:
    """The techniques that need nothing but a model."""
    return [name for name in known() if _made(name) is not None]


@cache
def _made(name: str) -> Pass | None:
    try:
        return parse(f"{name}{{{OPTIONS.get(name, '')}}}", known())[0]
    except MansardError:
        return None


def outcome(first: str, second: str, on: str) -> MansardError | None:
    """What a pair says when it does not compose."""
    passes = tuple(p for p in map(_made, (first, second)) if p is not None)
    try:
        run(model(on), passes)
    except MansardError as error:
        return error
    return None


@pytest.mark.parametrize("on", MODELS)
def test_pairs_compose_or_say_what_to_do(on: str) -> None:
    pairs = [(a, b) for a in names() for b in names() if a != b]
    said = {pair: error for pair in pairs if (error := outcome(*pair, on)) is not None}
    listed = "\n".join(f"{a},{b}: {error.message[:110]}" for (a, b), error in said.items())
    assert [pair for pair, error in said.items() if not error.hint] == [], listed
    assert len(said) <= MOST_CONFLICTS * len(pairs), listed


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("on", MODELS)
def test_each_technique_runs_before_what_engines_do_and_has_a_price(name: str, on: str) -> None:
    passes = (_made(name), *parse(LEVELS["O1"], known()))
    program, _ = run(model(on), tuple(p for p in passes if p is not None))
    answer = estimate(program, chip("h100-sxm"), {"batch": 2, "prompt": 300, "output": 4})
    assert all(phase.time_s > 0 for phase in answer.phases.values())
    assert answer.memory.weights > 0

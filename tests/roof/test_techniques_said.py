"""What is said of techniques: only those somebody asked for are news when they match nothing."""

from __future__ import annotations

import mansard as ms
from mansard.core.symbols import T, batch, prompt
from mansard.ir.builder import Builder
from mansard.ir.ops import Activation
from mansard.ir.program import TARGET, Call, Program, binding


def nothing_to_fuse() -> Program:
    """One activation."""
    build = Builder()
    x = build.input("x", T, 8)
    graph = build.done(build(Activation(x, "relu"), "y"))
    return Program(
        {TARGET: graph}, (Call(TARGET, binding(batch, prompt, 0), phase="prefill", wants=("y",)),)
    ).verified()


def codes(*techniques: str) -> list[str]:
    return [n.code for n in ms.analyze(nothing_to_fuse(), on="l4", techniques=techniques).notes]


def test_a_technique_of_the_level_that_matches_nothing_is_no_news() -> None:
    assert "M020" not in codes()


def test_a_technique_the_user_named_that_matches_nothing_is_noted() -> None:
    assert codes("fuse-attention").count("M020") == 1

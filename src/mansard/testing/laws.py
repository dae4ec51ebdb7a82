"""Laws of techniques as assertions; ``mansard plugins check`` asks the same of every model."""

from __future__ import annotations

from mansard.plugins import laws
from mansard.query.techniques import Spec
from mansard.testing.golden import Source, read, rewritten


def is_identity_when(technique: Spec, source: Source) -> None:
    """Assert that a technique leaves a program as it is.

    Raises:
        AssertionError: it made another one.
    """
    before = read(source)
    after = rewritten(before, technique)
    if after is not before and str(after) != str(before):
        raise AssertionError(f"{technique} changes {before.origin.name or 'the graph'}")


def removes_no_flops(technique: Spec, source: Source, *, level: str = "O0") -> None:
    """Assert that a technique removes no arithmetic of a whole request, on any unit.

    Args:
        technique: a pass or its text.
        source: see ``read``.
        level: what both sides have besides: "O1" skips masked pairs on both.

    Raises:
        AssertionError: with what is gone, by unit.
    """
    if gone := _gone(technique, source, level):
        lost = ", ".join(f"{n:.6g} {unit}" for unit, n in gone.items())
        raise AssertionError(f"{technique} removes {lost} FLOP")


def removes_flops(technique: Spec, source: Source, *, level: str = "O0") -> dict[str, float]:
    """Return the FLOP a technique removes of a whole request, by unit.

    Raises:
        AssertionError: it removes none.
    """
    gone = _gone(technique, source, level)
    if not gone:
        raise AssertionError(f"{technique} removes no FLOP")
    return gone


def reads_back(source: Source) -> None:
    """Assert that a program's text parses to an equal program.

    Raises:
        AssertionError: with what differs.
    """
    if wrong := laws.reads_back(read(source)):
        raise AssertionError(wrong)


def _gone(technique: Spec, source: Source, level: str) -> dict[str, float]:
    program = read(source)
    before = laws.work(rewritten(program, (), level=level))
    return laws.removed(before, laws.work(rewritten(program, technique, level=level)))

"""Sums over a stretch of steps, exactly, without taking every step.

Along a decode loop every quantity of a table is affine in the step between the kinks of its
``least`` atoms, so a stretch is cut there, each piece is two evaluations, and a row's time - the
greatest of affine functions - is summed between their crossings. What is not affine is enumerated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from mansard.backends.quantity import Tape
from mansard.core.records import dataclass

Values = list[Any]
Point = Callable[[int], Values]


@dataclass(frozen=True)
class Piece:
    """Steps ``first … last`` over which every quantity is affine, with both ends' values."""

    first: int
    last: int
    start: Values
    end: Values

    @property
    def steps(self) -> int:
        """How many."""
        return self.last - self.first + 1

    def total(self, slot: int) -> Any:
        """Sum one quantity: an arithmetic series."""
        if self.steps == 1:
            return self.start[slot]
        return (self.start[slot] + self.end[slot]) * self.steps / 2


def pieces(tape: Tape, at: Point, first: int, last: int) -> Iterator[Piece]:
    """Cut ``first … last`` into pieces over which every quantity of the tape is affine.

    Args:
        tape: the quantities are on.
        at: evaluates them at a step.
        first: step of the stretch.
        last: step, included.
    """
    start, end = at(first), at(last)
    if last - first < 2:
        yield from _short(first, last, start, end)
        return
    cuts = sorted(_kinks(tape, first, last, start, end))
    if not cuts:
        yield from _affine(at, first, last, start, end)
        return
    edges = [first, *cuts, last + 1]
    for low, after in pairwise(edges):
        yield from pieces(tape, at, low, after - 1)


def _short(first: int, last: int, start: Values, end: Values) -> Iterator[Piece]:
    yield Piece(first, first, start, start)
    if last > first:
        yield Piece(last, last, end, end)


def _kinks(tape: Tape, first: int, last: int, start: Values, end: Values) -> set[int]:
    """Return the steps at which an atom's slope changes, were its arguments affine.

    Of a ``least`` that is where the other argument becomes the smaller, of a ``ceil_div`` where
    another block begins.
    """
    cuts: set[int] = set()
    for atom in tape.atoms:
        if atom.kind == "least":
            a, b = atom.args
            cuts.update(_crossing(first, last, start[a] - start[b], end[a] - end[b]))
        elif atom.kind == "ceil_div":
            a, n = atom.args
            low, high = sorted((start[a] / start[n], end[a] / end[n]))
            for full in range(math.ceil(low), math.ceil(high)):
                cuts.update(
                    _crossing(first, last, start[a] - full * start[n], end[a] - full * end[n])
                )
    return {cut for cut in cuts if first < cut <= last}


def _crossing(first: int, last: int, before: Any, after: Any) -> set[int]:
    """Return the steps on both sides of where an affine function meets zero."""
    if before == after or before * after > 0:
        return set()
    at = math.floor(first + (last - first) * Fraction(before) / Fraction(before - after))
    return {at, at + 1}


def _affine(at: Point, first: int, last: int, start: Values, end: Values) -> Iterator[Piece]:
    """Yield the stretch as one piece if two steps inside say that it is affine, else each step."""
    inside = {(first + last) // 2, (3 * first + last) // 4} - {first, last}
    values = {step: at(step) for step in inside}
    if all(_on_line(start, end, v, first, last, step) for step, v in values.items()):
        yield Piece(first, last, start, end)
        return
    for step in range(first, last + 1):
        here = values.get(step) or at(step)
        yield Piece(step, step, here, here)


def _on_line(start: Values, end: Values, here: Values, first: int, last: int, step: int) -> bool:
    for a, b, v in zip(start, end, here, strict=True):
        left, right = (v - a) * (last - first), (b - a) * (step - first)
        if left != right and not math.isclose(left, right, rel_tol=1e-12):
            return False
    return True


def total_of_greatest(starts: Sequence[float], ends: Sequence[float], steps: int) -> list[float]:
    """Sum, over ``steps`` steps, the greatest of affine functions; return it by winner.

    Args:
        starts: the value of each function at the first step.
        ends: its value at the last.
        steps: how many there are.

    Returns:
        The sum of the steps that each function wins; the total is their sum.

    >>> total_of_greatest([1.0, 3.0], [5.0, 3.0], 5)    # max(1+k, 3) for k = 0 … 4
    [9.0, 9.0]
    """
    won = [0.0] * len(starts)
    if steps == 1:
        best = max(range(len(starts)), key=starts.__getitem__)
        won[best] = starts[best]
        return won
    last = steps - 1
    cuts = {0, steps}
    for k in range(len(starts)):
        for j in range(k):
            before, after = starts[k] - starts[j], ends[k] - ends[j]
            if before * after < 0:
                cuts.add(math.floor(last * before / (before - after)) + 1)
    edges = sorted(cuts)
    for low, after_ in pairwise(edges):
        high = after_ - 1

        def value(k: int, step: float) -> float:
            return starts[k] + (ends[k] - starts[k]) * step / last

        best = max(range(len(starts)), key=lambda k: value(k, (low + high) / 2))
        won[best] += (value(best, low) + value(best, high)) * (after_ - low) / 2
    return won

"""Sums over the steps of a loop in closed form: costs affine in the step, their kinks cut apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from mansard.backends.engine.emit import Bound, Emitter
from mansard.backends.engine.kinks import in_order
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.polynomials import add, scaled, substituted
from mansard.backends.engine.timed import Timed
from mansard.backends.quantity import Terms
from mansard.core.symbols import Symbol


class LoopSums:
    """Writes what adds up along the trips of a segment as steps.

    Args:
        emit: writes polynomials, within the ranges.
        bound: the scenario's symbols.
    """

    def __init__(self, emit: Emitter, bound: Bound) -> None:
        self._line, self._emit, self._bound = emit.line, emit, bound

    def moving(self, timed: Timed, whole: int, index: Symbol) -> int:
        """Return the sum over the trips of what moves along them."""
        space = self._emit.space
        total = []
        for low, after, sides in self._stretches(timed, whole, index):
            rows = [
                self._emit.ranges.greatest([substituted(t, sides) for t in row])
                for row in timed.moving
            ]
            bent = any(space.degree(m, index) > 1 for row in rows for t in row for m in t)
            if bent and (sides or timed.bends):
                raise NotCompiledError("a cost that is not affine in the step is stepped")
            total += self._stretch(rows, index, low, after)
        return self._line.total(total)

    def _stretch(
        self, rows: Sequence[Sequence[Terms]], index: Symbol, low: int, after: int
    ) -> list[int]:
        """Return what adds up to the time of steps along which every cost is affine."""
        do, one = self._line.do, self._line.constant(1)
        length, last = do("sub", after, low), do("sub", after, one)
        middle = do("div", do("add", low, last), self._line.constant(2))
        alone = add(row[0] for row in rows if len(row) == 1)
        mean = self._emit.polynomial(alone, {**self._bound, index: middle})
        end = do("max", last, low)
        several = [row for row in rows if len(row) > 1]
        return [
            do("mul", mean, length),
            *(self._row_over(row, index, low, end, length) for row in several),
        ]

    def _stretches(
        self, timed: Timed, whole: int, index: Symbol
    ) -> list[tuple[int, int, dict[int, Terms]]]:
        """Return (first step, step after the last, what kinked functions are there)."""
        line, emit = self._line, self._emit
        zero = line.constant(0)
        kinks = dict(self._open_kinks(timed))
        ordered = in_order(self._emit.space, index, timed.kinks)
        if ordered is None:
            cuts = [self._cut(d, whole, index) for d in kinks.values()]
            edges = [zero, *self._ordered(list(dict.fromkeys(cuts))), whole]
            return [(low, after, {}) for low, after in pairwise(edges)]
        ordered = [kink for kink in ordered if any(slot in kinks for slot in kink.sides)]
        edges = [zero]
        for kink in ordered:
            start = emit.polynomial(scaled(kink.difference, -1), {**self._bound, index: zero})
            share = line.do("div", start, line.constant(kink.slope))
            first = line.do("add", line.do("floor", share), line.constant(1))
            edges.append(line.do("max", line.do("min", first, whole), zero))
        found = []
        for at, (low, after) in enumerate(pairwise([*edges, whole])):
            chosen = {
                slot: dict(self._emit.space.atoms[slot].args[sides[k < at]])
                for k, kink in enumerate(ordered)
                for slot, sides in kink.sides.items()
            }
            found.append((low, after, chosen))
        return found

    def _open_kinks(self, timed: Timed) -> Iterator[tuple[int, Terms]]:
        """Yield the kinks that lie within the ranges."""
        for slot, difference in timed.kinks.items():
            low, high = self._emit.ranges.of(self._emit.ranges.plain(difference))
            if low < 0 < high:
                yield slot, difference

    def _cut(self, kink: Terms, whole: int, index: Symbol) -> int:
        line = self._line
        zero = line.constant(0)
        last = line.do("max", line.do("sub", whole, line.constant(1)), zero)
        before = self._emit.polynomial(kink, {**self._bound, index: zero})
        after = self._emit.polynomial(kink, {**self._bound, index: last})
        return self._crossing(before, after, whole)

    def _row_over(
        self, row: Sequence[Terms], index: Symbol, low: int, end: int, length: int
    ) -> int:
        """Return the sum over a stretch of the greatest of affine functions."""
        line, do = self._line, self._line.do
        emit, zero, one = self._emit, line.constant(0), line.constant(1)
        starts = [emit.polynomial(t, {**self._bound, index: low}) for t in row]
        ends = [emit.polynomial(t, {**self._bound, index: end}) for t in row]
        length = do("max", length, zero)
        cuts = [
            self._crossing(do("sub", starts[k], starts[j]), do("sub", ends[k], ends[j]), length)
            for j, k in combinations(range(len(row)), 2)
        ]
        last = do("max", do("sub", length, one), one)
        total = []
        for first, after in pairwise([zero, *self._ordered(cuts), length]):
            both = do("add", first, do("sub", after, one))
            share = do("div", both, do("mul", last, line.constant(2)))
            best = -1
            for s, e in zip(starts, ends, strict=True):
                value = do("add", s, do("mul", do("sub", e, s), share))
                best = value if best < 0 else do("max", best, value)
            total.append(do("mul", best, do("sub", after, first)))
        return line.total(total)

    def _crossing(self, before: int, after: int, steps: int) -> int:
        """Return the step from which an affine function has changed its sign; else 0."""
        line, do = self._line, self._line.do
        zero, one = line.constant(0), line.constant(1)
        changes = do("less", do("mul", before, after), zero)
        fall = do("where", changes, do("sub", before, after), one)
        share = do("div", do("mul", do("sub", steps, one), before), fall)
        at = do("add", do("floor", share), one)
        inside = do("max", do("min", at, steps), zero)
        return do("where", changes, inside, zero)

    def _ordered(self, steps: list[int]) -> list[int]:
        """Return steps sorted by value: an exchange sort, which has no branch."""
        found = list(steps)
        for k in range(len(found)):
            for j in range(len(found) - 1 - k):
                a, b = found[j], found[j + 1]
                found[j], found[j + 1] = self._line.do("min", a, b), self._line.do("max", a, b)
        return found

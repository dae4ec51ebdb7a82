"""Figures as straight-line steps: phases summed over their loops in closed form, and memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise

from mansard.backends.engine.emit import Bound, Emitter
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.kinks import in_order
from mansard.backends.engine.lowered import Lowered, NotCompiledError, Segment
from mansard.backends.engine.polynomials import add, scaled, substituted
from mansard.backends.engine.ranges import Interval, Ranges
from mansard.backends.engine.straight import Straight
from mansard.backends.engine.timed import NEAR, Timed
from mansard.backends.hardware import Hardware
from mansard.backends.quantity import Terms
from mansard.backends.roofline import DECODE, ENCODE, PREFILL
from mansard.core.symbols import Symbol, batch, output, prompt

SYMBOLS: dict[str, Symbol] = {"batch": batch, "prompt": prompt, "output": output}
LARGEST = 1e12
WIDEST: Mapping[str, Interval] = dict.fromkeys(SYMBOLS, (1.0, LARGEST))
"""Where figures hold that are asked for nowhere in particular."""


class Formulas:
    """Every figure of a compiled program as steps, for scenarios within ranges.

    Args:
        lowered: the program.
        timed: its segments, priced.
        footprints: its sizes.
        chip: for its capacity and what is set aside.
        phases: that count.
        ranges: ``batch``, ``prompt`` and ``output``, least and greatest.
        axes: their order, those that vary most slowly first; of the others one value is known.

    Raises:
        NotCompiledError: a cost whose products of the step must cancel.
    """

    def __init__(
        self, lowered: Lowered, timed: Sequence[Timed], footprints: Footprints, chip: Hardware,
        phases: Sequence[str], ranges: Mapping[str, Interval], axes: Sequence[str],
    ) -> None:  # fmt: skip
        self.line = Straight(axes)
        self._lowered, self._timed, self._phases = lowered, timed, phases
        self._bound: Bound = {s: self._symbol(name, ranges[name]) for name, s in SYMBOLS.items()}
        known = {SYMBOLS[name]: interval for name, interval in ranges.items()}
        outer = Ranges(lowered.space, known)
        trips = [s for s in lowered.segments if s.index is not None and s.times is not None]
        for s in trips:
            assert s.index is not None
            assert s.times is not None
            before = known.get(s.index, (0.0, 0.0))[1]
            known[s.index] = (0.0, max(before, outer.of(s.times)[1], 1.0))
        self._emit = Emitter(lowered.space, self.line, Ranges(lowered.space, known))
        self._outputs_above_one = ranges["output"][0] > 1
        self._times()
        self._sizes(footprints, chip)

    def _symbol(self, name: str, interval: Interval) -> int:
        if name in self.line.axes:
            return self.line.symbol(name)
        if interval[0] != interval[1]:
            raise ValueError(f"{name} varies, but is no axis")
        return self.line.constant(interval[0])

    # Time.

    def _times(self) -> None:
        line, do = self.line, self.line.do
        seconds = self._seconds()
        tokens: dict[str, int] = {}
        for made in self._lowered.yields:
            value = self._product(made.factors)
            tokens[made.phase] = line.total([tokens[made.phase], value]) if (
                made.phase in tokens) else value  # fmt: skip
        unknown, one = line.constant(math.nan), line.constant(1)
        b, n = self._bound[batch], self._bound[output]
        ttft = seconds.get(PREFILL, unknown)
        if PREFILL in seconds and ENCODE in seconds:
            ttft = line.total([ttft, seconds[ENCODE]])
        tpot = unknown
        if "decode" in seconds and "decode" in tokens:
            tpot = self._per(seconds["decode"], tokens["decode"])
        rest = do("mul", do("sub", n, one), tpot)
        if not self._outputs_above_one:
            rest = do("where", do("less", one, n), rest, line.constant(0))
        between = [v for k, v in seconds.items() if k not in (ENCODE, PREFILL, DECODE)]
        latency = line.total([ttft, *between, rest])
        period = line.total(seconds.values())
        known = "prefill" in seconds and ("decode" in seconds or not self._outputs_above_one)
        rate = do("div", do("mul", b, n), period)
        if known and tpot == unknown:
            rate = do("where", do("less", one, n), unknown, rate)
        line.show("ttft", ttft)
        line.show("tpot", tpot)
        line.show("latency", latency)
        line.show("throughput", rate if known else unknown)
        several = do("where", do("less", one, n), unknown, period) if tpot == unknown else period
        line.show("period", several if known else unknown)
        line.show("tokens_per_s_per_user", do("div", one, tpot))
        for phase in ("prefill", "decode"):
            value = seconds.get(phase, unknown)
            made_in = tokens.get(phase)
            line.show(phase, value if made_in is None else self._per(value, made_in))

    def _per(self, value: int, count: int) -> int:
        """Return a quotient, unknown where nothing is counted."""
        line = self.line
        if self._outputs_above_one:
            return line.do("div", value, count)
        some = line.do("less", line.constant(0), count)
        safe = line.do("where", some, count, line.constant(1))
        return line.do("where", some, line.do("div", value, safe), line.constant(math.nan))

    def _seconds(self) -> dict[str, int]:
        parts: dict[str, list[int]] = {}
        for timed in self._timed:
            if timed.segment.phase in self._phases:
                parts.setdefault(timed.segment.phase, []).append(self._segment(timed))
        return {phase: self.line.total(found) for phase, found in parts.items()}

    def _segment(self, timed: Timed) -> int:
        """Return the time of a segment, its loop included."""
        do, segment = self.line.do, timed.segment
        whole, part = self._trips(segment)
        still = self._greatest_sum(timed.still, self._bound)
        total = [do("mul", still, whole if part is None else do("add", whole, part))]
        if segment.index is not None and timed.moving:
            total.append(self._loop(timed, whole, segment.index))
            if part is not None:
                after = self._greatest_sum(timed.moving, {**self._bound, segment.index: whole})
                total.append(do("mul", after, part))
        return do("mul", self.line.total(total), self._product(segment.factors))

    def _trips(self, segment: Segment) -> tuple[int, int | None]:
        """Return whole trips, and the fraction of one more where there may be one."""
        line, do = self.line, self.line.do
        if segment.times is None:
            return line.constant(1), None
        count = self._emit.at_least_zero(segment.times, self._bound)
        atoms = [self._lowered.space.atoms[s] for m in segment.times for s, e in m if e > 0]
        whole_numbers = all(isinstance(c, int) for c in segment.times.values())
        powers = all(e > 0 for m in segment.times for _, e in m)
        if whole_numbers and powers and all(a.symbol in self._bound for a in atoms):
            return count, None
        whole = do("floor", do("add", count, line.constant(NEAR)))
        part = do("sub", count, whole)
        some = do("less", line.constant(NEAR), part)
        return whole, do("where", some, part, line.constant(0))

    def _loop(self, timed: Timed, whole: int, index: Symbol) -> int:
        """Return the sum over the trips of what moves along them."""
        space = self._lowered.space
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
        return self.line.total(total)

    def _stretch(
        self, rows: Sequence[Sequence[Terms]], index: Symbol, low: int, after: int
    ) -> list[int]:
        """Return what adds up to the time of steps along which every cost is affine."""
        do, one = self.line.do, self.line.constant(1)
        length, last = do("sub", after, low), do("sub", after, one)
        middle = do("div", do("add", low, last), self.line.constant(2))
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
        line, emit = self.line, self._emit
        zero = line.constant(0)
        kinks = dict(self._open_kinks(timed))
        ordered = in_order(self._lowered.space, index, timed.kinks)
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
                slot: dict(self._lowered.space.atoms[slot].args[sides[k < at]])
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
        line = self.line
        zero = line.constant(0)
        last = line.do("max", line.do("sub", whole, line.constant(1)), zero)
        before = self._emit.polynomial(kink, {**self._bound, index: zero})
        after = self._emit.polynomial(kink, {**self._bound, index: last})
        return self._crossing(before, after, whole)

    def _row_over(
        self, row: Sequence[Terms], index: Symbol, low: int, end: int, length: int
    ) -> int:
        """Return the sum over a stretch of the greatest of affine functions."""
        line, do = self.line, self.line.do
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
        line, do = self.line, self.line.do
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
                found[j], found[j + 1] = self.line.do("min", a, b), self.line.do("max", a, b)
        return found

    def _greatest_sum(self, rows: Iterable[Sequence[Terms]], bound: Bound) -> int:
        """Return ``Σ max(…)`` over rows."""
        kept = [self._emit.ranges.greatest(row) for row in rows]
        alone = self._emit.polynomial(add(row[0] for row in kept if len(row) == 1), bound)
        several = [self._emit.greatest(row, bound) for row in kept if len(row) > 1]
        return self.line.total([alone, *several])

    def _product(self, factors: Sequence[Terms]) -> int:
        value = self.line.constant(1)
        for terms in factors:
            value = self.line.do("mul", value, self._emit.at_least_zero(terms, self._bound))
        return value

    # Memory.

    def _sizes(self, footprints: Footprints, chip: Hardware) -> None:
        line, do = self.line, self.line.do
        held: list[list[int]] = [[] for _ in footprints.varying]
        alive: list[int] = []
        for k, segment in enumerate(footprints.segments):
            for bound, happens in self._ends(segment):

                def counted(value: int, happens: int = happens) -> int:
                    return do("where", happens, value, line.constant(0))

                for sizes, (_, _, variants) in zip(held, footprints.varying, strict=True):
                    if (terms := variants[k]) is not None:
                        sizes.append(counted(self._emit.polynomial(dict(terms), bound)))
                rows = self._emit.ranges.greatest(footprints.alive[k])
                if rows:
                    alive.append(counted(self._emit.greatest(rows, bound)))
        kinds: dict[str, list[int]] = {k: [line.constant(v)] for k, v in footprints.fixed.items()}
        for (kind, count, _), found in zip(footprints.varying, held, strict=True):
            kinds[kind].append(do("mul", self._largest(found), line.constant(count)))
        sums = {kind: line.total(parts) for kind, parts in kinds.items()}
        sums["activations"] = self._largest(alive)
        reserve = line.constant(float(chip.reserve_bytes))
        for kind, value in sums.items():
            line.show(kind, value)
        line.show("overhead", reserve)
        line.show("memory", line.total([*sums.values(), reserve]))
        capacity = chip.capacity_bytes
        line.show("capacity", line.constant(math.nan if capacity is None else float(capacity)))

    def _largest(self, steps: Sequence[int]) -> int:
        best = self.line.constant(0)
        for step in sorted(dict.fromkeys(steps), key=lambda s: self.line.masks[s].bit_count()):
            best = self.line.do("max", best, step)
        return best

    def _ends(self, segment: Segment) -> list[tuple[Bound, int]]:
        """Return what binds the first and the last call of a segment, and whether it happens."""
        line, do = self.line, self.line.do
        happens = line.constant(True)
        for factor in segment.factors:
            happens = do("and", happens, self._positive(factor))
        if segment.index is None or segment.times is None:
            return [(self._bound, happens)]
        happens = do("and", happens, self._positive(segment.times))
        zero, one = line.constant(0), line.constant(1)
        count, part = self._trips(segment)
        last = do("sub", count, one) if part is None else self._ceiling_less_one(segment.times)
        first_at, last_at = {segment.index: zero}, {segment.index: do("max", last, zero)}
        return [({**self._bound, **first_at}, happens), ({**self._bound, **last_at}, happens)]

    def _positive(self, terms: Terms) -> int:
        plain = self._emit.ranges.plain(terms)
        if self._emit.ranges.of(plain)[0] > 0:
            return self.line.constant(True)
        value = self._emit.polynomial(plain, self._bound)
        return self.line.do("less", self.line.constant(0), value)

    def _ceiling_less_one(self, times: Terms) -> int:
        line, do = self.line, self.line.do
        value = self._emit.polynomial(add([scaled(times, -1)]), self._bound)
        down = do("floor", do("add", value, line.constant(NEAR)))
        return do("sub", do("sub", line.constant(0), down), line.constant(1))

"""Figures as straight-line steps: phases summed over their loops in closed form, and memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from mansard.backends.engine.emit import Bound, Emitter
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.loops import LoopSums
from mansard.backends.engine.lowered import Lowered
from mansard.backends.engine.occupied import Occupied
from mansard.backends.engine.parameters import Parameter, Rates
from mansard.backends.engine.polynomials import add
from mansard.backends.engine.ranges import UNBOUNDED, Interval, Ranges
from mansard.backends.engine.straight import Straight
from mansard.backends.engine.timed import Timed
from mansard.backends.engine.trips import trips_of
from mansard.backends.estimate import DECODE, ENCODE, PREFILL, called_once
from mansard.backends.quantity import Terms
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
        rates: for the chip's capacity and what is set aside.
        phases: that count.
        ranges: ``batch``, ``prompt``, ``output`` and parameters, least and greatest.
        axes: their order, those that vary most slowly first; of the others one value is known.
        parameters: fields of the chip that vary.

    Raises:
        NotCompiledError: a cost whose products of the step must cancel.
    """

    def __init__(
        self, lowered: Lowered, timed: Sequence[Timed], footprints: Footprints, rates: Rates,
        phases: Sequence[str], ranges: Mapping[str, Interval], axes: Sequence[str],
        parameters: Sequence[Parameter] = (),
    ) -> None:  # fmt: skip
        self.line = Straight(axes)
        self._lowered, self._timed, self._phases = lowered, timed, phases
        self._bound: Bound = {s: self._symbol(name, ranges[name]) for name, s in SYMBOLS.items()}
        known = {s: ranges[name] for name, s in SYMBOLS.items()}
        fields = {p.field: self._symbol(p.field, ranges[p.field]) for p in parameters}
        for p in parameters:
            low, high = ranges[p.field]
            known[p.itself] = (low, high)
            known[p.inverse] = (1 / high if high else math.inf, 1 / low if low else math.inf)
            one, here = self.line.constant(1), fields[p.field]
            both = {p.itself: here, p.inverse: self.line.do("div", one, here)}
            self._bound = {**self._bound, **both}
        outer = Ranges(lowered.space, known)
        trips = [s for s in lowered.segments if s.index is not None and s.times is not None]
        for s in trips:
            assert s.index is not None
            assert s.times is not None
            before = known.get(s.index, (0.0, 0.0))[1]
            known[s.index] = (0.0, max(before, outer.of(s.times)[1], 1.0))
        self._emit = Emitter(lowered.space, self.line, Ranges(lowered.space, known))
        self._loops = LoopSums(self._emit, self._bound)
        self._outputs_above_one = ranges["output"][0] > 1
        self._times()
        size = rates.capacity
        capacity = None if size is None else fields[size.field]
        Occupied(self._emit, self._bound).show(footprints, rates.cluster.chip, capacity)

    def _symbol(self, name: str, interval: Interval) -> int:
        if name in self.line.axes:
            return self.line.symbol(name)
        if interval[0] != interval[1]:
            raise ValueError(f"{name} varies, but is no axis")
        return self.line.constant(interval[0])

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
        once = called_once(seconds)
        if once:
            latency, known, rate = period, True, do("div", b, period)
        line.show("ttft", ttft)
        line.show("tpot", tpot)
        line.show("latency", latency)
        line.show("throughput", rate if known else unknown)
        several = period
        if tpot == unknown and not once:
            several = do("where", do("less", one, n), unknown, period)
        line.show("total", period)
        line.show("period", several if known else unknown)
        line.show("tokens_per_s_per_user", do("div", one, tpot))
        for phase in ("prefill", "decode"):
            value = seconds.get(phase, unknown)
            made_in = tokens.get(phase)
            line.show(phase, value if made_in is None else self._step(value, made_in))

    def _per(self, value: int, count: int, otherwise: int | None = None) -> int:
        """Return a quotient; where nothing is counted, something else: unknown unless given."""
        line = self.line
        if self._outputs_above_one:
            return line.do("div", value, count)
        some = line.do("less", line.constant(0), count)
        safe = line.do("where", some, count, line.constant(1))
        other = line.constant(math.nan) if otherwise is None else otherwise
        return line.do("where", some, line.do("div", value, safe), other)

    def _step(self, value: int, count: int) -> int:
        """Return the mean step of a phase: all of it where it makes no token, if it happens."""
        line = self.line
        happens = line.do("less", line.constant(0), value)
        return self._per(value, count, line.do("where", happens, value, line.constant(math.nan)))

    def _seconds(self) -> dict[str, int]:
        parts: dict[str, list[int]] = {}
        for timed in self._timed:
            if timed.segment.phase in self._phases:
                parts.setdefault(timed.segment.phase, []).append(self._segment(timed))
        return {phase: self.line.total(found) for phase, found in parts.items()}

    def _segment(self, timed: Timed) -> int:
        """Return the time of a segment, its loop included."""
        do, segment = self.line.do, timed.segment
        whole, part = trips_of(segment, self._emit, self._bound)
        still = self._greatest_sum(timed.still, self._bound)
        total = [do("mul", still, whole if part is None else do("add", whole, part))]
        if segment.index is not None and timed.moving:
            total.append(self._loops.moving(timed, whole, segment.index))
            if part is not None:
                after = self._greatest_sum(timed.moving, {**self._bound, segment.index: whole})
                total.append(do("mul", after, part))
        return do("mul", self.line.total(total), self._product(segment.factors))

    def _greatest_sum(self, rows: Iterable[Sequence[Terms]], bound: Bound) -> int:
        """Return ``Σ max(…)`` over rows."""
        kept = [self._emit.ranges.greatest(row) for row in rows]
        alone = self._emit.polynomial(add(row[0] for row in kept if len(row) == 1), bound)
        several = [self._emit.greatest(row, bound) for row in kept if len(row) > 1]
        return self.line.total([alone, *several])

    def _product(self, factors: Sequence[Terms]) -> int:
        """Return a product of factors, each at least 0; what happens never does so no times."""
        do, ranges, zero = self.line.do, self._emit.ranges, self.line.constant(0)
        value, never = self.line.constant(1), False
        for terms in factors:
            low, high = ranges.of(ranges.plain(terms))
            product = do("mul", value, self._emit.at_least_zero(terms, self._bound))
            infinite = high >= UNBOUNDED[1]
            some = do("less", zero, value) if never and infinite else self.line.constant(True)
            value, never = do("where", some, product, zero), never or low <= 0
        return value

"""Where one constraint holds: exactly, by bisection under a certificate, or by enumeration."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

import numpy as np

from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.inverse.broken import Broken, Span, line, summed
from mansard.backends.inverse.forms import NotAffineError
from mansard.core.errors import SpecError
from mansard.query.metrics import quantities
from mansard.query.solving.allowance import Allowed, exactly
from mansard.query.solving.bisecting import STEPS, bisected, way_of
from mansard.query.solving.conditions import Condition
from mansard.query.solving.enumerating import enumerated
from mansard.query.solving.sets import Spans, crossings, whole_where, with_value, without_value
from mansard.query.solving.values import Values

ALGORITHMS = ("link.latency", "link.per_direction")
"""Fields with which collectives change their algorithm: the time is no curve of one piece a row."""

MOST_CURVES = 128
"""Lengths whose curves are added; of more, values are computed and searched."""

ROUNDING = 1e-12
"""Far more than sums in floats are off by, relative."""


class Search(Values):
    """Answers for constraints on one unknown of one question."""

    def allowed(self, condition: Condition) -> Allowed:
        """Return where a constraint holds.

        Raises:
            SpecError: a quantity it names does not exist here, or no method applies.
        """
        self.check(condition)
        if self.question.priced is not None:
            try:
                return self.exact(condition, self.parts(condition))
            except (NotAffineError, NotCompiledError):
                pass
            way = way_of(self, condition)
            if way is not None:
                return bisected(self, condition, way)
        if not self.unknown.whole:
            raise SpecError(
                f"{condition.text!r} is not piecewise affine in {self.unknown.name}, nor is it"
                " certain which way it goes",
                hint="sweep it instead: mansard sweep --vary",
            )
        return enumerated(self, condition)

    def check(self, condition: Condition) -> None:
        """Raise where this answer has no quantity that a constraint names.

        Raises:
            SpecError: it says which.
        """
        known = quantities(self.question.estimate)
        for name in condition.names:
            priced = self.question.study.price is not None
            if known[name] is None and name in ("cost", "cost_per_mtok") and not priced:
                raise SpecError(
                    f"{condition.text!r}: {name} is unknown: nothing gives a price",
                    hint="add --price 2.50",
                )
            if known[name] is None and name == "energy" and known["throughput"] is not None:
                chip = self.question.estimate.chip.id
                raise SpecError(f"{condition.text!r}: energy is unknown: {chip} states no power",
                                hint="add --set hardware.tdp=700W")  # fmt: skip
            alone = self.unknown.key == "output" and self.question.sizes["output"] < 2
            if known[name] is None and not (alone and name in STEPS):
                raise SpecError(f"{condition.text!r}: this answer has no {name}",
                                hint=self.question.where_to_ask())  # fmt: skip

    @cached_property
    def ends(self) -> Span:
        """The range of what curves are functions of: of a rate, its slowness."""
        u = self.unknown
        return (u.today / u.high, u.today / u.low) if u.is_rate else (u.low, u.high)

    def parts(self, condition: Condition) -> list[Broken]:
        """Return terms whose sum has the sign of left less right, as functions of the unknown.

        Raises:
            NotAffineError: it is not piecewise affine.
        """
        if self.unknown.key in ALGORITHMS:
            raise NotAffineError("collectives change their algorithm")
        mix = self.question.study.mix
        if mix is not None and len(mix.weights) > MOST_CURVES:
            raise NotAffineError(f"{len(mix.weights):,} lengths are too many curves to add")
        curves = self.question.curves(self.unknown.key, *self.ends)

        def figure(name: str) -> Broken:
            if name in self.constants:
                return line(self.constants[name], 0, *self.ends)
            found = curves.figure(name)
            if found is None:
                raise NotAffineError(f"there is no {name}")
            return found

        return condition.parts(figure, *self.ends)

    def exact(self, condition: Condition, parts: list[Broken]) -> Allowed:
        """Return where a sum of curves is on the right side of zero."""
        curve = summed(parts)
        if condition.op == "==":
            spans: Spans = tuple((x, x) for x in crossings(curve))
            if self.unknown.whole:
                spans = tuple(_around(x, curve) for x, _ in spans)
        elif self.unknown.whole:
            spans = self._rounded(condition, parts, whole_where(curve, condition.op))
        else:
            side = curve if condition.op in ("<", "<=") else curve.scaled(-1)
            spans = side.where(0)
        found = self._in_units(spans)
        best = None if found else self._best(condition, curve)
        bends = len(curve.bends)
        of = f"1/{self.unknown.name}" if self.unknown.is_rate else self.unknown.name
        return Allowed(found, exactly(of, bends), best, bends=bends)

    def _rounded(self, condition: Condition, parts: list[Broken], spans: Spans) -> Spans:
        """Return spans as floats have them where both sides are equal but for rounding.

        A limit copied from an answer is that answer in floats, which no exact sum meets exactly.
        """
        low, high = self.ends
        if all(not p.slope and not p.bends for p in parts) and _vanishes(parts, low):
            held = condition.holds(self.figures(condition, [low]))
            return ((low, high),) if held[0] else ()
        ends = {x + step for span in spans for x in span for step in (-1, 0, 1)}
        near = sorted(x for x in ends if low <= x <= high and _vanishes(parts, x))
        if not near:
            return spans
        held = condition.holds(self.figures(condition, near), len(near))
        found = spans
        for x, holds in zip(near, held, strict=True):
            found = with_value(found, x) if holds else without_value(found, x)
        return found

    def _in_units(self, spans: Spans) -> Spans:
        """Return spans of a rate's slowness as spans of the rate."""
        if not self.unknown.is_rate:
            return spans
        return tuple((self.unknown.today / b, self.unknown.today / a) for a, b in reversed(spans))

    def _best(self, condition: Condition, curve: Broken) -> Fraction:
        """Return the value at which a constraint that never holds is nearest to it."""
        ends = [curve.low, *(x for x, _ in curve.bends), curve.high]
        xs = [self.unknown.today / x for x in ends] if self.unknown.is_rate else ends
        if self.unknown.whole:
            xs = [Fraction(round(x)) for x in xs]
        left, right = condition.sides(self.figures(condition, xs), len(xs))
        gaps = condition.gap(left, right)
        return xs[int(np.nanargmin(gaps))]


def _vanishes(parts: list[Broken], x: Fraction) -> bool:
    """Say whether a sum is zero but for the rounding of what its parts stand for."""
    values = [part.near(float(x)) for part in parts]
    return abs(sum(values)) <= ROUNDING * sum(map(abs, values))


def _around(x: Fraction, curve: Broken) -> Span:
    """Return the whole numbers on both sides of a crossing."""
    low, high = Fraction(x // 1), Fraction(-(-x // 1))
    return max(low, curve.low), min(high, curve.high)

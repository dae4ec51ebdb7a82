"""Whose time it is: the seconds of a phase by the field of the chip that sets them.

A row's time is that of its slowest resource; a resource's time is work over rates. So the seconds
that a rate sets are those of the rows it bounds, and the metric's elasticity to the rate is minus
their share: no derivative is taken numerically, and no rate gets time it does not bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from mansard.backends.collectives import Level, seconds
from mansard.backends.inverse.broken import ZERO, line
from mansard.backends.inverse.envelope import winners
from mansard.backends.inverse.forms import Bound, Form
from mansard.backends.inverse.sections import Priced, Section, Share
from mansard.backends.inverse.sums import Sums
from mansard.backends.quantity import Terms
from mansard.core.symbols import SCENARIO

LATENCY = "latency"
"""Seconds no rate sets: waits, and the hops of collectives."""
NUDGE = Fraction(1, 2**40)


class Attribution:
    """Seconds by field at one scenario.

    Args:
        priced: the program on its chip.
        scenario: batch, prompt and output.
    """

    def __init__(self, priced: Priced, scenario: Mapping[str, float]) -> None:
        env = {SCENARIO[name]: value for name, value in scenario.items()}
        self.priced = priced
        self._bound = Bound(priced.space, env, None, ZERO, ZERO)
        self._sums = Sums(self._bound)

    def phase(self, name: str) -> dict[str, Fraction]:
        """Return the seconds of a phase by field; those no rate sets under ``latency``."""
        found: dict[str, Fraction] = {}
        for section in self.priced.of_phase(name):
            often = self._sums.often(section.segment)
            for field, time_s in self._section(section):
                found[field] = found.get(field, ZERO) + time_s * often
        return found

    def tokens(self, name: str) -> Fraction | None:
        """Return the tokens of a sequence that a phase makes; None where it makes none."""
        made = [y for y in self.priced.lowered.yields if y.phase == name]
        if not made:
            return None
        total = ZERO
        for y in made:
            product = Fraction(1)
            for factor in y.factors:
                product *= max(self._bound.value(factor), ZERO)
            total += product
        return total

    def _section(self, section: Section) -> Iterator[tuple[str, Fraction]]:
        whole, part = self._sums.trips(section.segment)
        edges = [0, *sorted(self._sums.kinks(section, whole)), whole]
        for first, after in pairwise(edges):
            if first < after:
                yield from self._stretch(section, first, after)
        if part:
            for field, time_s in self._stretch(section, whole, whole + 1):
                yield field, time_s * part

    def _stretch(self, section: Section, first: int, after: int) -> Iterator[tuple[str, Fraction]]:
        """Yield (field, seconds) of steps along which every resource is affine."""
        span = (first, after - 1)
        shares: dict[str, list[tuple[Share, Form]]] = {}
        for share in section.shares:
            form = self._bound.form(share.terms, section.segment.index, span)
            shares.setdefault(share.resource, []).append((share, form))
        names = list(shares)
        low, high = Fraction(first), Fraction(after - 1)
        lines = [
            line(sum((f.base for _, f in shares[r]), ZERO),
                 sum((f.tilt for _, f in shares[r]), ZERO), low, high)
            for r in names
        ]  # fmt: skip
        start = first
        for piece, which in winners(lines):
            last = int(piece.high // 1)
            for share, form in shares[names[which]]:
                steps = last + 1 - start
                total = form.base * steps + form.tilt * Fraction(steps * (start + last), 2)
                yield from self._parts(share, total)
            start = last + 1

    def _parts(self, share: Share, total: Fraction) -> Iterator[tuple[str, Fraction]]:
        if share.link is None:
            yield share.field or LATENCY, total
            return
        ((monomial, _),) = share.work.items()
        slot = next(s for s, _ in monomial if self.priced.space.atoms[s].link is not None)
        size = self._size(dict(self.priced.space.atoms[slot].args[0]))
        for field, part in _levels(*share.link, share.levels, size):
            yield field, total * part

    def _size(self, terms: Terms) -> Fraction:
        return self._bound.form(terms).base


def _levels(
    op: str, levels: Sequence[Level], fields: Sequence[str], size: Fraction
) -> Iterator[tuple[str, Fraction]]:
    """Yield the share of a collective's time that each link's rate sets, and the rest.

    Time is affine in one over a rate between changes of algorithm, so a nudge in rationals says it
    exactly.
    """
    exact = [
        Level(Fraction(level.ranks), Fraction(level.bytes_per_s), Fraction(level.latency_s))
        for level in levels
    ]
    whole = Fraction(seconds(op, size, tuple(exact)))
    rest = Fraction(1)
    for k, (level, field) in enumerate(zip(exact, fields, strict=True) if whole else ()):
        nudged = list(exact)
        nudged[k] = replace(level, bytes_per_s=level.bytes_per_s * (1 + NUDGE))
        less = whole - Fraction(seconds(op, size, tuple(nudged)))
        share = less * (1 + NUDGE) / NUDGE / whole
        rest -= share
        yield field, share
    yield LATENCY, rest

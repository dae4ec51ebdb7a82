"""Phases as sums of rows in one unknown, each as long as its slowest resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from mansard.backends.engine.lowered import Segment
from mansard.backends.inverse.broken import ZERO, Broken, line, summed
from mansard.backends.inverse.envelope import greatest
from mansard.backends.inverse.forms import MOST_STEPS, Bound, Form, NotAffineError
from mansard.backends.inverse.sections import Section

NEAR = Fraction(1, 10**9)


class Sums:
    """Seconds of phases as functions of one unknown.

    Args:
        bound: of the space, all but the unknown.
        field: of the chip, where the unknown is its slowness: today's rate over the one asked for.
    """

    def __init__(self, bound: Bound, field: str = "") -> None:
        self.bound, self.field = bound, field

    def section(self, section: Section) -> Broken:
        """Return the seconds of one row, all its steps."""
        segment = section.segment
        whole, part = self.trips(segment)
        edges = [0, *sorted(self.kinks(section, whole)), whole]
        spans = [(a, b) for a, b in pairwise(edges) if a < b]
        parts = [self._over(self.forms(section, (a, b - 1)), a, b) for a, b in spans]
        if part:
            after = [f.at(whole, *self.ends) for f in self.forms(section, (whole, whole)).values()]
            parts.append(greatest(after).scaled(part))
        seconds = summed(parts) if parts else line(0, 0, *self.ends)
        return seconds.scaled(self.often(segment))

    @property
    def ends(self) -> tuple[Fraction, Fraction]:
        """The range of the unknown."""
        return self.bound.low, self.bound.high

    def kinks(self, section: Section, whole: int) -> set[int]:
        """Return the steps at which what a row reads stops growing, or starts."""
        index = section.segment.index
        if index is None:
            return set()
        return {k for s in section.shares for k in self.bound.kinks(s.terms, index, whole)}

    def forms(self, section: Section, span: tuple[int, int] = (0, 0)) -> dict[str, Form]:
        """Return what each resource needs within a span of steps, but one always exceeded."""
        index = section.segment.index
        if not self.field:
            return {r: self.bound.form(t, index, span) for r, t in section.kept.items()}
        found: dict[str, Form] = {}
        for share in section.shares:
            form = self.bound.form(share.terms, index, span)
            if share.field == self.field:
                form = form.along(1)
            name = share.resource
            found[name] = found[name] + form if name in found else form
        return found

    def trips(self, segment: Segment) -> tuple[int, Fraction]:
        """Return whole trips of the loop around a segment, and the fraction of one more."""
        if segment.times is None:
            return 1, ZERO
        count = max(self.bound.value(segment.times), ZERO)
        whole = (count + NEAR).__floor__()
        part = count - whole
        return whole, part if part > NEAR else ZERO

    def often(self, segment: Segment) -> Fraction:
        """Return how often it happens beside its loop."""
        product = Fraction(1)
        for factor in segment.factors:
            if product:  # what happens never does not ask how often more
                product *= max(self.bound.value(factor), ZERO)
        return product

    def _over(self, forms: Mapping[str, Form], first: int, after: int) -> Broken:
        """Return the sum over steps of the greatest of forms."""
        each = list(forms.values())
        if not any(f.moves for f in each):
            return greatest([f.at(first, *self.ends) for f in each]).scaled(after - first)
        best = _dominant(each, (first, after - 1), self.ends)
        if best is not None:
            return best.over(first, after, *self.ends)
        if after - first > MOST_STEPS:
            raise NotAffineError(f"a row that flips within {after - first:,} steps")
        return summed([greatest([f.at(t, *self.ends) for f in each]) for t in range(first, after)])


def _dominant(
    forms: Sequence[Form], span: tuple[int, int], ends: tuple[Fraction, Fraction]
) -> Form | None:
    """Return the form that is the greatest at every step and value, if one is.

    The difference of two is bilinear, so its sign at the corners is its sign everywhere.
    """
    if len(forms) == 1:
        return forms[0]
    if any(f.bent is not None for f in forms):
        return None
    corners = [
        [f.base + f.slope * x + t * (f.tilt + f.twist * x) for f in forms]
        for x in ends
        for t in span
    ]
    for k, form in enumerate(forms):
        if all(corner[k] == max(corner) for corner in corners):
            return form
    return None


def mean_step(sums: Sums, section: Section) -> dict[str, Broken]:
    """Return the seconds that each resource of a row needs in its mean step."""
    whole, part = sums.trips(section.segment)
    edges = [0, *sorted(sums.kinks(section, whole)), whole]
    totals: dict[str, list[Broken]] = {}
    for a, b in pairwise(edges):
        if a < b:
            for name, form in sums.forms(section, (a, b - 1)).items():
                totals.setdefault(name, []).append(form.over(a, b, *sums.ends))
    if part:
        for name, form in sums.forms(section, (whole, whole)).items():
            totals.setdefault(name, []).append(form.at(whole, *sums.ends).scaled(part))
    steps = whole + part
    return {r: summed(parts).scaled(1 / Fraction(steps)) for r, parts in totals.items()}

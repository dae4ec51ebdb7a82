"""Proofs that a time is never below its bound, so that no maximum of the two is taken.

A form is a sum of times, each a product of what only lengthens it: a knee is at least 1, whole
tiles and waves hold at least what fills them, a maximum is at least either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mansard.backends.calibrated.traced_numbers import Traced, Value, terms_of
from mansard.backends.engine.polynomials import add, scaled, times
from mansard.backends.quantity import ONE, Terms

if TYPE_CHECKING:
    from mansard.backends.calibrated.tracer import Tracer


def uncovered(tracer: Tracer, value: Value, by: Value) -> Value | None:
    """Return what of a maximum may exceed a time; None where nothing does."""
    if not isinstance(by, Traced) or not isinstance(value, Traced):
        return value
    parts = _sides(tracer, value)
    if len(parts) == 1:
        return None if _covers(tracer, by, value) else value
    kept = [part for part in parts if uncovered(tracer, part, by) is not None]
    if len(kept) == len(parts):
        return value
    return kept[0] if kept else None


def _sides(tracer: Tracer, value: Traced) -> list[Value]:
    """Return the values a maximum is of; of anything else, the value."""
    if len(value.terms) == 1:
        ((monomial, c),) = value.terms.items()
        if len(monomial) == 1 and monomial[0][1] == 1:
            atom = tracer.space.atoms[monomial[0][0]]
            if atom.kind == "max":
                return [tracer.value(dict(arg)) * c for arg in atom.args]
    return [value]


def _covers(tracer: Tracer, a: Traced, b: Traced) -> bool:
    """Say whether a time is certainly at least another."""
    for lower in _lowers(tracer, a.terms):
        rest = add([lower, scaled(b.terms, -1)])
        if not rest or min(rest.values()) >= 0 or tracer.sign(Traced(tracer, rest)) == 1:
            return True
    return False


def _lowers(tracer: Tracer, terms: Terms) -> Iterator[Terms]:
    """Yield polynomials that a sum is at least, for each side of its first maximum."""
    for side in (0, 1):
        parts = []
        for monomial, c in terms.items():
            product: Terms = {ONE: c}
            for slot, exponent in monomial:
                factor: Terms = {((slot, exponent),): 1.0}
                if c > 0 and exponent > 0:
                    factor = _lower(tracer, slot, exponent, side)
                product = times(product, factor)
            parts.append(product)
        yield add(parts)


def _lower(tracer: Tracer, slot: int, exponent: int, side: int) -> Terms:
    """Return a polynomial that a power of an atom is at least."""
    atom = tracer.space.atoms[slot]
    kind, _, given = atom.kind.partition(" ")
    found: Terms = {((slot, 1),): 1.0}
    match kind:
        case "knee":
            found = {ONE: 1.0}
        case "max":
            found = next(_lowers(tracer, dict(atom.args[side])))
        case "ceil":
            found = dict(atom.args[0])
        case "sum" if min(c for _, c in atom.args[0]) < 0:
            low = tracer.ranges.of({((slot, 1),): 1})[0]
            found = {ONE: low} if low > 0 else {}
        case "sum":
            found = dict(atom.args[0])
        case "raised":
            ((monomial, _),) = atom.args[0]
            inner = tracer.space.atoms[monomial[0][0]]
            if inner.kind == "ceil" and len(inner.args[0]) == 1:
                found = terms_of(tracer.power(Traced(tracer, dict(inner.args[0])), float(given)))
    product: Terms = {ONE: 1.0}
    for _ in range(exponent):
        product = times(product, found)
    return product

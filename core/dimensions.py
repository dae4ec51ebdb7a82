"""What a quantity is measured in: exponents of base units, and those of an expression.

>>> print_dimension(DIMENSIONS["bytes/s"]), print_dimension(Dimension({"s": Fraction(2)}))
('bytes/s', 's**2')
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from mansard.core.errors import SpecError
from mansard.core.symbols import Expr


class Dimension(dict[str, Fraction]):
    """Base unit → exponent, none of them 0."""

    def times(self, other: Mapping[str, Fraction], power: Fraction = Fraction(1)) -> Dimension:
        """Return that of a product with something raised to a power."""
        units = dict.fromkeys((*self, *other))
        found = {u: self.get(u, Fraction(0)) + power * other.get(u, Fraction(0)) for u in units}
        return Dimension({u: e for u, e in found.items() if e})


NUMBER = Dimension()
DIMENSIONS: Mapping[str, Dimension] = {
    "number": NUMBER, "tokens": NUMBER, "bytes": Dimension(B=Fraction(1)),
    "time": Dimension(s=Fraction(1)), "1/s": Dimension(s=Fraction(-1)),
    "bytes/s": Dimension(B=Fraction(1), s=Fraction(-1)),
    "flop/s": Dimension(FLOP=Fraction(1), s=Fraction(-1)), "power": Dimension(W=Fraction(1)),
    "energy": NUMBER,  # in joules, which a bare number is, too
    "frequency": Dimension(s=Fraction(-1)),
    "dollars/h": Dimension({"$": Fraction(1), "s": Fraction(-1)}),
}  # fmt: skip
"""Those of ``core.units``, by its names."""


def name_of(dimension: Dimension) -> str | None:
    """Return the name that ``core.units`` has for it."""
    return next((name for name, known in DIMENSIONS.items() if known == dimension), None)


def print_dimension(dimension: Dimension) -> str:
    """Write a dimension for people."""
    if not dimension:
        return "a number"
    powers = (u if e == 1 else f"{u}**{e}" for u, e in sorted(dimension.items()))
    return name_of(dimension) or "*".join(powers)


def dimension_of(value: Expr, known: Mapping[Expr, Dimension]) -> Dimension | None:
    """Return the dimension of an expression; None of zero, which has every one.

    Args:
        value: over symbols, a symbol for each number that has a unit.
        known: their dimensions.

    Raises:
        SpecError: a sum of what cannot be added, or an exponent that is no number.
    """
    if value.is_Symbol:
        return known[value]
    if value.is_number:
        return None if value.is_zero else NUMBER
    parts = [dimension_of(arg, known) for arg in value.args]
    if value.is_Mul:
        product = NUMBER
        for part in parts:
            product = product.times(part or NUMBER)
        return product
    if value.is_Pow:
        return _power(value, parts[0] or NUMBER, parts[1] or NUMBER)
    if value.func.__name__ == "ceil_div":
        return (parts[0] or NUMBER).times(parts[1] or NUMBER, Fraction(-1))
    return _same(value, parts)


def _power(value: Expr, base: Dimension, exponent: Dimension) -> Dimension:
    if exponent:
        raise SpecError(
            f"an exponent is {print_dimension(exponent)}, no number", hint="divide by its unit"
        )
    if not base:
        return NUMBER
    if not value.exp.is_Rational:
        raise SpecError(f"what is {print_dimension(base)} has an exponent that is not one number",
                        hint="write a number as the exponent")  # fmt: skip
    return NUMBER.times(base, Fraction(int(value.exp.p), int(value.exp.q)))


def _same(value: Expr, parts: list[Dimension | None]) -> Dimension | None:
    """Return the one dimension of the terms of a sum, or of what is picked from."""
    found = [part for part in parts if part is not None]
    other = next((part for part in found if part != found[0]), None)
    if other is not None:
        how = "added" if value.is_Add else "compared"
        raise SpecError(f"{print_dimension(found[0])} and {print_dimension(other)} cannot be {how}",
                        hint="give numbers the unit of what they stand beside")  # fmt: skip
    return found[0] if found else None

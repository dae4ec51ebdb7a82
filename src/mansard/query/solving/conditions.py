"""Constraints as users write them: ``tpot <= 25ms``, ``1ms < tpot <= 25ms``, ``2*tpot < ttft``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from mansard.backends.engine.points import Array, Operand, Points
from mansard.backends.engine.polynomials import Space
from mansard.backends.inverse.broken import Broken, line
from mansard.backends.inverse.direction import Way, together, turned
from mansard.backends.inverse.forms import NotAffineError
from mansard.backends.quantity import Terms
from mansard.core.comparison import OPERATORS, Comparison, parse_comparison
from mansard.core.errors import SpecError, shortened
from mansard.core.symbols import symbol
from mansard.query.gate import DIMENSIONS

Power = tuple[tuple[str, int], ...]
"""((quantity, exponent), …)."""
SPLIT = re.compile("|".join(OPERATORS))
RATES: Mapping[str, Power] = {
    "throughput": (("batch", 1), ("output", 1), ("period", -1)),
    "tokens_per_s_per_user": (("tpot", -1),),
    "energy": (("device_power", 1), ("period", 1)),
    "cost": (("price_per_s", 1), ("period", 1)),
    "cost_per_mtok": (
        ("price_per_s", 1), ("million", 1), ("period", 1), ("batch", -1), ("output", -1),
    ),
}  # fmt: skip
"""Quantities that are quotients of others, as the roofline makes them."""


@dataclass(frozen=True, eq=False)
class Condition:
    """One comparison, in base units, with the text it came from."""

    text: str
    comparison: Comparison

    @property
    def op(self) -> str:
        """The operator; ``=`` is ``==``."""
        return "==" if self.comparison.op == "=" else self.comparison.op

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities it mentions, in order."""
        return tuple(sorted(self.comparison.names))

    @cached_property
    def _space(self) -> Space:
        return Space()

    @cached_property
    def _sides(self) -> tuple[Terms, Terms]:
        c = self.comparison
        return self._space.expression(c.left), self._space.expression(c.right)

    def sides(self, figures: Mapping[str, Operand], size: int = 1) -> tuple[Array, Array]:
        """Return both sides at points; NaN where a quantity does not exist."""
        env = {symbol(name, "rate"): figures[name] for name in self.names}
        points = Points(self._space, env, size)
        with np.errstate(divide="ignore", invalid="ignore"):
            left, right = (points.polynomial(t) + np.zeros(size) for t in self._sides)
        return left, right

    def holds(self, figures: Mapping[str, Operand], size: int = 1) -> Any:
        """Say at each point whether it is true; what does not exist is not."""
        left, right = self.sides(figures, size)
        return OPERATORS[self.op](left, right) & ~(np.isnan(left) | np.isnan(right))  # type: ignore[arg-type]

    def wants_more(self, name: str) -> bool:
        """Say whether more of a quantity is what it asks for."""
        c = self.comparison
        larger = c.left if c.op.startswith(">") else c.right
        return name in {s.name for s in larger.free_symbols}

    def gap(self, left: Array, right: Array) -> Array:
        """Return by how much both sides fail, or less than zero where they do not."""
        match self.op:
            case "==":
                return np.abs(left - right)
            case ">" | ">=":
                return right - left
            case _:
                return left - right

    @property
    def is_empty(self) -> bool:
        """Whether both sides are the same whatever they mention."""
        left, right = self._sides
        return left == right

    # As polynomials of the quantities it mentions.

    @cached_property
    def _difference(self) -> dict[Power, Fraction]:
        """Return left less right.

        Raises:
            NotAffineError: it holds a function of quantities.
        """
        found: dict[Power, Fraction] = {}
        for sign, terms in zip((1, -1), self._sides, strict=True):
            for monomial, c in terms.items():
                names: list[tuple[str, int]] = []
                for slot, exponent in monomial:
                    atom = self._space.atoms[slot]
                    if atom.symbol is None:
                        raise NotAffineError(f"a {atom.kind} of quantities")
                    names.append((atom.symbol.name, exponent))
                key = tuple(sorted(names))
                found[key] = found.get(key, Fraction(0)) + sign * Fraction(c)
        return {k: c for k, c in found.items() if c}

    @cached_property
    def cleared(self) -> dict[Power, Fraction]:
        """Return left less right times what makes every exponent positive; the sign stays."""
        plain = [(_product(*_expanded(power)), c) for power, c in self._difference.items()]
        lowest: dict[str, int] = {}
        for power, _ in plain:
            for name, exponent in power:
                lowest[name] = min(lowest.get(name, 0), exponent)
        by = tuple((name, -e) for name, e in lowest.items() if e < 0)
        found: dict[Power, Fraction] = {}
        for power, c in plain:
            key = _product(power, by)
            found[key] = found.get(key, Fraction(0)) + c
        return found

    def parts(self, figure: Callable[[str], Broken], low: Fraction, high: Fraction) -> list[Broken]:
        """Return terms whose sum is left less right, times a positive quantity.

        Raises:
            NotAffineError: it is not piecewise affine.
        """
        parts = [line(0, 0, low, high)]
        for power, c in self.cleared.items():
            number, moving = c, None
            for name, exponent in power:
                value = figure(name)
                if not value.slope and not value.bends:
                    number *= value.base**exponent
                elif exponent == 1 and moving is None:
                    moving = value
                else:
                    raise NotAffineError(f"a product of quantities in {self.text!r}")
            parts.append((moving or line(1, 0, low, high)).scaled(number))
        return parts

    def way(self, figure: Callable[[str], Way]) -> Way:
        """Return which way left less right goes, where that is certain."""
        try:
            terms = self._difference
        except NotAffineError:
            return None
        return together(
            turned(
                together(turned(figure(n), 1 if e > 0 else -1) for n, e in power),
                1 if c > 0 else -1,
            )
            for power, c in terms.items()
        )


def _expanded(power: Power) -> list[Power]:
    return [
        tuple((n, e * exponent) for n, e in RATES.get(name, ((name, 1),)))
        for name, exponent in power
    ]


def _product(*powers: Power) -> Power:
    total: dict[str, int] = {}
    for power in powers:
        for name, exponent in power:
            total[name] = total.get(name, 0) + exponent
    return tuple(sorted((n, e) for n, e in total.items() if e))


@lru_cache(maxsize=1024)
def _read(text: str) -> tuple[Condition, ...]:
    operators = list(SPLIT.finditer(text))
    if len(operators) < 2:
        return (Condition(shortened(text.strip()), parse_comparison(text, DIMENSIONS)),)
    if len(operators) > 2:
        raise SpecError(f"{text[:60]!r} compares more than three things",
                        hint="write each condition by itself, like 'tpot <= 25ms'")  # fmt: skip
    middle = operators[0].end(), operators[1].start()
    parts = text[: middle[1]], text[middle[0] :]
    return tuple(c for part in parts for c in _read(part))


def read_conditions(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Read constraints; a comma between two stands for "and", and ``a < b < c`` is two.

    Raises:
        MansardError: no comparison, a unit of another dimension, or a quantity nobody knows.
    """
    return tuple(c for text in texts for part in _parts(text) for c in _read(part))


def _parts(text: str) -> list[str]:
    """Split at commas outside parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts if len(parts) < 2 or all(SPLIT.search(p) for p in parts) else [text]

"""Polynomials as straight-line steps, with what varies slowest factored out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mansard.backends.engine.polynomials import Space
from mansard.backends.engine.ranges import Ranges
from mansard.backends.engine.straight import Straight
from mansard.backends.engine.transfers import Pieces, pieces
from mansard.backends.quantity import Scalar, Terms
from mansard.core.errors import SpecError
from mansard.core.symbols import Symbol

Factors = tuple[tuple[int, int], ...]
"""((step, exponent), …)."""
Bound = Mapping[Symbol, int]
"""Symbol → the step that stands for it."""


class Emitter:
    """Writes polynomials of a space as steps.

    Args:
        space: of the polynomials.
        line: the steps are added to.
        ranges: within which the steps hold.
    """

    def __init__(self, space: Space, line: Straight, ranges: Ranges) -> None:
        self.space, self.line, self.ranges = space, line, ranges

    def polynomial(self, terms: Terms, bound: Bound) -> int:
        """Return a polynomial's value."""
        items: list[tuple[Scalar, Factors]] = []
        for monomial, c in self.ranges.plain(terms).items():
            scale, factors = c, []
            for slot, exponent in monomial:
                step = self._atom(slot, bound)
                known = self.line.number(step)
                if known is None:
                    factors.append((step, exponent))
                elif known or exponent > 0:
                    scale = scale * known**exponent
            items.append((scale, tuple(sorted(factors))))
        return self._sum(items)

    def greatest(self, row: Sequence[Terms], bound: Bound) -> int:
        """Return the greatest of polynomials, all within the ranges."""
        values = [self.polynomial(terms, bound) for terms in row]
        best = values[0]
        for value in values[1:]:
            best = self.line.do("max", best, value)
        return best

    def at_least_zero(self, terms: Terms, bound: Bound) -> int:
        """Return a polynomial's value, 0 where that is negative."""
        value = self.polynomial(terms, bound)
        if self.ranges.of(self.ranges.plain(terms))[0] >= 0:
            return value
        return self.line.do("max", value, self.line.constant(0))

    def _sum(self, items: Sequence[tuple[Scalar, Factors]]) -> int:
        """Return a sum of products, the axis that varies fastest multiplied last."""
        line = self.line
        highest = max((line.masks[s].bit_length() for _, fs in items for s, _ in fs), default=0)
        if highest == 0:
            return line.constant(sum(c for c, _ in items))
        groups: dict[Factors, list[tuple[Scalar, Factors]]] = {}
        for c, factors in items:
            last = tuple(f for f in factors if line.masks[f[0]].bit_length() == highest)
            rest = tuple(f for f in factors if line.masks[f[0]].bit_length() != highest)
            groups.setdefault(last, []).append((c, rest))
        return line.total(
            self._product(self._sum(rest), last) for last, rest in sorted(groups.items())
        )

    def _product(self, value: int, factors: Factors) -> int:
        """Return a step times powers of others, those that vary least multiplied first."""
        line = self.line
        for step, exponent in sorted(factors, key=lambda f: line.masks[f[0]].bit_count()):
            for _ in range(abs(exponent)):
                value = line.do("mul" if exponent > 0 else "div", value, step)
        return value

    def _atom(self, slot: int, bound: Bound) -> int:
        atom = self.space.atoms[slot]
        if atom.symbol is not None:
            if atom.symbol not in bound:
                raise SpecError(f"nothing binds the symbol {atom.symbol}")
            return bound[atom.symbol]
        args = [self.polynomial(dict(a), bound) for a in atom.args]
        if atom.link is not None:
            return self._transfer(args[0], pieces(*atom.link))
        do, one = self.line.do, self.line.constant(1)
        match atom.kind:
            case "least":
                return do("min", *args)
            case "ceil_div":
                minus = do("sub", self.line.constant(0), args[0])
                return do("sub", self.line.constant(0), do("floor", do("div", minus, args[1])))
            case "power":
                return do("power", *args)
            case "geometric":
                a, n = args
                flat = do("and", self._not_less(a, one), self._not_less(one, a))
                ratio = do("where", flat, self.line.constant(2), a)
                sum_ = do("div", do("sub", one, do("power", ratio, n)), do("sub", one, ratio))
                return do("where", flat, n, sum_)
            case "pick":
                index, *table = args
                found = table[-1]
                for k in range(len(table) - 2, -1, -1):
                    before = do("less", index, self.line.constant(k + 1))
                    found = do("where", before, table[k], found)
                return found
        raise SpecError(f"no step computes {atom.kind}")

    def _not_less(self, a: int, b: int) -> int:
        """Return whether ``a >= b``."""
        line = self.line
        return line.do("where", line.do("less", a, b), line.constant(False), line.constant(True))

    def _transfer(self, size: int, lines: Pieces) -> int:
        """Return the time of a message: the line of the piece its size falls in."""
        starts, slopes, bases = lines
        line = self.line
        found = -1
        for start, slope, base in zip(starts, slopes, bases, strict=True):
            value = line.do("mul", size, line.constant(float(slope)))
            value = line.do("add", value, line.constant(float(base)))
            if found < 0:
                found = value
                continue
            before = line.do("less", size, line.constant(float(start)))
            found = line.do("where", before, found, value)
        return found

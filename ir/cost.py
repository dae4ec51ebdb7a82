"""What an op costs before any hardware is known: work by unit, bytes by value, payload by link."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import TypeVar

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import Expr, ExprLike, expr, total
from mansard.ir.value import ONCHIP, Value

MATRIX, VECTOR = "matrix", "vector"

Work = tuple[str, str, str]
"""(unit, dtype, structure) of arithmetic: ``("matrix", "bf16", "dense")``."""
Link = tuple[str, str, Expr]
"""(collective, axis, ranks), or ("copy", "from>to", 2)."""
Key = TypeVar("Key", bound=Hashable)


def merged(parts: Iterable[Mapping[Key, Expr]]) -> dict[Key, Expr]:
    """Add mappings key by key."""
    terms: dict[Key, list[Expr]] = {}
    for part in parts:
        for key, value in part.items():
            terms.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else total(values) for key, values in terms.items()}


@dataclass(frozen=True)
class Cost:
    """Work of one op, or of a sum of them.

    Args:
        flops: by (unit, dtype, structure); a multiply-add is 2; 2:4 work is stated dense. [FLOP]
        reads: by value, so that role, place and encoding are read off the same entry. [B]
        writes: by value. [B]
        payload: by (collective, axis, ranks): bytes of the message a rank holds. [B]
        launches: kernels started.
    """

    flops: Mapping[Work, Expr] = field(default_factory=dict)
    reads: Mapping[Value, Expr] = field(default_factory=dict)
    writes: Mapping[Value, Expr] = field(default_factory=dict)
    payload: Mapping[Link, Expr] = field(default_factory=dict)
    launches: Expr = sp.S.One

    def __add__(self, other: Cost) -> Cost:
        return add((self, other))

    def __mul__(self, n: ExprLike) -> Cost:
        return self.map(lambda e: e * n)

    def map(self, change: Callable[[Expr], Expr]) -> Cost:
        """Return the cost with ``change`` applied to every quantity."""
        return Cost(
            {k: change(v) for k, v in self.flops.items()},
            {k: change(v) for k, v in self.reads.items()},
            {k: change(v) for k, v in self.writes.items()},
            {k: change(v) for k, v in self.payload.items()},
            change(self.launches),
        )

    def bind(self, symbols: Mapping[sp.Basic, sp.Basic]) -> Cost:
        """Replace symbols simultaneously in every quantity."""
        return self.map(lambda e: e.xreplace(symbols))

    @property
    def is_free(self) -> bool:
        """Whether nothing is computed, moved or sent."""
        return not (self.flops or self.reads or self.writes or self.payload)

    @property
    def total_flops(self) -> Expr:
        """Arithmetic on every unit [FLOP]."""
        return total(self.flops.values())

    @property
    def bytes(self) -> Expr:
        """Traffic that leaves the chip, read and written [B]."""
        return total(size for value, size in self.traffic() if value.place != ONCHIP)

    def traffic(self) -> Iterator[tuple[Value, Expr]]:
        """Yield every (value, bytes), reads then writes."""
        yield from self.reads.items()
        yield from self.writes.items()

    def by(self, key: Callable[[Value], Key]) -> dict[Key, Expr]:
        """Sum the traffic by a property of its value, such as role or place."""
        return merged({key(value): size} for value, size in self.traffic())


FREE = Cost(launches=sp.S.Zero)
"""The cost of a view."""


def add(costs: Iterable[Cost]) -> Cost:
    """Sum costs."""
    costs = tuple(costs)
    return Cost(
        merged(c.flops for c in costs),
        merged(c.reads for c in costs),
        merged(c.writes for c in costs),
        merged(c.payload for c in costs),
        total(c.launches for c in costs),
    )


def touched(q: ExprLike, n: ExprLike) -> Expr:
    """Return the share of a block of weights that ``n`` independent tokens need.

    Each token needs it with probability ``q``, so nobody does with ``(1-q)**n``. One lemma for
    experts, early exit, mixture of depths and contextual sparsity.

    >>> round(float(8 * touched(sp.Rational(2, 8), 4)), 2)
    5.47
    """
    return 1 - (1 - expr(q)) ** n

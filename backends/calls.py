"""What a call binds, in numbers: the values of a graph's symbols at each step of a stretch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mansard.backends.quantity import Tape
from mansard.core.errors import SpecError
from mansard.core.symbols import B, Expr, P, S, Symbol, T

if TYPE_CHECKING:
    from mansard.backends.schedule import Stretch


def number(value: Expr, what: str) -> int | Fraction | float:
    """Return an expression without symbols as a number.

    Raises:
        SpecError: naming the symbols that are not bound.
    """
    if value.free_symbols:
        names = ", ".join(sorted(s.name for s in value.free_symbols))
        raise SpecError(f"{what} depends on {names}, which nothing binds: {value}")
    if value.is_Integer:
        return int(value)
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else float(value)


class CallEnvironment:
    """The values a call binds, at each index of its stretch."""

    def __init__(self, stretch: Stretch, defaults: Sequence[tuple[Symbol, Expr]] = ()):
        call = stretch.call
        if call is None:
            raise SpecError(f"the wait {stretch.waits!r} calls no graph")
        self._index = stretch.index
        self._tape = Tape()
        self._slots = {s: self._tape.add(e) for s, e in call.bound(defaults).items()}
        self._groups = [
            {
                symbol: self._tape.add(e)
                for symbol, e in zip((B, S, P, T), (b, s, p, b * s), strict=True)
            }
            for b, s, p in call.groups
        ]

    def at(self, index: int) -> dict[Symbol, Any]:
        """Return symbol → value of the whole step."""
        values = self._tape.evaluate({self._index: index} if self._index is not None else {})
        return {symbol: values[slot] for symbol, slot in self._slots.items()}

    def on(self, tape: Tape) -> Callable[[int], list[Any]]:
        """Return what evaluates a tape at an index, group by group where the step is ragged."""

        def evaluate(index: int) -> list[Any]:
            env = self.at(index)
            if not self._groups:
                return tape.evaluate(env)
            values = self._tape.evaluate({self._index: index} if self._index is not None else {})
            groups = [{**env, **{s: values[k] for s, k in g.items()}} for g in self._groups]
            return tape.evaluate_ragged(env, groups, own=(B, S, P))

        return evaluate

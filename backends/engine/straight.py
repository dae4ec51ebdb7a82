"""Straight-line programs: figures as scalar steps, each computed once, with no loop and no branch.

Numbers, arrays that broadcast, fractions and generated loops all run the same steps.

>>> line = Straight(("batch", "prompt"))
>>> b, p = line.symbol("batch"), line.symbol("prompt")
>>> line.show("longest", line.do("max", line.do("mul", b, p), line.constant(8)))
>>> line.run({"batch": 2, "prompt": 3}, SCALAR)["longest"]
8
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.backends.quantity import Scalar


@dataclass(frozen=True)
class Step:
    """One operation on earlier steps.

    Args:
        op: constant, symbol, or a name of ``SCALAR``.
        args: the steps it is of.
        value: of a constant, or the name of a symbol.
    """

    op: str
    args: tuple[int, ...] = ()
    value: Scalar | str = 0


class Straight:
    """Steps in order; equal ones are one, and what is known is folded.

    Args:
        axes: the symbols, those that vary most slowly first.
    """

    def __init__(self, axes: Sequence[str]) -> None:
        self.axes = tuple(axes)
        self.steps: list[Step] = []
        self.masks: list[int] = []
        """Step → the axes it depends on, one bit each."""
        self.shown: dict[str, int] = {}
        self._known: dict[tuple[object, ...], int] = {}

    def constant(self, value: Scalar) -> int:
        """Return the step that is a number."""
        return self._add(Step("constant", value=value), 0)

    def symbol(self, name: str) -> int:
        """Return the step that is a symbol."""
        return self._add(Step("symbol", value=name), 1 << self.axes.index(name))

    def show(self, name: str, step: int) -> None:
        """Let a step be a result."""
        self.shown[name] = step

    def number(self, step: int) -> Scalar | None:
        """Return the number a step is; None where it varies."""
        found = self.steps[step]
        return found.value if found.op == "constant" else None  # type: ignore[return-value]

    def do(self, op: str, *args: int) -> int:
        """Return an operation on steps; none where the result is one that exists."""
        numbers = [self.number(a) for a in args]
        if all(n is not None for n in numbers):
            return self.constant(SCALAR[op](*numbers))
        same = self._simpler(op, args, numbers)
        if same is not None:
            return same
        if op in _SYMMETRIC:
            args = tuple(sorted(args))
        mask = 0
        for a in args:
            mask |= self.masks[a]
        return self._add(Step(op, args), mask)

    def total(self, steps: Iterable[int]) -> int:
        """Return a sum, the steps that vary least added first."""
        by_mask: dict[int, int] = {}
        for step in steps:
            mask = self.masks[step]
            by_mask[mask] = self.do("add", by_mask[mask], step) if mask in by_mask else step
        total = self.constant(0)
        for mask in sorted(by_mask, key=lambda m: (m.bit_count(), m)):
            total = self.do("add", total, by_mask[mask])
        return total

    def needed(self, names: Sequence[str]) -> list[int]:
        """Return the steps that results need, in order."""
        wanted = {self.shown[name] for name in names}
        for step in range(len(self.steps) - 1, -1, -1):
            if step in wanted:
                wanted.update(self.steps[step].args)
        return sorted(wanted)

    def run(
        self, env: Mapping[str, Any], ops: Mapping[str, Callable[..., Any]],
        names: Sequence[str] | None = None,
        constant: Callable[[Scalar], Any] = lambda value: value,
    ) -> dict[str, Any]:  # fmt: skip
        """Return results at a point.

        Args:
            env: symbol → value.
            ops: what each operation does, ``SCALAR`` for numbers of any kind.
            names: of the results; all unless given.
            constant: what a number becomes: ``Fraction`` for exact ones.
        """
        names = tuple(self.shown) if names is None else names
        values: dict[int, Any] = {}
        for k in self.needed(names):
            step = self.steps[k]
            if step.op == "constant":
                values[k] = constant(step.value)  # type: ignore[arg-type]
            elif step.op == "symbol":
                values[k] = env[str(step.value)]
            else:
                values[k] = ops[step.op](*(values[a] for a in step.args))
        return {name: values[self.shown[name]] for name in names}

    def _add(self, step: Step, mask: int) -> int:
        key = (step.op, step.args, type(step.value), step.value)
        if key not in self._known:
            self._known[key] = len(self.steps)
            self.steps.append(step)
            self.masks.append(mask)
        return self._known[key]

    def _simpler(
        self, op: str, args: tuple[int, ...], numbers: Sequence[Scalar | None]
    ) -> int | None:
        a = args[0]
        match op, numbers:
            case ("add" | "sub", [_, 0]) | ("mul" | "div", [_, 1]):
                return a
            case ("add", [0, _]) | ("mul", [1, _]):
                return args[1]
            case ("mul", [0, _]) | ("mul", [_, 0]):
                return self.constant(0)
            case ("max" | "min", _) if a == args[1]:
                return a
            case ("where", [bool() as known, _, _]):
                return args[1] if known else args[2]
            case ("where", _) if args[1] == args[2]:
                return args[1]
            case ("and", [True, _]):
                return args[1]
            case ("and", [_, True]):
                return a
        return None


def _divided(a: Any, b: Any) -> Any:
    if not b:
        return math.nan
    return Fraction(a, b) if isinstance(a, int) and isinstance(b, int) else a / b


def raised(a: Any, n: Any) -> float:
    """Return a power; of nothing, one below 0 is infinite, as arrays have it.

    >>> raised(0, -1), raised(2, -1)
    (inf, 0.5)
    """
    return math.inf if a == 0 and n < 0 else math.pow(a, n)


SCALAR: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _divided,
    "max": lambda a, b: a if a >= b else b,
    "min": lambda a, b: a if a <= b else b,
    "floor": math.floor,
    "power": raised,
    "where": lambda condition, a, b: a if condition else b,
    "less": operator.lt,
    "and": lambda a, b: a and b,
}
"""What each operation does to numbers, whatever their kind."""
_SYMMETRIC = frozenset({"add", "mul", "max", "min", "and"})

"""What operators prove about sizes: one quantity under several names is one symbol."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import PARAMETERS, Symbol, least
from mansard.frontends.onnx.dims import Dim, lower, replaced, sub, tidy
from mansard.frontends.onnx.naming import Names
from mansard.frontends.onnx.values import Shape

MOST_ASSUMPTIONS = 50
DECLARED, OPERANDS = "declared", "operands"
"""What contradicts: a declaration and what was found, or two operands."""
_PROTECTED = frozenset(PARAMETERS.values())


class Facts:
    """Collects equations between sizes while shapes are inferred, and solves each at once."""

    def __init__(self, names: Names, bound: dict[Symbol, Dim]) -> None:
        self.names = names
        self.bound = dict(bound)
        self.reasons: dict[Symbol, str] = {}
        self.conflicts: dict[str, dict[str, None]] = {}
        self.assumptions: dict[str, None] = {}

    def settle(self, dim: Dim) -> Dim:
        """Return a size with every solved symbol replaced."""
        found = dim
        while not isinstance(found, int):
            solved = [(s, self.bound[s]) for s in found.free_symbols if s in self.bound]
            if not solved:
                break
            found = replaced(found, frozenset(solved))
        if found is not dim and dim in self.bound:
            self.bound[dim] = found  # the next one need not walk the chain
        return found

    def equate(self, a: Dim, b: Dim, where: str) -> Dim:
        """Return the size two sizes are known to have in common; a contradiction is noted.

        Raises:
            SpecError: they are numbers, and differ.
        """
        if a == b:
            return a
        a, b = self.settle(a), self.settle(b)
        if a == b:
            return a
        shorter = _without_least(a, b)
        if shorter is not None:
            return shorter
        if self._solve(a, b, where):
            return self.settle(a)
        said = f"its operands fit only where {a} = {b}"
        if isinstance(a, int) and isinstance(b, int):
            raise SpecError(said)
        self.conflict(OPERANDS, f"{where}: {said}")
        return a if isinstance(a, int) else b

    def broadcast(self, shapes: Iterable[Shape], where: str) -> Shape:
        """Return the shape several have once their axes are aligned at the end."""
        result: list[Dim] = []
        for shape in shapes:
            short, long = sorted((list(shape), result), key=len)
            start = len(long) - len(short)
            aligned = zip(short, long[start:], strict=True)
            result = long[:start] + [self._aligned(x, y, where) for x, y in aligned]
        return tuple(result)

    def _aligned(self, a: Dim, b: Dim, where: str) -> Dim:
        if a == b or b == 1:
            return a
        if a == 1:
            return b
        numbers = [d for d in (a, b) if isinstance(d, int)]
        if len(numbers) == 1:
            return numbers[0]  # the other is 1, or the same
        return self.equate(a, b, where)

    def conflict(self, kind: str, text: str) -> None:
        """Note a contradiction of a kind, once."""
        self.conflicts.setdefault(kind, {})[text] = None

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What contradicts: of each kind the first, and how many more there are."""
        return tuple(
            first if len(found) == 1 else f"{first}; and {len(found) - 1} more like it"
            for found in self.conflicts.values()
            for first in (next(iter(found)),)
        )

    def assume(self, text: str) -> None:
        """Note a choice that data would make, once."""
        if len(self.assumptions) < MOST_ASSUMPTIONS:
            self.assumptions[text] = None

    def _solve(self, a: Dim, b: Dim, where: str) -> bool:
        difference = sub(a, b)
        if isinstance(difference, int):
            return False
        alone = [d for d in (a, b) if not isinstance(d, int) and d.is_Symbol]
        linear = [t for t in sp.Add.make_args(difference) if t.is_Symbol or (-t).is_Symbol]
        for term in [*alone, *linear]:
            unknown = term if term.is_Symbol else -term
            slope = difference.coeff(unknown)
            if unknown in _PROTECTED or abs(slope) != 1:
                continue
            size = tidy(sp.expand(unknown - difference * slope))
            mentions = not isinstance(size, int) and unknown in size.free_symbols
            bound = lower(size)
            if mentions or (bound is not None and bound < 0 and isinstance(size, int)):
                continue
            self._bind(unknown, size, where)
            return True
        return False

    def _bind(self, unknown: Symbol, size: Dim, where: str) -> None:
        self.bound[unknown] = size
        self.reasons[unknown] = where


def _without_least(a: Dim, b: Dim) -> Dim | None:
    """Return the size that ``a`` and ``b`` are when neither reaches the limit of a ``least``."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, int):
            continue
        for atom in one.atoms(least):
            for arg in atom.args:
                if replaced(one, frozenset([(atom, arg)])) == other:
                    return other
    return None

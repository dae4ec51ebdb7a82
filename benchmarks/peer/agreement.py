"""Two answers to one question beside each other, and what is known of how they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.shapes import Shape

Ops = dict[str, dict[str, Any]]
"""Operators of a phase by name, as ``mansard analyze -f json`` has them, layers added up."""


@dataclass(frozen=True)
class Agreement:
    """One quantity of both.

    Args:
        of: phase, operator and quantity.
        theirs: what the peer answers.
        ours: what mansard answers.
        apart: how much more ours is known to be; 0 where both must be equal.
        because: why, where they are apart.
    """

    of: str
    theirs: float
    ours: float
    apart: float = 0.0
    because: str = ""

    @property
    def explained(self) -> bool:
        """Whether the difference is what it is known to be, to the last digit of a float.

        >>> Agreement("prefill lm_head FLOP", 5.0, 10.0, 5.0, "a multiply and an add").explained
        True
        >>> Agreement("prefill q_proj FLOP", 5.0, 5.1).explained
        False
        >>> Agreement("prefill q_proj FLOP", 5.0, 5.0, because="a reason for nothing").explained
        False
        """
        if bool(self.because) != bool(self.apart):
            return False
        return math.isclose(self.ours, self.theirs + self.apart, rel_tol=1e-9)

    @property
    def more(self) -> str:
        """How much more ours is, relative to theirs.

        >>> Agreement("", 4.0, 3.0).more, Agreement("", 3.0, 3.0001).more, Agreement("", 0, 3).more
        ('-25%', '+0.00333%', 'all')
        """
        return f"{100 * (self.ours / self.theirs - 1):+.3g}%" if self.theirs else "all"

    def __str__(self) -> str:
        reason = self.because if self.explained else f"NOT EXPLAINED {self.because}".rstrip()
        return f"  {self.of:23.23} {self.theirs:9.4g} {self.more:>8}  {reason}"


def asked(shape: Shape, batch: int, prompt: int) -> tuple[dict[str, Any], dict[str, Ops]]:
    """Return mansard's answer as written (``-O0``) for a prefill and one step after it.

    Returns:
        All of it, and the operators of each phase.
    """
    result = shape.study(prompt, 2, batch, level="O0").analyze().to_dict()
    return result, {
        phase: {op["name"].removeprefix("layers."): op for op in found["ops"]}
        for phase, found in result["phases"].items()
    }


def total(ops: Ops, names: Sequence[str], quantity: str) -> float:
    """Return a quantity of some operators, over all layers."""
    return float(sum(ops[name][quantity] * ops[name]["count"] for name in names))


def shown(agreements: Iterable[Agreement]) -> Iterator[str]:
    """Yield a line for all that is equal and one for each that is not."""
    found = list(agreements)
    equal = [a for a in found if a.explained and not a.apart]
    yield f"  {len(equal)} of {len(found)} figures are equal; the others:"
    yield f"  {'':23} {'theirs':>9} {'ours':>8}  why"
    yield from (str(a) for a in found if a not in equal)

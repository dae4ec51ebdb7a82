"""Where functions bend along a loop, in the order in which the loop meets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mansard.backends.engine.polynomials import Space, add, constant, freeze, scaled
from mansard.backends.engine.timed import slope_of
from mansard.backends.quantity import Scalar, Terms
from mansard.core.records import dataclass
from mansard.core.symbols import Symbol


@dataclass(frozen=True)
class Kink:
    """Functions ``least(a, b)`` whose arguments meet at one step.

    Args:
        sides: function → which argument is the least until then, and which from then on.
        difference: it is positive after the kink, and not before.
        slope: of the difference, positive.
    """

    sides: Mapping[int, tuple[int, int]]
    difference: Terms
    slope: Scalar


def in_order(space: Space, index: Symbol, kinks: Mapping[int, Terms]) -> list[Kink] | None:
    """Return kinks first to last; None where the order depends on the scenario.

    Args:
        space: of the polynomials.
        index: counts the trips.
        kinks: slot of a ``least`` -> its first argument less its second.
    """
    found: list[Kink] = []
    for slot, difference in kinks.items():
        slope = slope_of(space, index, difference)
        if slope is None or not slope:
            return None
        rises = slope > 0
        kink = Kink(
            {slot: (0, 1) if rises else (1, 0)},
            difference if rises else scaled(difference, -1),
            slope if rises else -slope,
        )
        found.append(kink)
    if len({kink.slope for kink in found}) > 1:
        return None
    by_gap: dict[Scalar, Kink] = {}
    for kink in found:
        gap = constant(freeze(add([kink.difference, scaled(found[0].difference, -1)])))
        if gap is None:
            return None
        same = by_gap.get(gap, kink)
        by_gap[gap] = replace(same, sides={**same.sides, **kink.sides})
    ordered: list[Kink] = []
    heads: list[Scalar] = []
    for gap in sorted(by_gap, reverse=True):
        kink = by_gap[gap]
        if ordered and heads[-1] - gap == kink.slope == 1 and _is_whole(space, kink.difference):
            ordered[-1] = replace(ordered[-1], sides={**ordered[-1].sides, **kink.sides})
            continue
        ordered.append(kink)
        heads.append(gap)
    return ordered


def _is_whole(space: Space, difference: Terms) -> bool:
    """Say whether a difference is a whole number, so that more than -1 is at least 0.

    Then two kinks a single step apart are one: on that step the second function's arguments are
    equal, whichever is taken.
    """
    atoms = [space.atoms[slot] for m in difference for slot, _ in m]
    return all(isinstance(c, int) for c in difference.values()) and all(
        a.symbol is not None and a.symbol.is_integer for a in atoms
    )

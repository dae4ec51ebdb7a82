"""What is planned of a graph before it is rebuilt: how values lie, what becomes of ops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mansard.ir.op import Op
from mansard.ir.value import Value
from mansard.passes.parallel.layout import (
    Sharding,
    Split,
)


class NeedsWhole(Exception):  # noqa: N818 - a signal between rule and walk, not an error
    """An op needs whole what these products divided."""

    def __init__(self, origins: Iterable[Op], op: Op):
        super().__init__()
        self.origins, self.op = frozenset(origins), op


@dataclass
class Plan:
    """What becomes of one op: attributes, operands, ops around it, who is read in its place."""

    attributes: dict[str, Any] = field(default_factory=dict)
    operands: dict[Value, Value] = field(default_factory=dict)
    before: list[Op] = field(default_factory=list)
    after: list[Op] = field(default_factory=list)
    swapped: dict[Value, Value] = field(default_factory=dict)


@dataclass
class Frame:
    """What is known and planned of one graph; bodies cut from one another may share ops.

    Args:
        state: how values lie.
        between: how views between a divided weight and its leaves lie.
        reduced: summands → what an all-reduce makes of them.
        plans: what becomes of ops.
        last: ops behind all others.
        outputs: results that are handed out in another's place.
        weighty: views of weights.
        taken: names of values.
    """

    state: dict[Value, Sharding] = field(default_factory=dict)
    between: dict[Value, Split] = field(default_factory=dict)
    reduced: dict[Value, Value] = field(default_factory=dict)
    plans: dict[Op, Plan] = field(default_factory=dict)
    last: list[Op] = field(default_factory=list)
    outputs: dict[Value, Value] = field(default_factory=dict)
    weighty: set[Value] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

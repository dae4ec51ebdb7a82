"""What backends share whose rows have two prices: each piece of a phase takes the cheaper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mansard.backends import roofline
from mansard.backends.cluster import Cluster
from mansard.backends.rates import Priced
from mansard.backends.sums import Piece
from mansard.backends.table import TableRow
from mansard.backends.totals import RowTotal
from mansard.ir.program import Program
from mansard.ir.value import MEMORY

Choice = Callable[[TableRow, Sequence[Any]], Priced | None]
"""(row, values of its quantities) → a price to be used there, or None for the roofline's."""


class Choosing(RowTotal):
    """A row's sum whose price is chosen piece by piece."""

    choose: Choice
    usual: Priced
    device: str = ""

    def take(self, piece: Piece, weight: float) -> float:
        """Add a piece at the price that its last step takes."""
        self._price(piece.end)
        return super().take(piece, weight)

    def step_s(self, values: Sequence[Any]) -> float:
        """Return the time of the row in one call [s]."""
        self._price(values)
        return super().step_s(values)

    def _price(self, values: Sequence[Any]) -> None:
        other = self.choose(self.row, values)
        self.priced = self.usual if other is None else other
        if self.device:
            self.row = replace(self.row, device=self.device if other is not None else "")


class ChoosingWork(roofline.Work):
    """The roofline's work with another price for some rows.

    Args:
        program: to be priced.
        cluster: what it runs on.
        choose: says where, and at what price.
        device: what rows at that price are said to run on; empty for where they were.
    """

    def __init__(self, program: Program, cluster: Cluster, choose: Choice, device: str = ""):
        super().__init__(program, cluster)
        self._choose, self._device = choose, device

    def total(self, row: TableRow) -> RowTotal:
        """Return a row's sum, empty."""
        usual = super().total(row)
        made = Choosing(usual.row, usual.priced)
        made.choose, made.usual, made.device = self._choose, usual.priced, self._device
        return made


def slowest_s(priced: Priced, values: Sequence[Any]) -> float:
    """Return the time of a row at a price [s]."""
    return max((priced.seconds(name, values) for name in priced.resources), default=0.0)


def stationary(row: TableRow, bytes_per_s: float) -> tuple[tuple[int, float], ...]:
    """Return the terms of what a row moves in memory but for activations.

    Equal sizes share one quantity of the table, so terms are made by role, not taken away.
    """
    kept = (n for (place, role), n in row.traffic.items()
            if place == MEMORY and role != "activation")  # fmt: skip
    return tuple((n, 1.0 / bytes_per_s) for n in kept)

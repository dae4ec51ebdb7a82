"""Bands, and how errors add: the same way within a form, independently over forms."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Band:
    """Between which values four of five measurements are expected."""

    low: float
    high: float


def both(a: Band, b: Band, total: float) -> Band:
    """Return the band around a total of two errors that are independent.

    >>> both(Band(7.0, 13.0), Band(6.0, 14.0), 10.0)
    Band(low=5.0, high=15.0)
    """
    down, up = math.hypot(total - a.low, total - b.low), math.hypot(a.high - total, b.high - total)
    return Band(max(total - down, 0.0), total + up)


@dataclass
class Halves:
    """Half-widths by form: they add within one and in squares over several."""

    by_form: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, form: str, median: float, low: float, high: float) -> None:
        """Add a part with its own band."""
        down, up = self.by_form.get(form, (0.0, 0.0))
        self.by_form[form] = down + median - low, up + high - median

    def band(self, total: float) -> Band:
        """Return the band around a total."""
        down = math.sqrt(sum(d * d for d, _ in self.by_form.values()))
        up = math.sqrt(sum(u * u for _, u in self.by_form.values()))
        return Band(total - down, total + up)

"""The band of a figure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """Between which values four of five measurements are expected."""

    low: float
    high: float

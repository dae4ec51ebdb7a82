"""The axes a figure is drawn on: those given, or new ones."""

from __future__ import annotations

from typing import Any

from mansard.core.errors import SpecError


def axes(ax: Any, width: float, height: float) -> Any:
    """Return axes to draw on: ``ax``, or those of a new figure of this size [inch].

    Raises:
        SpecError: matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise SpecError("plots need matplotlib, which is not installed",
                        hint="pip install 'mansard[plot]', or use figure()") from None  # fmt: skip
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def plain(*sides: Any) -> None:
    """Leave out sides of a frame."""
    for side in sides:
        side.set_visible(False)

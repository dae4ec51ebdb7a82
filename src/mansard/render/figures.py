"""What a plugin's backend says besides phases, memory and metrics: names and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mansard.core.units import format_bytes, format_time
from mansard.query.estimate import Estimate
from mansard.render.ink import Text
from mansard.render.palette import QUIET, STRONG

UNITS: dict[str, Callable[[float], str]] = {
    "j": lambda v: f"{v:.4g} J",
    "s": format_time,
    "w": lambda v: f"{v:.4g} W",
    "g": lambda v: f"{v:.4g} g",
    "bytes": format_bytes,
    "share": lambda v: f"{v:.1%}",
}
"""Last word of a name → how its number is written."""


def figures(estimate: Estimate) -> Iterator[Text]:
    """Yield one line a figure, under the backend's name."""
    yield Text(estimate.backend.partition(":")[0].partition("{")[0], STRONG)
    for name, value in estimate.figures.items():
        words, _, unit = name.rpartition("_")
        text = UNITS[unit](value) if unit in UNITS else f"{value:.6g}"
        label = words if unit in UNITS else name
        label = label if ":" in label else label.replace("_", " ")
        yield Text.assemble((f"  {label:<32}", QUIET), text)

"""Colours and marks of the terminal: hues that differ in lightness too, marks that differ alone."""

from __future__ import annotations

BOUND = {
    "compute": "magenta", "vector": "yellow", "memory": "blue", "link": "cyan",
    "overhead": "red", "none": "dim",
}  # fmt: skip
"""What bounds a row → style."""

MEMORY = {
    "weights": ("█", "blue"),
    "kv_cache": ("▓", "yellow"),
    "activations": ("▒", "green"),
    "overhead": ("▞", "magenta"),
}
"""What occupies memory → mark and style."""

FREE = "░"
GOOD, BAD, QUIET, STRONG, WARNING = "green", "bold red", "dim", "bold", "yellow"


HUES = {
    "compute": "#a8318c", "vector": "#a16a00", "memory": "#2b67cf", "link": "#0b7f8b",
    "overhead": "#c2382c", "none": "#7d8795",
}  # fmt: skip
"""The same hues for figures on white; the viewer's style sheet has them too."""
MEMORY_HUES = {
    "weights": "#2b67cf", "kv_cache": "#c98a12", "activations": "#2f8f57", "overhead": "#a8318c",
}  # fmt: skip


def hue(bound: str) -> str:
    """Return the hue of a bound; that of a memory elsewhere is memory's."""
    return HUES.get(bound.rpartition(" ")[2], HUES["none"])


def bound_style(bound: str) -> str:
    """Return the style of a bound; a plugin's own is plain."""
    return BOUND.get(bound, "")

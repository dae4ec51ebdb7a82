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


def bound_style(bound: str) -> str:
    """Return the style of a bound; a plugin's own is plain."""
    return BOUND.get(bound, "")

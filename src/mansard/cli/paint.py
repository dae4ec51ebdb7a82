"""Colour on stderr, for terminals that show it."""

from __future__ import annotations

import os
import sys


def paint(text: str, codes: str) -> str:
    """Return text in the colour of ANSI ``codes``, or as it is where colour is not wanted."""
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty():
        return text
    return f"\x1b[{codes}m{text}\x1b[0m"

"""The built page: its files, as the wheel carries them."""

from __future__ import annotations

from functools import cache
from importlib import resources

TYPES = {
    "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8", "svg": "image/svg+xml", "txt": "text/plain; charset=utf-8",
}  # fmt: skip
"""Suffix → media type of what is served."""


@cache
def files() -> dict[str, bytes]:
    """Return the page's files by name."""
    folder = resources.files("mansard.plugins.viewer").joinpath("static")
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.rpartition(".")[2] in TYPES}


def media_type(name: str) -> str:
    """Return the media type of one of them."""
    return TYPES[name.rpartition(".")[2]]

"""The built page: its files, as the wheel carries them."""

from __future__ import annotations

from functools import cache
from importlib import resources

from mansard.serve.packed import Packed

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


@cache
def asset(name: str) -> Packed | None:
    """Return one of them as it is served; None where there is none."""
    data = files().get(name)
    return None if data is None else Packed(data, TYPES[name.rpartition(".")[2]])

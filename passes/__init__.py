"""Technique passes: from program to program, one technique a file."""

from importlib import import_module
from typing import Any

from mansard.passes.shipped import class_homes

_HOME = {**class_homes(), "Pass": "technique", "option": "options"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"mansard.passes.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mansard.passes' has no attribute {name!r}")

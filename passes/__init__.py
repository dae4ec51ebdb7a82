"""Technique passes: from program to program, one technique a file."""

from importlib import import_module
from typing import Any

_HOME = {
    "FuseAttention": "fuse_attention",
    "FuseElementwise": "fuse_elementwise",
    "MergeQkv": "merge_qkv",
    "Pass": "technique",
    "Quantize": "quantize",
    "option": "options",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"mansard.passes.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mansard.passes' has no attribute {name!r}")

"""Values, ops, graphs and programs: what frontends make, passes rewrite and backends cost."""

from importlib import import_module
from typing import Any

from mansard.ir.builder import Builder
from mansard.ir.cost import Cost, touched
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.op import Op, View
from mansard.ir.pattern import P, Siblings
from mansard.ir.program import Program
from mansard.ir.region import Overlap, Repeat, Routed
from mansard.ir.rewrite import Rule, fuse, retype, rewrite, root
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify

__all__ = [
    "Builder", "Cost", "Graph", "Mask", "Op", "Overlap", "P", "Program", "Repeat", "Routed", "Rule",
    "Siblings", "TensorType", "Value", "View", "fuse", "parse_graph", "parse_program", "register",
    "retype", "rewrite", "root", "touched", "verify",
]  # fmt: skip
_LATER = {"parse_graph": "parse", "parse_program": "parse", "register": "registry"}


def __getattr__(name: str) -> Any:
    """Import the reader of the text form when it is asked for: start-up does not wait for it."""
    if name in _LATER:
        return getattr(import_module(f"mansard.ir.{_LATER[name]}"), name)
    raise AttributeError(f"module 'mansard.ir' has no attribute {name!r}")

"""Values, ops, graphs and programs: what frontends make, passes rewrite and backends cost."""

from mansard.ir.builder import Builder
from mansard.ir.cost import Cost, touched
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.op import Op, View
from mansard.ir.parse import parse_graph, parse_program
from mansard.ir.pattern import P, Siblings
from mansard.ir.program import Program
from mansard.ir.region import Overlap, Repeat, Routed
from mansard.ir.registry import register
from mansard.ir.rewrite import Rule, fuse, retype, rewrite, root
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify

__all__ = [
    "Builder", "Cost", "Graph", "Mask", "Op", "Overlap", "P", "Program", "Repeat", "Routed", "Rule",
    "Siblings", "TensorType", "Value", "View", "fuse", "parse_graph", "parse_program", "register",
    "retype", "rewrite", "root", "touched", "verify",
]  # fmt: skip

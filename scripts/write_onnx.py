"""Write the table of ``docs/onnx.md`` from a folder of exported files; a test compares it.

Usage: ``python scripts/write_onnx.py [FOLDER]``, of ``../shared/data/onnx`` unless one is given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import sympy as sp

from mansard.core.symbols import B, Expr, P, R, S, T
from mansard.core.units import format_bytes
from mansard.frontends.onnx.frontend import OnnxFrontend
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts
from mansard.ir.graph import Graph
from mansard.ir.program import Program
from mansard.ir.region import Repeat
from mansard.render.markdown_table import table

PAGE = Path(__file__).parents[1] / "docs" / "onnx.md"
FOLDER = Path(__file__).parents[1] / ".." / "shared" / "data" / "onnx"
BEGIN, END = "<!-- table: python scripts/write_onnx.py -->", "<!-- end of the table -->"
LONGEST = 60
COLUMNS = ("file", "nodes", "sized", "names unified", "layers", "kinds of ops", "parameters",
           "weights", "cache a token", "FLOPs of products, a call")  # fmt: skip


def rows(folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each file."""
    for path in sorted(folder.glob("*.onnx")):
        program = OnnxFrontend().load(path)
        facts, found = model_facts(program), program.origin.resolution
        if found is None:
            continue
        growth = facts.kv_bytes_per_token
        yield (
            path.stem, f"{found.nodes:,}", f"{found.sized:,}/{found.tensors:,}",
            f"{len(found.unified)}", layers(program.graph()), f"{len(kinds(program.graph()))}",
            f"{facts.params:,}", format_bytes(found.weight_bytes),
            format_bytes(growth) if growth else "-", products(program),
        )  # fmt: skip


def layers(graph: Graph) -> str:
    """Return the bodies that repeat, each with its trips and ops."""
    found = [op for op in graph.ops if isinstance(op, Repeat)]
    sizes = ((op.trips, sum(not inner.is_view for inner in op.body.ops)) for op in found)
    return ", ".join(f"{trips} × {ops} ops" for trips, ops in sizes) or "-"


def kinds(graph: Graph) -> set[str]:
    """Return the kinds of ops that do something."""
    return {op.kind for op, _ in graph.walk() if not op.is_view and not op.bodies}


def products(program: Program) -> str:
    """Return the FLOP of all products as an expression, or at the sizes that are assumed."""
    graph = program.graph()
    flops = sp.Add(*(v for (unit, *_), v in graph.cost.flops.items() if unit == MATRIX))
    told = sp.expand(flops.xreplace({R: T}).xreplace({T: B * S}).xreplace(dict(graph.defaults)))
    text = str(sp.collect(told, B * S)).replace("*", "·")
    if len(text) <= LONGEST:
        return text
    return f"{int(at_one(told)):,} at B = S = 1, P = 0"


def at_one(value: Expr) -> Expr:
    """Return an expression of one sequence of one token."""
    return value.xreplace({B: sp.S.One, S: sp.S.One, P: sp.S.Zero, T: sp.S.One, R: sp.S.One})


def written(page: str, folder: Path) -> str:
    """Return the page with its table made from a folder."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = table(COLUMNS, list(rows(folder)))
    return "\n".join((head + BEGIN, "", *lines, "", END + tail))


def main() -> None:
    """Write the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), folder), encoding="utf-8")


if __name__ == "__main__":
    main()

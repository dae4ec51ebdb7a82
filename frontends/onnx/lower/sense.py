"""Whether a lowered graph makes sense: no axis is negative, and something is there to price."""

from __future__ import annotations

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.symbols import Expr, Symbol
from mansard.frontends.onnx.graph import Resolved
from mansard.ir.graph import Graph


def check(graph: Graph) -> None:
    """Raise where an op's result has fewer than no elements at the sizes it is called with.

    Raises:
        SpecError: a window does not fit its side, or a slice takes more than there is.
    """
    known: dict[Symbol, Expr] = dict(graph.defaults)
    for op, _ in graph.walk():
        for size in (size for value in op.outs for size in value.shape):
            named = [s for s in size.free_symbols if s in known]
            found = size.xreplace(known) if named else size
            if found.is_number and found < 0:
                name = min((s.name for s in named), default="")
                hint = f"--set model.{name}=N with a greater N" if name else "export it again"
                raise SpecError(
                    f"{type(op).__name__.lower()} {op.name!r} yields an axis of {found}: its"
                    " window does not fit what it slides over", hint=hint,
                )  # fmt: skip


def nothing(resolved: Resolved, graph: Graph) -> list[Note]:
    """Return a note where a graph holds no op."""
    text = f"{resolved.name} computes nothing: what it yields is what it is given, or constant"
    return [] if graph.ops else [Note("M069", text)]

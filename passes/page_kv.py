"""Paged caches: allocation by whole pages, found through a table."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import B, ceil_div
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append
from mansard.ir.ops.paging import Paged
from mansard.ir.program import Program
from mansard.ir.region import Repeat
from mansard.ir.rewrite import Rewritten, everywhere, retype
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass

TABLE = "page_table"


@dataclass(frozen=True)
class PageKv(Pass):
    """Keep caches in pages of ``page`` tokens that a table locates.

    A sequence of ``n`` tokens occupies ``⌈n/page⌉·page``: on average ``(page-1)/2`` are empty. Each
    read of a cache reads the table, 4 bytes a page and sequence. The rows that are read stay the
    same, and so does all arithmetic.
    """

    name = "page-kv"
    noun = "cache"
    source = "[Kwon 2023, §4.1]"
    assumes = ("one table for all layers, as their pages are allocated together",)
    omits = ("pages shared by sequences: see reuse-prefix", "fragments of contiguous allocation")

    page: int = option(16, "tokens of a page", least=1, unit="tokens")

    def run(self, program: Program) -> Outcome:
        """Page every cache that grows; pages of one token still have a table."""
        return super().run(program)

    def transform(self, graph: Graph) -> Rewritten:
        """Round what caches occupy, then read them through the table."""
        seen = {op.out for op, _ in graph.walk() if isinstance(op, Paged)}
        appends = {op for op, _ in graph.walk() if isinstance(op, Append)}
        caches = {op.cache for op in appends}
        if seen or not caches:
            return Rewritten(graph, 0)
        paged = retype(graph, lambda v: self._paged(v) if v in caches else v.type)
        return Rewritten(verify(everywhere(paged, self._through)), len(caches))

    def _paged(self, leaf: Value) -> TensorType:
        kept = leaf.shape[2]
        whole = ceil_div(kept, sp.Integer(self.page)) * self.page
        live = leaf.numel / kept * whole
        if leaf.type.live is not None:  # a share of the tokens alone has rows
            live = live * leaf.type.live / leaf.numel
        return replace(leaf.type, live=live)

    def _through(self, graph: Graph) -> Graph:
        why = f"{self.name}: rows are found through a table {self.source}"
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        edits: dict[Op, list[Op]] = {}
        swapped: dict[Value, Value] = {}
        for op in graph.ops:
            if isinstance(op, Append):
                keys = op.out.shape[2]
                pages = (B, ceil_div(keys, sp.Integer(self.page)))
                table = Value(TABLE, TensorType(pages, Encoding("int32"), "table", TABLE))
                name = fresh_name(f"{op.out.name}.paged", taken)
                view = Paged(op.out, table, kernel=op.kernel, because=(why,))
                found = finish(view, name)
                edits[op] = [op.explained(why), found]
                swapped[op.out] = found.out
            if isinstance(op, Repeat) and any(v.storage == TABLE for v in op.body.leaves):
                edits[op] = [replace(op, shared=(*op.shared, TABLE))]
        return _rewired(graph, edits, swapped) if edits else graph

    def counts(self, op: Op) -> bool:
        """One cache an append."""
        return isinstance(op, Append)


def _rewired(graph: Graph, edits: dict[Op, list[Op]], swapped: dict[Value, Value]) -> Graph:
    """Rebuild with readers, but for the op that was inserted, reading the other value."""
    ops: list[Op] = []
    for op in graph.ops:
        for new in edits.get(op, [op.with_operands(swapped)]):
            ops.append(new)
    outputs = tuple(swapped.get(v, v) for v in graph.outputs)
    return replace(graph, ops=tuple(ops), outputs=outputs)

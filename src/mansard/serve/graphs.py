"""A program's graphs for a page: kernels as nodes, values with their types, formulas as text.

Nothing here depends on sizes, so a page asks once per program and a slider moves no node.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from mansard.backends.estimate import Row
from mansard.backends.table import Formulas
from mansard.ir.graph import Graph
from mansard.ir.kernel import Kernel
from mansard.ir.op import Op
from mansard.ir.program import Call, Program, calls
from mansard.ir.region import Region
from mansard.ir.value import Value, stored_parts

MOST_NODES = 20_000
"""Kernels of a program that are drawn; a page collapses them to a few hundred."""
LONGEST_FORMULA = 1200


class Drawing:
    """The graphs of one program as JSON, with keys that tie their nodes to an estimate's rows."""

    def __init__(self, program: Program) -> None:
        self._names: dict[tuple[str, str, str], set[str]] = {}
        self._kinds: dict[str, str] = {}
        graphs = {name: _Sketch(self, name).of(graph) for name, graph in program.graphs.items()}
        self.document: dict[str, Any] = {
            "graphs": graphs,
            "kinds": self._kinds,
            "calls": [_call(call) for call in calls(program.schedule)],
            "mesh": dict(program.mesh),
        }
        for sketch in graphs.values():
            for node in sketch["nodes"]:
                if node.get("row"):
                    node["row"] = self._key(*node["row"])
        text = json.dumps(self.document, separators=(",", ":"), sort_keys=True)
        self.hash = sha256(text.encode()).hexdigest()[:16]

    def note(self, graph: str, kernel: Kernel, formulas: Mapping[str, str]) -> tuple[str, ...]:
        """Remember a kernel by what its row is called; return what its key is made of."""
        found = (graph, kernel.name, kernel.kind)
        written = "|".join(f"{k}={v}" for k, v in formulas.items())
        self._names.setdefault(found, set()).add(written)
        return (*found, written)

    def describe(self, op: Op) -> None:
        """Keep what an operator's class says of itself: maths, FLOP, bytes, source."""
        if op.kind not in self._kinds:
            self._kinds[op.kind] = inspect.cleandoc(type(op).__doc__ or "")[:2000]

    def key(self, row: Row) -> str:
        """Return the key of a row; a node that makes it has the same."""
        found = (row.graph, row.name, row.kind)
        if len(self._names.get(found, ())) < 2:
            return self._key(*found, "")
        return self._key(*found, "|".join(f"{k}={v}" for k, v in row.formulas.items()))

    def _key(self, graph: str, name: str, kind: str, written: str) -> str:
        plain = f"{graph}|{name}|{kind}"
        if len(self._names.get((graph, name, kind), ())) < 2:
            return plain
        return f"{plain}|{sha256(written.encode()).hexdigest()[:8]}"


class _Sketch:
    """One graph on its way to JSON."""

    def __init__(self, drawing: Drawing, name: str) -> None:
        self._drawing, self._name = drawing, name
        self._values: dict[Value, int] = {}
        self._types: list[str] = []
        self._nodes: list[dict[str, Any]] = []
        self._left_out = 0

    def of(self, graph: Graph) -> dict[str, Any]:
        """Return nodes and values; a node reads and makes values by their number."""
        inputs = [self._value(v) for v in graph.inputs]
        self._add(graph, "", lambda cost: cost)
        return {
            "inputs": inputs,
            "outputs": [self._value(v) for v in graph.outputs],
            "values": self._types,
            "nodes": self._nodes,
            "left_out": self._left_out,
        }

    def _value(self, value: Value) -> int:
        if value not in self._values:
            self._values[value] = len(self._types)
            self._types.append(_type(value))
        return self._values[value]

    def _add(self, graph: Graph, parent: str, lift: Any) -> None:
        stored = set(graph.leaves)
        for kernel in graph.kernels:
            if len(self._nodes) >= MOST_NODES:
                self._left_out += 1
                continue
            node = self._node(kernel, parent, stored)
            op = kernel.ops[0]
            if isinstance(op, Region):
                self._nodes.append(node | self._region(op))
                inside = (lambda outer, region: lambda cost: outer(region.lift(cost)))(lift, op)
                self._add(op.body, node["id"], inside)
            else:
                cost = lift(kernel.cost)
                written = Formulas(cost)
                if not cost.is_free:
                    node["row"] = self._drawing.note(self._name, kernel, written)
                if written:
                    node["formulas"] = {k: v[:LONGEST_FORMULA] for k, v in written.items()}
                self._nodes.append(node)

    def _node(self, kernel: Kernel, parent: str, stored: set[Value]) -> dict[str, Any]:
        inside = {out for op in kernel.ops for out in op.outs}
        reads = dict.fromkeys(
            p for op in kernel.ops for v in op.operands for p in (v, *stored_parts(v))
            if p not in inside and p not in stored
        )  # fmt: skip
        leaves = dict.fromkeys(
            p for op in kernel.ops for v in op.operands for p in stored_parts(v) if p in stored
        )
        for op in kernel.ops:
            if not op.is_view:
                self._drawing.describe(op)
        reasons = dict.fromkeys(reason for op in kernel.ops for reason in op.because)
        node = {
            "id": f"{parent}/{kernel.label}" if parent else kernel.label,
            "name": kernel.name,
            "kind": kernel.kind,
            "reads": [self._value(v) for v in reads],
            "makes": [self._value(v) for op in kernel.ops for v in op.outs],
            "leaves": [f"{v.storage or v.name}: {_type(v)}" for v in leaves],
            "because": list(reasons),
            "ops": [[op.kind, op.name] for op in kernel.ops if not op.is_view],
            "device": kernel.device,
            "parent": parent,
        }
        return {key: value for key, value in node.items() if value not in ([], "")}

    def _region(self, op: Region) -> dict[str, Any]:
        trips = getattr(op, "trips", None)
        share = getattr(op, "share", None)
        return {
            "region": op.kind,
            "trips": None if trips is None else str(trips),
            "share": None if share is None else str(share),
            "ins": [self._value(v) for v in op.ins],
            "body_ins": [self._value(v) for v in op.body.inputs],
            "body_outs": [self._value(v) for v in op.body.outputs],
        }


def _type(value: Value) -> str:
    return f"{value.encoding}[{', '.join(map(str, value.shape))}]"


def _call(call: Call) -> dict[str, Any]:
    bound = ", ".join(f"{symbol}={value}" for symbol, value in call.bind.items())
    return {"graph": call.graph, "phase": call.phase, "bind": bound, "pool": call.pool}

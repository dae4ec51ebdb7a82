"""The text form of graphs: written for people, read back by ``ir.parse``.

Leaves come first, then ops; attributes at their default, roles of activations and a storage called
like its value are left out. What an op infers (role, storage, place, parts) is not written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

import sympy as sp

from mansard.core.cursor import quoted
from mansard.core.dtypes import Encoding
from mansard.core.expressions import print_expression, print_name
from mansard.core.symbols import ASSUMPTIONS, PARAMETERS, Expr, Symbol, symbol
from mansard.ir.builder import fresh_name
from mansard.ir.free import free_symbols
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.op import Op, slots
from mansard.ir.value import MEMORY, Value

BARE = re.compile(r"[^\W\d](?:(?:[\w.~/@-]|\{\w+\})*(?:\w|\{\w+\}))?|\d+")
"""A name that needs no quotes."""
_INDENT = "  "


def print_graph(graph: Graph, name: str = "") -> str:
    """Write a graph; equal graphs have equal texts."""
    return "\n".join(_GraphPrinter(graph).lines(f"graph {word(name)}" if name else "graph"))


def word(name: str) -> str:
    """Write a name, in quotes where it is no word."""
    return name if BARE.fullmatch(name) else quoted(name)


def literal(value: Any, names: Mapping[Value, str]) -> str:
    """Write an attribute so that its text says what it is."""
    match value:
        case None | True | False:
            return str(value).lower()
        case sp.Basic() | int():
            return print_expression(sp.Integer(value) if isinstance(value, int) else value)
        case float() | Mask():
            return repr(value) if isinstance(value, float) else _mask(value)
        case str():
            return quoted(value)
        case Encoding():
            return f"encoding<{value}>"
        case Value():
            return f"%{word(names.get(value, value.name))}"
        case tuple():
            return f"[{', '.join(literal(v, names) for v in value)}]"
        case _:
            return f"?{quoted(repr(value))}"


def folded(summary: str, text: str) -> str:
    """Return a text form as HTML for notebooks: escaped, open, foldable without a script."""
    from html import escape

    return f"<details open><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def _mask(mask: Mask) -> str:
    size = [] if mask.size is None else [f"size={print_expression(sp.S(mask.size))}"]
    heads = [] if mask.heads == 1 else [f"heads={print_expression(mask.heads)}"]
    named = (("stride", mask.stride), ("most", mask.most))
    rest = [f"{word}={print_expression(sp.S(e))}" for word, e in named if e is not None]
    return f"mask<{' '.join([mask.kind, *size, *heads, *rest, *['skip'] * mask.skip])}>"


def print_symbol(s: Symbol, default: Expr | None = None) -> str:
    """Write a symbol with its kind, and its value where it has one."""
    kind = next((k for k in ASSUMPTIONS if symbol(s.name, k) == s), "size")
    value = "" if default is None else f" = {print_expression(default)}"
    return f"{print_name(s.name)}: {kind}{value}"


class _GraphPrinter:
    """Writes one graph and its bodies, which share the names of their leaves."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        made = [v for g in _graphs(graph) for v in (*g.inputs, *g.producers)]
        self.made = set(made)
        self.names = {v: v.name for v in made}
        self.taken = {v.name for v in made}

    def lines(self, head: str) -> Iterator[str]:
        """Yield the lines of the whole graph."""
        declared = dict(self.graph.defaults)
        known = {*PARAMETERS.values(), *declared}
        rest = sorted(free_symbols(self.graph) - known, key=lambda s: s.name)
        symbols = [print_symbol(s) for s in rest]
        symbols += [print_symbol(s, value) for s, value in declared.items()]
        yield from self._graph(self.graph, head, "", set(), symbols)

    def _graph(
        self, graph: Graph, head: str, indent: str, outer: set[Value], symbols: Sequence[str]
    ) -> Iterator[str]:
        inner = indent + _INDENT
        generic = f"<{', '.join(symbols)}>" if symbols else ""
        yield f"{head}{generic}({', '.join(map(self._declared, graph.inputs))}) {{"
        known = {*graph.inputs, *outer}
        for leaf in self._own_leaves(graph, outer):
            yield from self._leaf(leaf, inner, known)
        for op in graph.ops:
            for v in op.operands:
                if v not in known:
                    yield from self._leaf(v, inner, known)
            yield from self._op(op, inner, known)
            known.update(op.outs)
        for v in graph.outputs:
            if v not in known:
                yield from self._leaf(v, inner, known)
        outputs = ", ".join(self._value(v) for v in graph.outputs)
        yield f"{inner}return {outputs}".rstrip()
        yield f"{indent}}}"

    def _own_leaves(self, graph: Graph, outer: set[Value]) -> Iterator[Value]:
        """Yield the leaves this graph uses itself, or that two of its bodies use."""
        given = {*graph.inputs, *graph.producers, *outer}
        seen: dict[Value, set[int]] = {}
        for op in graph.ops:
            for v in op.operands:
                if v not in given and not v.parts:
                    seen.setdefault(v, set()).add(-1)
            for body in op.bodies:
                for v in body.leaves:
                    if v not in outer:
                        seen.setdefault(v, set()).add(id(body))
        yield from (v for v, users in seen.items() if -1 in users or len(users) > 1)

    def _leaf(self, v: Value, indent: str, known: set[Value]) -> Iterator[str]:
        for part in v.parts:
            if part not in known:
                yield from self._leaf(part, indent, known)
        if v not in known:
            known.add(v)
            if v not in self.names:
                self.names[v] = fresh_name(v.name, self.taken)
            kind = "" if v.role != "activation" else "activation "
            yield f"{indent}{kind}{self._declared(v)}"

    def _declared(self, v: Value) -> str:
        role = "" if v.role == "activation" else f"{v.role} "
        text = f"{role}{self._typed(v)}"
        if v.storage and v.storage != self.names[v]:
            text += f" @{word(v.storage)}"
        if v.place != MEMORY:
            text += f" at {word(v.place)}"
        if v.type.live is not None:
            text += f" live {print_expression(v.type.live)}"
        if v.parts:
            text += f" of [{', '.join(map(self._value, v.parts))}] along {v.type.axis}"
        return text

    def _typed(self, v: Value) -> str:
        shape = ", ".join(print_expression(sp.S(d)) for d in v.shape)
        return f"{self._value(v)}: {v.encoding}[{shape}]"

    def _value(self, v: Value) -> str:
        return f"%{word(self.names.get(v, v.name))}"

    def _op(self, op: Op, indent: str, outer: set[Value]) -> Iterator[str]:
        text = f"{', '.join(map(self._typed, op.outs))} = {op.kind}({', '.join(self._args(op))})"
        if op.name != op.out.name:
            text += f" {quoted(op.name)}"
        if op.kernel:
            text += f" #{word(op.kernel)}"
        if op.device:
            text += f" !{word(op.device)}"
        bodies = slots(type(op)).bodies
        if not bodies:
            yield indent + text
        leaves = outer - self.made
        for f in bodies:
            head = f"{indent}{text} {f.name}" if f is bodies[0] else f"{indent}{f.name}"
            symbols = [print_symbol(s, v) for s, v in getattr(op, f.name).defaults]
            yield from self._graph(getattr(op, f.name), head, indent, leaves, symbols)

    def _args(self, op: Op) -> Iterator[str]:
        positional = True
        for f in slots(type(op)).operands:
            value = getattr(op, f.name)
            if value is None or value == ():
                positional = False
            elif isinstance(value, tuple) and not (positional and f is slots(type(op)).operands[0]):
                positional = False
                yield f"{f.name}={literal(value, self.names)}"
            elif isinstance(value, tuple):
                yield from map(self._value, value)
                positional = False
            else:
                yield self._value(value) if positional else f"{f.name}={self._value(value)}"
        for f in slots(type(op)).attributes:
            value = getattr(op, f.name)
            if f.default is MISSING or value != f.default:
                yield f"{f.name}={literal(value, self.names)}"


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for op in graph.ops:
        for body in op.bodies:
            yield from _graphs(body)

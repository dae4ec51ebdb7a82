"""Reading the text form back; see ``ir.text``.

An op of a class mansard does not have parses when its class is passed in ``ops``: operands stand
before attributes, and every attribute's text says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from mansard.core.cursor import Cursor
from mansard.core.dtypes import Encoding
from mansard.core.errors import unknown_name
from mansard.core.expressions import read_expression
from mansard.core.symbols import PARAMETERS, Expr, Symbol
from mansard.ir.graph import Graph
from mansard.ir.op import Op, slots
from mansard.ir.program import Program
from mansard.ir.reading import DEEPEST, Reader, read_name, read_symbol
from mansard.ir.registry import registered
from mansard.ir.value import MEMORY, ROLES, TensorType, Value
from mansard.ir.verify import same_type, verify

_KEY = re.compile(r"([^\W\d]\w*)\s*=(?!=)")
_WORD = re.compile(r"[^\W\d]\w*")


def parse_graph(text: str, ops: Mapping[str, type[Op]] | None = None) -> Graph:
    """Read one graph.

    Args:
        text: as ``str(graph)`` writes it.
        ops: op classes by kind, beside mansard's own.

    Raises:
        SpecError: the text is no graph; the message names line and column.
        VerifyError: it is one that breaks a rule of the IR.
    """
    cursor = Cursor(text, "graph", comments=True)
    reader = GraphReader(cursor, ops)
    _, graph, _ = reader.graph()
    if not cursor.ended:
        cursor.fail("expected the end")
    return graph


def parse_program(text: str, ops: Mapping[str, type[Op]] | None = None) -> Program:
    """Read a program: name, mesh, symbols, graphs, schedule. See ``parse_graph``."""
    from mansard.ir.program_reader import read_program

    return read_program(Cursor(text, "program", comments=True), ops)


class GraphReader(Reader):
    """Reads graphs from a cursor.

    Args:
        cursor: at the word ``graph``.
        ops: op classes by kind, beside mansard's own.
    """

    def __init__(self, cursor: Cursor, ops: Mapping[str, type[Op]] | None = None) -> None:
        super().__init__(cursor)
        self.ops = {**registered(), **(ops or {})}
        self.bodies: dict[str, tuple[Graph, dict[str, Value]]] = {}

    def graph(self) -> tuple[str, Graph, dict[str, Expr]]:
        """Read a graph; return its name, it, and the symbols it knows."""
        cursor = self.cursor
        self.symbols, self.bodies = dict(PARAMETERS), {}
        if not self._word("graph"):
            cursor.fail("expected 'graph'")
        name = "" if cursor.next_is("(") or cursor.next_is("<") else read_name(cursor)
        at = cursor.skip()
        graph = self._body({})
        with self._located(at):
            return name, verify(graph), self.symbols

    def _body(self, leaves: Mapping[str, Value]) -> Graph:
        """Read inputs, symbols, leaves, ops and outputs; ``leaves`` are those of outer graphs."""
        cursor = self.cursor
        known = dict(leaves)
        own: set[str] = set()
        made: list[tuple[Symbol, Expr | None]] = []
        if cursor.next_is("<"):
            made += self._list("<", ">", lambda: read_symbol(cursor, self.symbols))
        defaults = tuple((s, value) for s, value in made if value is not None)
        inputs = tuple(self._list("(", ")", lambda: self._declared(known, own)))
        cursor.expect("{")
        ops: list[Op] = []
        local = dict(leaves)
        while not self._word("return"):
            if cursor.next_is("%"):
                op_or_leaf = self._statement(known, own, local)
                ops += [op_or_leaf] if isinstance(op_or_leaf, Op) else []
            elif cursor.ended or not cursor.take(re.compile(rf"(?={'|'.join(ROLES)})")):
                cursor.fail("expected an op, a leaf or 'return'")
            else:
                leaf = self._declared(known, own)
                local[leaf.name] = leaf
        outputs = tuple(self._values(known)) if cursor.next_is("%") else ()
        cursor.expect("}")
        return Graph(inputs, tuple(ops), outputs, defaults)

    def _declared(self, known: dict[str, Value], own: set[str]) -> Value:
        """Read a value no op makes: ``weight %w: bf16[8, 4] @storage at host``."""
        role = self.cursor.take(re.compile(rf"(?:{'|'.join(ROLES)})\b"))
        at = self.cursor.skip()
        name, encoding, shape = self._typed()
        return self._bound(name, encoding, shape, role[0] if role else "", known, own, at)

    def _bound(
        self, name: str, encoding: Encoding, shape: tuple[Expr, ...], role: str,
        known: dict[str, Value], own: set[str], at: int,
    ) -> Value:  # fmt: skip
        cursor = self.cursor
        storage = "" if role in ("", "activation", "index") else name
        if cursor.accept("@"):
            storage = read_name(cursor)
        place = read_name(cursor) if self._word("at") else MEMORY
        live = read_expression(cursor, self.symbols) if self._word("live") else None
        parts: tuple[Value, ...] = ()
        axis = 0
        if self._word("of"):
            parts = tuple(self._list("[", "]", lambda: self._operand(known)))
            if not self._word("along"):
                cursor.fail("expected 'along' and an axis")
            axis = int(read_expression(cursor, {}))
            storage = storage if storage != name else ""
        kind = TensorType(shape, encoding, role or "activation", storage, place, live, parts, axis)
        value = Value(name, kind)
        self._define(value, known, own, at)
        return value

    def _statement(
        self, known: dict[str, Value], own: set[str], leaves: dict[str, Value]
    ) -> Op | Value:
        """Read ``%y: type = kind(operands, attributes) "label" #kernel !device`` and bodies."""
        cursor = self.cursor
        at = cursor.skip()
        results = [self._typed()]
        while cursor.accept(","):
            results.append(self._typed())
        cursor.expect("=")
        start = cursor.skip()
        kind = cursor.take(_WORD)
        if kind is None:
            cursor.fail("expected the kind of an op")
        if kind[0] not in self.ops:
            raise cursor.wrap(unknown_name("op", kind[0], self.ops), start)
        cls = self.ops[kind[0]]
        given = self._arguments(cls, known)
        label = cursor.string() if cursor.next_is('"') else results[0][0]
        kernel = read_name(cursor) if cursor.accept("#") else ""
        device = read_name(cursor) if cursor.accept("!") else ""
        for f in slots(cls).bodies:
            if not self._word(f.name):
                cursor.fail(f"expected {f.name!r}, the body of {kind[0]}")
            given[f.name] = self._interned(leaves)
        self._complete(cls, given, start)
        with self._located(start):
            op = cls(**given, name=label, kernel=kernel, device=device)
            types = self._inferred(op, start)
        if len(types) != len(results):
            cursor.fail(f"{kind[0]} has {len(types)} results, not {len(results)}", at=at)
        outs = []
        for (name, encoding, shape), inferred in zip(results, types, strict=True):
            written = replace(inferred, encoding=encoding, shape=shape)
            if not same_type(written, inferred):
                found, wanted = Value(name, written), Value(name, inferred)
                cursor.fail(f"{kind[0]} {found!r} should be {wanted!r}", at=at)
            outs.append(Value(name, written))
            self._define(outs[-1], known, own, at)
        return replace(op, outs=tuple(outs))

    def _inferred(self, op: Op, at: int) -> tuple[TensorType, ...]:
        try:
            return op.infer()
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError):
            self.cursor.fail(f"{op.kind} cannot take these operands and attributes", at=at)

    def _arguments(self, cls: type[Op], known: dict[str, Value]) -> dict[str, Any]:
        """Read operands by position, then operands and attributes by name."""
        cursor = self.cursor
        places = [f.name for f in slots(cls).operands]
        several = bool(places) and "tuple" in str(slots(cls).operands[0].type).lower()
        given: dict[str, Any] = {}
        positional: list[Value] = []
        starts: list[int] = []

        def argument() -> None:
            at = cursor.skip()
            key = cursor.take(_KEY)
            if key is None:
                positional.append(self._operand(known))
                starts.append(at)
                return
            names = {f.name for f in (*slots(cls).operands, *slots(cls).attributes)}
            if key[1] not in names:
                raise cursor.wrap(unknown_name(f"attribute of {cls.kind}", key[1], names), at)
            if key[1] in given:
                cursor.fail(f"{key[1]!r} is given twice", at=at)
            given[key[1]] = self._literal(known)

        for _ in self._list("(", ")", argument):
            pass
        if several and positional:
            positional = [tuple(positional)]  # type: ignore[list-item]
        if len(positional) > len(places):
            cursor.fail(f"{cls.kind} takes {len(places)} operands", at=starts[len(places)])
        for name, value in zip(places, positional, strict=False):
            if name in given:
                cursor.fail(f"{name!r} is given twice")
            given[name] = value
        return given

    def _complete(self, cls: type[Op], given: dict[str, Any], at: int) -> None:
        for f in fields(cls):
            needed = f.default is MISSING and f.default_factory is MISSING
            if needed and f.name not in given:
                if "tuple" in str(f.type).lower():
                    given[f.name] = ()
                else:
                    self.cursor.fail(f"{cls.kind} needs {f.name!r}", at=at)
        for f in slots(cls).operands:
            if f.name in given and not _holds_values(given[f.name]):
                self.cursor.fail(f"{f.name!r} of {cls.kind} is an operand, a %value", at=at)

    def _interned(self, leaves: dict[str, Value]) -> Graph:
        """Read a body; one that is written like an earlier one is the same object."""
        cursor = self.cursor
        start = cursor.skip()
        with self.cursor.deeper(DEEPEST):
            graph = self._body(leaves)
        text = cursor.text[start : cursor.at]
        seen, outer = self.bodies.setdefault(text, (graph, leaves))
        mine = {v.name for v in graph.leaves}
        return seen if all(outer.get(n) is leaves.get(n) for n in mine) else graph

    def _values(self, known: Mapping[str, Value]) -> Iterator[Value]:
        yield self._operand(known)
        while self.cursor.accept(","):
            yield self._operand(known)

    def _define(self, value: Value, known: dict[str, Value], own: set[str], at: int) -> None:
        if value.name in own:
            self.cursor.fail(f"two values are called %{value.name}", at=at)
        own.add(value.name)
        known[value.name] = value


def _holds_values(value: Any) -> bool:
    return value is None or isinstance(value, Value) or (
        isinstance(value, tuple) and all(isinstance(v, Value) for v in value)
    )  # fmt: skip

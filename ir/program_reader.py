"""Reading the text form of a program: header, graphs, and the schedule's four nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mansard.core.cursor import Cursor
from mansard.core.errors import MansardError, unknown_name
from mansard.core.expressions import read_expression
from mansard.core.symbols import PARAMETERS, SCENARIO, Expr, Symbol
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.parse import GraphReader
from mansard.ir.program import Call, Loop, Origin, Program, Step, Together, Wait
from mansard.ir.reading import DEEPEST, read_name, read_symbol
from mansard.ir.text import BARE

_PHASE = re.compile(rf'(?:"(?:[^"\\\n]|\\.)*"|{BARE.pattern})\s*:')
_NODE = re.compile(r"(?:call|loop|together|wait)\b")
_OPTIONS = {
    "loop": {"times", "index", "start", "yields"},
    "wait": {"time_s", "times", "name"},
    "together": set[str](),
}


def read_program(cursor: Cursor, ops: Mapping[str, type[Op]] | None) -> Program:
    """Read a program; see ``ir.parse.parse_program``."""
    if not _word(cursor, "program"):
        cursor.fail("expected 'program'")
    origin = Origin(name=cursor.string() if cursor.next_is('"') else "")
    reader = _ScheduleReader(cursor)
    mesh: dict[str, int] = {}
    while _word(cursor, "mesh"):
        mesh |= reader.mesh()
    while _word(cursor, "symbol"):
        read_symbol(cursor, reader.symbols)
    graphs: dict[str, Graph] = {}
    while cursor.next_is("graph"):
        at = cursor.skip()
        name, graph, symbols = GraphReader(cursor, ops).graph()
        if name in graphs:
            cursor.fail(f"two graphs are called {name!r}", at=at)
        graphs[name], reader.graphs[name] = graph, symbols
    if not _word(cursor, "schedule"):
        cursor.fail("expected 'graph' or 'schedule'")
    schedule = reader.block()
    if not cursor.ended:
        cursor.fail("expected the end")
    try:
        return Program(graphs, schedule, mesh, origin).verified()
    except MansardError as error:
        raise cursor.wrap(error, 0) from None


def _word(cursor: Cursor, word: str) -> bool:
    return cursor.take(re.compile(rf"{word}\b")) is not None


class _ScheduleReader:
    """Reads the mesh and the steps; ``graphs`` holds the symbols each graph knows."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.symbols: dict[str, Expr] = {**PARAMETERS, **SCENARIO}
        self.graphs: dict[str, dict[str, Expr]] = {}

    def mesh(self) -> dict[str, int]:
        """Read ``tp=8, pp=4``."""
        found: dict[str, int] = {}
        while True:
            axis = read_name(self.cursor)
            self.cursor.expect("=")
            at = self.cursor.skip()
            size = read_expression(self.cursor, {})
            if not size.is_Integer or size < 1:
                self.cursor.fail("expected how many devices the axis has", at=at)
            found[axis] = int(size)
            if not self.cursor.accept(","):
                return found

    def block(self) -> tuple[Step, ...]:
        """Read steps in braces."""
        self.cursor.expect("{")
        steps: list[Step] = []
        with self.cursor.deeper(DEEPEST):
            while not self.cursor.accept("}"):
                steps.append(self.step())
        return tuple(steps)

    def step(self) -> Step:
        """Read one node, with its phase in front where it has one."""
        cursor = self.cursor
        phase = ""
        if cursor.take(re.compile(f"(?={_PHASE.pattern})")):
            phase = read_name(cursor)
            cursor.expect(":")
        node = cursor.take(_NODE)
        if node is None:
            cursor.fail("expected call, loop, together, wait or '}'")
        if node[0] == "call":
            return self.call(phase)
        at = node.start()
        options = self.options(node[0])
        match node[0]:
            case "loop":
                if "times" not in options:
                    cursor.fail("a loop needs 'times'", at=at)
                return Loop(steps=self.block(), phase=phase, **options)
            case "together":
                return Together(self.block(), phase)
            case _:
                like = self.block() if _word(cursor, "like") else ()
                if len(like) > 1:
                    cursor.fail("a wait is like one step", at=at)
                return Wait(like=like[0] if like else None, phase=phase, **options)

    def options(self, node: str) -> dict[str, Any]:
        """Read ``(times=output - 1, index=step)``."""
        cursor = self.cursor
        found: dict[str, Any] = {}
        if node == "together" or not cursor.accept("("):
            return found
        while not cursor.accept(")"):
            at = cursor.skip()
            key = read_name(cursor)
            if key not in _OPTIONS[node]:
                raise cursor.wrap(unknown_name(f"option of {node}", key, _OPTIONS[node]), at)
            cursor.expect("=")
            at = cursor.skip()
            found[key] = cursor.string() if key == "name" else self.expression()
            if key == "index" and not found[key].is_Symbol:
                cursor.fail("expected a symbol that counts trips", at=at)
            if not cursor.accept(",") and not cursor.next_is(")"):
                cursor.fail("expected ',' or ')'")
        return found

    def call(self, phase: str) -> Call:
        """Read what follows the word ``call``."""
        cursor = self.cursor
        at = cursor.skip()
        graph = read_name(cursor)
        if graph not in self.graphs:
            raise cursor.wrap(unknown_name("graph", graph, self.graphs), at)
        bind = self.binding(graph)
        wants: tuple[str, ...] = ("logits",)
        if _word(cursor, "wants"):
            wants = tuple(self.listed(self.wanted))
        groups: tuple[tuple[Expr, Expr, Expr], ...] = ()
        if _word(cursor, "groups"):
            at = cursor.skip()
            found = self.listed(lambda: self.listed(self.expression))
            if any(len(g) != 3 for g in found):
                cursor.fail("a group is [B, S, P]", at=at)
            groups = tuple((b, s, p) for b, s, p in found)
        pool = read_name(cursor) if _word(cursor, "on") else ""
        return Call(graph, bind, wants, groups, pool, phase)

    def binding(self, graph: str) -> dict[Symbol, Expr]:
        """Read ``(B=batch, S=1, …)``; the left names are the graph's own symbols."""
        cursor = self.cursor
        found: dict[Symbol, Expr] = {}
        cursor.expect("(")
        while not cursor.accept(")"):
            at = cursor.skip()
            key = read_expression(cursor, {**self.symbols, **self.graphs[graph]})
            if not key.is_Symbol or key in found:
                cursor.fail("expected a symbol of the graph, each once", at=at)
            cursor.expect("=")
            found[key] = self.expression()
            if not cursor.accept(",") and not cursor.next_is(")"):
                cursor.fail("expected ',' or ')'")
        return found

    def listed(self, read: Any) -> list[Any]:
        """Read items in brackets."""
        self.cursor.expect("[")
        found: list[Any] = []
        while not self.cursor.accept("]"):
            found.append(read())
            if not self.cursor.accept(",") and not self.cursor.next_is("]"):
                self.cursor.fail("expected ',' or ']'")
        return found

    def wanted(self) -> str:
        """Read the name of an output."""
        self.cursor.expect("%")
        return read_name(self.cursor)

    def expression(self) -> Expr:
        """Read an expression over scenario symbols."""
        return read_expression(self.cursor, self.symbols)

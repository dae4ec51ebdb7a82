"""A program's schedule as segments: calls whose rows are bound to scenario symbols, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace

from mansard.backends.engine.polynomials import Ragged, Rebound, Space
from mansard.backends.quantity import Tape, Terms
from mansard.backends.table import Table, tabulate
from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, P, S, Symbol, T
from mansard.ir.program import Call, Loop, Program, Step, Wait


class NotCompiledError(SpecError):
    """The schedule or a size holds what only the step-by-step backend evaluates."""


@dataclass(frozen=True)
class Segment:
    """A call, the calls of a loop, or a wait, of one phase.

    Args:
        phase: its label.
        factors: how often it happens: their product, each at least 0.
        times: trips of the loop with an index around it; None outside one.
        index: counts them, from 0; the loop's start is folded into the sizes.
        call: what runs; None of a wait.
        table: its rows.
        rows: the table's quantities over scenario symbols.
        bind: every parameter of the graph.
        groups: the same of each group of sequences, where the step is ragged.
        waits: whether nothing runs, and only the time passes.
        seconds: of a wait.
    """

    phase: str
    factors: tuple[Terms, ...] = ()
    times: Terms | None = None
    index: Symbol | None = None
    call: Call | None = None
    table: Table | None = None
    rows: Rebound | None = None
    bind: Mapping[Symbol, Expr] = field(default_factory=dict)
    groups: tuple[Mapping[Symbol, Expr], ...] = ()
    waits: bool = False
    seconds: Terms = field(default_factory=dict)

    def over(self, tape: Tape, space: Space) -> Rebound:
        """Return the quantities of a tape of its graph over scenario symbols."""
        return rebound(tape, self.bind, self.groups, space)


def rebound(
    tape: Tape, bind: Mapping[Symbol, Expr], groups: Sequence[Mapping[Symbol, Expr]], space: Space
) -> Rebound:
    """Return the quantities of a tape as a call binds it, group by group where it is ragged."""
    if not groups:
        return Rebound(tape, bind, space)
    return Ragged(tape, bind, groups, (B, S, P), space)


@dataclass(frozen=True)
class Yield:
    """Tokens of a sequence that a loop makes: the product of factors, each at least 0."""

    phase: str
    factors: tuple[Terms, ...]


@dataclass(frozen=True)
class _Place:
    phase: str = ""
    factors: tuple[Terms, ...] = ()
    times: Terms | None = None
    index: Symbol | None = None
    start: Expr | None = None
    waits: bool = False


class Lowered:
    """A program over its scenario symbols, before any hardware is known.

    Args:
        program: after its passes.

    Raises:
        NotCompiledError: steps side by side, loops with an index inside another.
    """

    def __init__(self, program: Program) -> None:
        self.program, self.space = program, Space()
        self.yields: list[Yield] = []
        self._tables: dict[tuple[str, tuple[str, ...]], Table] = {}
        self.segments = tuple(self._steps(program.schedule, _Place()))

    @property
    def phases(self) -> tuple[str, ...]:
        """Phase labels in order of first appearance."""
        return tuple(dict.fromkeys(s.phase for s in self.segments))

    def _steps(self, steps: Sequence[Step], at: _Place) -> Iterator[Segment]:
        for node in steps:
            place = replace(at, phase=node.phase or at.phase)
            match node:
                case Call():
                    yield self._call(node, place)
                case Loop():
                    yield from self._loop(node, place)
                case Wait():
                    yield from self._wait(node, place)
                case _:
                    kind = type(node).__name__
                    raise NotCompiledError(f"steps side by side ({kind}) are stepped")

    def _loop(self, loop: Loop, at: _Place) -> Iterator[Segment]:
        trips = self.space.expression(loop.times)
        if loop.yields != 0:
            around = (*at.factors, *([at.times] if at.times is not None else []))
            self.yields.append(
                Yield(at.phase, (self.space.expression(loop.yields), trips, *around))
            )
        if loop.index is None:
            yield from self._steps(loop.steps, replace(at, factors=(*at.factors, trips)))
            return
        if at.index is not None:
            raise NotCompiledError("a counted loop inside another is stepped")
        inner = replace(at, times=trips, index=loop.index, start=loop.start)
        yield from self._steps(loop.steps, inner)

    def _wait(self, node: Wait, at: _Place) -> Iterator[Segment]:
        factors = (*at.factors, self.space.expression(node.times))
        if node.like is not None:
            yield from self._steps((node.like,), replace(at, factors=factors, waits=True))
            return
        if at.times is not None:
            factors = (*factors, at.times)
        yield Segment(at.phase, factors, waits=True, seconds=self.space.expression(node.time_s))

    def _call(self, call: Call, at: _Place) -> Segment:
        if call.pool:
            raise NotCompiledError("pools of devices are stepped")
        graph = self.program.graph(call.graph)
        key = (call.graph, call.wants)
        if key not in self._tables:
            self._tables[key] = tabulate(graph.wanting(call.wants), call.graph)
        table = self._tables[key]
        bind = dict(call.bound(graph.defaults))
        own = [dict(zip((B, S, P, T), (b, s, p, b * s), strict=True)) for b, s, p in call.groups]
        if at.index is not None and at.start:
            later = {at.index: at.index + at.start}
            bind, *own = ({s: e.xreplace(later) for s, e in each.items()} for each in (bind, *own))
        groups = tuple({**bind, **each} for each in own)
        if at.index is not None and any(self.space.mentions(f, at.index) for f in at.factors):
            raise NotCompiledError("a loop whose trips depend on the step around it is stepped")
        rows = rebound(table.tape, bind, groups, self.space)
        return Segment(
            at.phase, at.factors, at.times, at.index, call, table, rows, bind, groups, at.waits
        )

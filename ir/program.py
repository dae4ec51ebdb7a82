"""Programs: named graphs and the schedule that calls them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import TypeAlias

import sympy as sp

from mansard.core.errors import VerifyError, unknown_name
from mansard.core.facts import TARGET as TARGET
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, ExprLike, P, R, S, Symbol, T, batch, expr, output, prompt
from mansard.core.symbols import step as step_index
from mansard.ir.graph import Graph
from mansard.ir.resolution import Resolution
from mansard.ir.verify import verify

Binding = Mapping[Symbol, Expr]


@dataclass(frozen=True)
class Call:
    """One step of a graph.

    Args:
        graph: its name.
        bind: every parameter of the graph.
        wants: the outputs that are needed; the rest is dead code.
        groups: of a ragged step, the ``(B, S, P)`` of each group of sequences; per-sequence ops
            are costed once a group, per-token ops once with ``bind``'s ``T`` and ``R``.
        pool: the devices it runs on, by name; empty for the only ones.
        phase: prefill, decode, encode, denoise …
    """

    graph: str
    bind: Binding
    wants: tuple[str, ...] = ("logits",)
    groups: tuple[tuple[Expr, Expr, Expr], ...] = ()
    pool: str = ""
    phase: str = ""

    def bound(self, defaults: Iterable[tuple[Symbol, Expr]]) -> Binding:
        """Return the value of every symbol of a graph with these defaults.

        A default may mention what the call binds and defaults before it, so the same graph's is
        another in a prefill than in a decode step.
        """
        values = dict(self.bind)
        for symbol, value in defaults:
            values.setdefault(symbol, value.xreplace(values))
        return values


@dataclass(frozen=True)
class Loop:
    """Steps repeated.

    Args:
        steps: of one trip, in order.
        times: how often; an expectation may be no whole number.
        index: a symbol that counts trips, from ``start``.
        start: its first value.
        yields: tokens of a sequence that a trip produces.
        phase: of all its steps.
    """

    steps: tuple[Step, ...]
    times: Expr
    index: Symbol | None = None
    start: Expr = sp.S.Zero
    yields: Expr = sp.S.Zero
    phase: str = ""


@dataclass(frozen=True)
class Together:
    """Steps side by side: the longest counts."""

    steps: tuple[Step, ...]
    phase: str = ""


@dataclass(frozen=True)
class Wait:
    """Time without work: a given one, or as long as another step takes.

    Args:
        time_s: the time, where it is given [s].
        like: the step whose time is waited for, ``times`` over.
        times: how often.
        name: what people call it: a pipeline bubble, a retrieval.
    """

    time_s: Expr = sp.S.Zero
    like: Step | None = None
    times: Expr = sp.S.One
    name: str = "wait"
    phase: str = ""


Step: TypeAlias = Call | Loop | Together | Wait


@dataclass(frozen=True)
class Origin:
    """Where a program came from.

    Args:
        name: of the model.
        source: "bundled", "hf-config", "onnx" …
        family: the architecture's name.
        max_context: tokens the model was made for, when it says so.
        notes: what its frontend warns of.
        facts: name → (value, where it was read), for ``explain``.
        parts: the graphs that make up the model, called or not; its parameters are theirs.
        lengths: of the sequences that ``max_context`` bounds, in scenario symbols.
        pipeline: the techniques a checkpoint itself carries, as pipeline text; whoever runs
            passes runs these first.
        resolution: how a graph from a file was understood.
    """

    name: str = ""
    source: str = ""
    family: str = ""
    max_context: int | None = None
    notes: tuple[Note, ...] = ()
    facts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    pipeline: str = ""
    resolution: Resolution | None = None
    parts: tuple[str, ...] = (TARGET,)
    lengths: tuple[Expr, ...] = (prompt + output,)


@dataclass(frozen=True, eq=False)
class Program:
    """Everything a backend needs of a model: graphs, mesh, schedule.

    Args:
        graphs: by name; the model itself is ``target``.
        schedule: what is called, in order.
        mesh: axis → devices, innermost first; graphs are per device.
        origin: where it came from.
    """

    graphs: Mapping[str, Graph]
    schedule: tuple[Step, ...]
    mesh: Mapping[str, int] = field(default_factory=dict)
    origin: Origin = Origin()

    def graph(self, name: str = TARGET) -> Graph:
        """Return a graph by name.

        Raises:
            UnknownNameError: there is none.
        """
        if name not in self.graphs:
            raise unknown_name("graph", name, self.graphs)
        return self.graphs[name]

    def with_graph(self, name: str, graph: Graph) -> Program:
        """Return the program with one graph replaced or added; itself when it is the same."""
        if self.graphs.get(name) is graph:
            return self
        return replace(self, graphs={**self.graphs, name: graph})

    def verified(self) -> Program:
        """Return the program, or raise at the first rule it breaks.

        Raises:
            VerifyError: a graph breaks a rule, or a call names none or leaves a symbol unbound.
        """
        for graph in self.graphs.values():
            verify(graph)
        for call in calls(self.schedule):
            graph = self.graph(call.graph)
            for name in call.wants:
                graph.output(name)
            missing = {B, S, P, T, R} - set(call.bind)
            if missing:
                names = ", ".join(sorted(s.name for s in missing))
                raise VerifyError(f"a call of {call.graph!r} does not bind {names}")
        return self

    def __str__(self) -> str:
        from mansard.ir.program_text import print_program

        return print_program(self)

    def _repr_html_(self) -> str:
        from mansard.ir.text import folded

        names = ", ".join(self.graphs)
        return folded(f"program {self.origin.name}: {names}".replace(" :", ":"), str(self))


def calls(steps: tuple[Step, ...]) -> Iterator[Call]:
    """Yield every call of a schedule, in order."""
    for node in steps:
        match node:
            case Call():
                yield node
            case Loop() | Together():
                yield from calls(node.steps)
            case Wait():
                yield from calls((node.like,)) if node.like is not None else ()


def binding(b: ExprLike, s: ExprLike, p: ExprLike, *, rows: ExprLike | None = None) -> Binding:
    """Bind the parameters of a uniform step: ``T = b·s``, and logits for one row a sequence.

    >>> from mansard.core.symbols import T
    >>> binding(4, 8, 0)[T]
    32
    """
    b, s, p = expr(b), expr(s), expr(p)
    return {B: b, S: s, P: p, T: b * s, R: b if rows is None else expr(rows)}


def generation(graph: str = TARGET) -> tuple[Step, ...]:
    """Return the schedule of autoregressive generation: a prefill, ``output - 1`` decode steps."""
    prefill = Call(graph, binding(batch, prompt, 0), phase="prefill")
    decode = Call(graph, binding(batch, 1, prompt + step_index), phase="decode")
    return (prefill, Loop((decode,), output - 1, step_index, yields=sp.S.One, phase="decode"))

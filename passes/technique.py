"""What a pass is: a frozen dataclass whose fields are its options, from program to program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import ClassVar

import sympy as sp

from mansard.core.errors import unknown_name
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.program import TARGET, Call, Loop, Program, Step, Together, Wait
from mansard.ir.rewrite import Rewritten, Rule, keeping_outputs, rewrite
from mansard.passes.options import check, option, spelled, written

EVERY = "*"
"""The value of ``on`` that means every graph of the program."""


@dataclass(frozen=True)
class Outcome:
    """What a pass did.

    Args:
        program: the result; the very input when nothing changed.
        matches: what it found, bodies counted once.
        changed: the same in words, every trip counted: "224 weights".
        notes: what it left out or could not do.
    """

    program: Program
    matches: int
    changed: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Base of every technique: override ``rules``, ``transform`` or ``run``.

    Class variables: ``name`` (a verb phrase), ``source`` (a citation of ``docs/references.md``),
    ``noun`` (what it changes, for reports), ``requires`` and ``conflicts`` (names of passes that
    must, or must not, have run before), ``assumes`` and ``omits`` (sentences for the catalogue),
    ``divides`` (it says how several devices share the model).
    What ``mansard plugins check`` needs: ``example`` (options that show what it does, as pipeline
    text), ``identity`` (options with which it changes nothing; empty where there are none) and
    ``removes`` (what of the model's arithmetic it leaves out; empty where it is nothing).
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "op"
    source: ClassVar[str] = ""
    requires: ClassVar[tuple[str, ...]] = ()
    conflicts: ClassVar[tuple[str, ...]] = ()
    assumes: ClassVar[tuple[str, ...]] = ()
    omits: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[str] = ""
    identity: ClassVar[str] = ""
    removes: ClassVar[str] = ""
    divides: ClassVar[bool] = False

    on: str = option(TARGET, "the graph it changes, with its variants; * is every graph")
    phase: str = option("", "only this phase: the graph is copied and its calls re-pointed")

    def __post_init__(self) -> None:
        check(self)

    def rules(self) -> Sequence[Rule]:
        """Return the rewrites of the technique."""
        return ()

    def transform(self, graph: Graph) -> Rewritten:
        """Return the rewritten graph and how much was found."""
        return rewrite(graph, self.rules(), by=self.name)

    def run(self, program: Program) -> Outcome:
        """Return the rewritten program; the same object when nothing matched.

        Raises:
            UnknownNameError: no graph, or no phase, of that name.
        """
        if self.phase:
            return self._on_phase(program)
        found = 0
        changed: list[str] = []
        for name in self._graphs(program):
            before = program.graph(name)
            done = self._rewritten(before)
            found += done.matches
            if done.graph is not before:
                said = self.describe(before, done.graph)
                changed.append(said if name == TARGET else f"{said} in {name}")
                program = program.with_graph(name, done.graph)
        return Outcome(program, found, ", ".join(changed), self.nothing(found))

    def _rewritten(self, before: Graph) -> Rewritten:
        """Rewrite a graph; whatever makes its outputs now, calls find them by their names."""
        done = self.transform(before)
        return Rewritten(keeping_outputs(before, done.graph), done.matches)

    def _on_phase(self, program: Program) -> Outcome:
        """Rewrite the variant that only one phase calls, made when there is none yet."""
        name = f"{self.on}@{self.phase}"
        before = program.graphs.get(name) or program.graph(self.on)
        done = self._rewritten(before)
        if done.graph is before:
            return Outcome(program, done.matches, notes=self.nothing(done.matches))
        changed = f"{self.describe(before, done.graph)} in {name}"
        if name in program.graphs:
            return Outcome(program.with_graph(name, done.graph), done.matches, changed)
        return Outcome(variant(program, self.on, self.phase, done.graph), done.matches, changed)

    def _graphs(self, program: Program) -> tuple[str, ...]:
        """Return the graphs to change: the one named with its variants, or all of them."""
        if self.on == EVERY:
            return tuple(program.graphs)
        program.graph(self.on)
        return tuple(n for n in program.graphs if n.partition("@")[0] == self.on or n == self.on)

    def nothing(self, matches: int) -> tuple[Note, ...]:
        """Return the note of a pass that found nothing."""
        if matches:
            return ()
        return (Note("M020", f"{self.name}: nothing in {self.on!r} to change"),)

    def describe(self, before: Graph, after: Graph) -> str:
        """Return what changed, in words: the ops it touched, every trip counted."""
        return counted(touched_by(after, self.name, self.counts), self.noun)

    def counts(self, op: Op) -> bool:
        """Whether an op this pass touched is counted in its report."""
        return True

    def __str__(self) -> str:
        set_ = [
            f"{spelled(f.name)}={written(getattr(self, f.name), f.metadata.get('unit', ''))}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        ]
        return f"{self.name}{{{' '.join(set_)}}}" if set_ else self.name


def counted(n: Expr | int, noun: str) -> str:
    """Return a number and its noun: ``1 kernel``, ``32 kernels``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def touched_by(graph: Graph, name: str, counts: Callable[[Op], bool]) -> Expr:
    """Return how many ops of a call, every trip counted, a pass touched."""
    found = sp.S.Zero
    for op, trips in graph.walk():
        touched = any(reason.startswith(f"{name}:") for reason in op.because)
        if touched and counts(op):
            found += trips
    return found


def variant(program: Program, graph: str, phase: str, changed: Graph) -> Program:
    """Return the program with a second variant of a graph that only ``phase`` calls.

    Raises:
        UnknownNameError: no call of the graph has that phase.
    """
    name = f"{graph}@{phase}"
    seen: list[str] = []

    def pointed(step: Step, label: str) -> Step:
        label = step.phase or label
        match step:
            case Call():
                if step.graph != graph:
                    return step
                seen.append(label)
                return replace(step, graph=name) if label == phase else step
            case Loop() | Together():
                return replace(step, steps=tuple(pointed(s, label) for s in step.steps))
            case Wait():
                return step if step.like is None else replace(step, like=pointed(step.like, label))

    schedule = tuple(pointed(step, "") for step in program.schedule)
    if phase not in seen:
        raise unknown_name(f"phase that calls {graph!r}", phase, dict.fromkeys(seen))
    return replace(program, graphs={**program.graphs, name: changed}, schedule=schedule)

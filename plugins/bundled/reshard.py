"""Re-sharding: prefill divided one way, decode another, weights and caches moved between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.symbols import Expr, batch, ceil_div, prompt
from mansard.ir.footprint import IN_FLIGHT, Stored, storages
from mansard.ir.program import Call, Program, binding, calls
from mansard.ir.region import Repeat
from mansard.passes.parallel.technique import Parallel

PREFILL, DECODE, PHASE, HOST = "prefill", "decode", "reshard", "host"
CACHES = ("cache", "state")


class MoveShard(ms.Op):
    """Move the part of a stored value that another device has: it fills ``x``, which stays.

    FLOP  0
    B     |x|·share handed to the link   [Su 2025 Seesaw]

    Args:
        x: a weight, cache or state as this device holds it in one of the layouts.
        share: of it that is moved.
        link: ``host>memory``, ``memory>host``, or an axis of the mesh.
        ranks: devices along the axis.
    """

    kind = "move_shard"
    x: ms.Value
    share: Expr
    link: str
    ranks: Expr = sp.Integer(2)

    def infer(self) -> tuple[ms.TensorType, ...]:
        """``x`` itself, in its own storage."""
        return (self.x.type,)

    def cost(self) -> ms.Cost:
        """See the class."""
        how = "copy" if ">" in self.link else "send"
        ranks = sp.Integer(2) if how == "copy" else self.ranks
        return ms.Cost(payload={(how, self.link, ranks): self.x.bytes * self.share})

    def dims(self) -> dict[str, Expr | str]:
        """Message size."""
        return {"bytes": self.x.bytes * self.share, "ranks": self.ranks, "op": "send"}


@dataclass(frozen=True)
class Reshard(ms.Pass):
    """Prefill under one tp and pp, decode under another, with what moves between them.

    Layouts are nested: of a weight of which prefill keeps a part ``a`` of each of ``m`` layers and
    decode ``b`` of each of ``n``, a device has ``min(a, b)·min(m, n)`` in both and lacks
    ``b·n - min(a, b)·min(m, n)``; from ``pp=4`` to ``tp=4`` that is 3/16 of the model a device.
    Weights move back before the next prefill; caches move once, after it. With ``via=host`` weights
    come from a copy in host memory and caches go there and back; with ``via=link`` devices send
    each other what they lack. Without degrees it prices what ``parallel{phase=…}`` laid out.
    """

    name = "reshard"
    noun = "move"
    divides = True
    source = "[Su 2025 Seesaw]"
    example = "prefill-pp=2 decode-tp=2"
    identity = "via=link"
    removes = "what only other stages do: the device of the busiest one stands for all"
    assumes = (
        "the device of the busiest stage stands for all",
        "batches follow one another, so weights are where decode left them",
        "each direction of a link carries its own traffic",
        "a device adds to what it has, and keeps what both layouts share",
    )
    omits = (
        "moving beside arithmetic",
        "the time to first token of a batch that waits for weights",
    )

    prefill_tp: int = ms.option(1, "ranks that divide products in prefill", least=1, most=4096)
    prefill_pp: int = ms.option(1, "stages of a pipeline in prefill", least=1, most=4096)
    decode_tp: int = ms.option(1, "ranks that divide products in decode", least=1, most=4096)
    decode_pp: int = ms.option(1, "stages of a pipeline in decode", least=1, most=4096)
    via: str = ms.option(HOST, "what carries weights and caches", choices=(HOST, "link"))

    def run(self, program: Program) -> ms.Outcome:
        """Lay out both phases and put the moves before each.

        Raises:
            MansardError: the phases take different numbers of devices, or deal batches differently.
        """
        notes = self.nothing(0)
        early, late = _phases(program)
        if not early or not late:
            return ms.Outcome(program, 0, notes=notes)
        made = self._laid_out(program)
        before, after = (self._graph(made, phase) for phase in (PREFILL, DECODE))
        if before == after:
            return ms.Outcome(program, 0, notes=notes)
        b = ceil_div(batch, sp.Integer(_same_deal(made)))
        first = self._moves(made, after, before, ("weight",))
        second = self._moves(made, before, after, ("weight", *CACHES))
        steps: dict[str, tuple[Call, ...]] = {}
        for phase, graph in ((PREFILL, first), (DECODE, second)):
            if graph is None:
                continue
            name = f"{self.on}@to-{phase}"
            made = made.with_graph(name, graph)
            wants = tuple(value.name for value in graph.outputs)
            others = next(calls(late)).bind  # what else sizes are of: the length of a memory
            bind = {**others, **binding(b, 1, prompt), IN_FLIGHT: sp.S.One}
            steps[phase] = (Call(name, bind, wants, phase=PHASE),)
        early, late = _phases(made)
        schedule = (*steps.get(PREFILL, ()), *early, *steps.get(DECODE, ()), *late)
        moved = sum(len(graph.ops) for graph in (first, second) if graph is not None)
        return ms.Outcome(replace(made, schedule=schedule), moved, self._said(moved))

    def _laid_out(self, program: Program) -> Program:
        """Return the program with both phases divided, as asked or as they are."""
        degrees = {
            PREFILL: (self.prefill_tp, self.prefill_pp), DECODE: (self.decode_tp, self.decode_pp),
        }  # fmt: skip
        counts = {phase: tp * pp for phase, (tp, pp) in degrees.items()}
        if counts[PREFILL] != counts[DECODE]:
            raise ms.MansardError(
                f"reshard: {counts[PREFILL]} devices in prefill, {counts[DECODE]} in decode",
                hint="give both phases the same tp·pp, or take disaggregate",
            )
        for phase, (tp, pp) in degrees.items():
            program = Parallel(tp=tp, pp=pp, on=self.on, phase=phase).run(program).program
        return program

    def _graph(self, program: Program, phase: str) -> str:
        """Return the name of the graph a phase calls."""
        variant = f"{self.on}@{phase}"
        return variant if variant in program.graphs else self.on

    def _moves(
        self, program: Program, held: str, needed: str, roles: Iterable[str]
    ) -> ms.Graph | None:
        """Return the graph that makes one layout of another; none where nothing moves."""
        there, here = storages(program.graph(held)), storages(program.graph(needed))
        b = ms.Builder()
        made = []
        for name, stored in here.items():
            if stored.value.role not in roles:
                continue
            common = _common(there.get(name), stored)
            if self.via == HOST and stored.value.role in CACHES and name in there:
                sent = there[name]
                out = _common(stored, sent)
                made += self._moved(b, sent, 1 - out, "memory>host", "out")
            link = "host>memory" if self.via == HOST else _axis(program)
            made += self._moved(b, stored, 1 - common, link, "in")
        if not made:
            return None
        return replace(b.done(*made), defaults=((IN_FLIGHT, sp.S.One),))

    def _moved(
        self, b: ms.Builder, stored: Stored, share: Expr, link: str, what: str
    ) -> list[ms.Value]:
        if share == 0:
            return []
        ranks = sp.Integer(max(self.prefill_tp * self.prefill_pp, 2))
        inner = ms.Builder()
        name = f"{stored.value.name}.{what}"
        body = inner.done(inner(MoveShard(stored.value, share, link, ranks), PHASE))
        repeat = Repeat(body, (), stored.copies, name=f"{PHASE}.{what}")
        return [b(replace(repeat, because=(f"{self.name}: {self.source}",)), name)]

    def _said(self, moved: int) -> str:
        return f"{moved} storages move through {self.via} memory" if self.via == HOST else (
            f"{moved} storages move over links"
        )  # fmt: skip


def _phases(program: Program) -> tuple[tuple[ms.Step, ...], tuple[ms.Step, ...]]:
    """Return the steps before decode and those of decode."""
    late = tuple(step for step in program.schedule if step.phase == DECODE)
    return tuple(step for step in program.schedule if step.phase != DECODE), late


def _common(there: Stored | None, here: Stored) -> Expr:
    """Return the share of what is needed here that is there already."""
    if there is None or there.value.encoding != here.value.encoding:
        return sp.S.Zero
    part = sp.cancel(there.value.numel / here.value.numel)
    layers = sp.cancel(there.copies / here.copies)
    if not (part.is_number and layers.is_number):
        raise ms.MansardError(
            f"reshard: {here.value.storage} has {there.value.numel} elements in one phase and"
            f" {here.value.numel} in the other",
            hint="change both phases alike before they are laid out",
        )
    one = sp.S.One
    return min(part, one) * min(layers, one)


def _axis(program: Program) -> str:
    """Return the outermost axis of either layout: messages go as far as it reaches."""
    return list(program.mesh)[-1]


def _same_deal(program: Program) -> int:
    """Return how many ranks the batch is dealt to in both phases."""
    mesh: Mapping[str, int] = program.mesh
    dealt = {phase: mesh.get(f"dp@{phase}", mesh.get("dp", 1)) for phase in (PREFILL, DECODE)}
    cut = any(axis.partition("@")[0] == "cp" for axis in mesh)
    if len(set(dealt.values())) > 1 or cut:
        raise ms.MansardError(
            "reshard: the phases deal sequences to ranks differently",
            hint="give both the same dp, and no cp",
        )
    return dealt[DECODE]

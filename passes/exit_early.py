"""Early exit: tokens that are sure enough leave before the last layers."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, T
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.op import Op, finish
from mansard.ir.ops import LastRows, Linear, Softmax
from mansard.ir.program import Program
from mansard.ir.region import Region, Repeat, Routed
from mansard.ir.rewrite import Rewritten, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.layers import cut, enclosed, filled, longest, part, trips
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass
from mansard.passes.written_numbers import shares, whole_numbers


@dataclass(frozen=True)
class ExitEarly(Pass):
    """Let a share of the tokens leave after given layers.

    A token reaches the layers after exit ``j`` with probability ``q_j = Π (1 - rate)``: their work
    and cache traffic are multiplied by ``q_j``, their weights are read with ``1 - (1-q_j)^T``,
    so a batch saves less than its tokens do. Each exit asks a head: the whole lm_head and a softmax
    over the vocabulary, or a classifier of one row. Later tokens attend to every layer, so the keys
    and values of layers that were left out are made from the state that left (``kv=copy``), work
    ``2·2·T·(1-q)·h·K·d`` a layer.
    """

    name = "exit-early"
    example = "after=[2] rates=[0.5]"
    removes = "layers of tokens that left"
    noun = "exit"
    source = "[Schuster 2022, §3; Elhoushi 2024]"
    assumes = (
        "tokens of a step leave independently; each exit's rate is of those that reached it",
        "layers count from the first of the longest run",
    )
    omits = ("what leaving does to the model's answers", "waiting of a batch for its last token")

    after: tuple[str, ...] = option((), "layers after which tokens may leave, ascending")
    rates: tuple[str, ...] = option((), "share that leaves at each exit, of those that reach it")
    head: str = option("softmax", "what decides", choices=("softmax", "classifier", "none"))
    kv: str = option("copy", "keys and values of skipped layers", choices=("copy", "skip"))

    def __post_init__(self) -> None:
        super().__post_init__()
        exits, rates = self._exits
        if not exits or len(exits) != len(rates):
            raise SpecError(
                f"exit-early: {len(exits)} exits and {len(rates)} rates",
                hint="write after=[8 16] rates=[0.2 0.3], one rate an exit",
            )
        if list(exits) != sorted(set(exits)) or exits[0] == 0:
            raise SpecError(f"exit-early: exits after {exits}", hint="ascending, from 1")

    @property
    def _exits(self) -> tuple[tuple[int, ...], tuple[Expr, ...]]:
        return whole_numbers(self.after, "exit-early: after"), shares(
            self.rates, "exit-early: rates"
        )

    def run(self, program: Program) -> Outcome:
        """Route; other phases of a graph that is routed in one name the same layers alike."""
        outcome = super().run(program)
        if not self.phase or outcome.program is program:
            return outcome
        base = program.graph(self.on)
        at = tuple(trips(longest(base, self.name), n, self.name) for n in self._exits[0])
        return replace(outcome, program=outcome.program.with_graph(
            self.on, cut(base, self.name, at)))  # fmt: skip

    def transform(self, graph: Graph) -> Rewritten:
        """Cut the longest run at the exits; what follows each is routed."""
        exits, rates = self._exits
        if not any(rates):
            return Rewritten(graph, len(exits))
        old = longest(graph, self.name)
        cuts = [trips(old, n, self.name) for n in exits]
        if cuts[-1] >= int(old.trips):
            raise SpecError(f"exit-early: after layer {exits[-1]} nothing is left to skip",
                            hint="exit earlier")  # fmt: skip
        why = f"{self.name}: sure tokens leave {self.source}"
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        first = finish(part(old, 0, cuts[0]).explained(why), fresh_name(old.out.name, taken))
        made: list[Op] = [first]
        rest = old.ins[1:]
        x, reach = first.out, sp.S.One
        for k, (at, rate) in enumerate(zip(cuts, rates, strict=True)):
            reached, reach = reach, reach * (1 - rate)
            end = cuts[k + 1] if k + 1 < len(cuts) else int(old.trips)
            name = f"{old.name}.exit_{exits[k]}"
            asked = self._head(graph, x, name, taken, why)
            if asked and reached != 1:
                asked = [_routed(asked, (x,), asked[-1].outs, reached, name, taken, why)]
            made += asked
            sure = tuple(op.outs[0] for op in asked[-1:])
            later = replace(part(old, at, end - at), ins=(x, *rest))
            inner = finish(later.explained(why), old.out.name)
            onward = _routed(
                [inner], (x, *rest, *sure), inner.outs, reach, f"{name}.on", taken, why
            )
            made.append(onward)
            if self.kv == "copy":
                made += _filled(later, (x, *rest), 1 - reach, name, taken, why)
            x = onward.out
        swapped = {old.outs[0]: x, **dict(zip(old.outs[1:], rest, strict=False))}
        return Rewritten(verify(rebuild(graph, edits={old: made}, swapped=swapped)), len(exits))

    def _head(self, graph: Graph, x: Value, name: str, taken: set[str], why: str) -> list[Op]:
        """Return the ops that decide whether a token is sure."""
        if self.head == "none":
            return []
        rows = finish(LastRows(x, because=(why,)), fresh_name(f"{name}.rows", taken))
        width = x.shape[-1]
        if self.head == "classifier":
            kind = TensorType((sp.S.One, width), x.encoding.plain, "weight", f"{name}.classifier")
            weight = Value(f"{name}.classifier", kind)
            return [rows, finish(Linear(rows.out, weight, because=(why,)), fresh_name(name, taken))]
        head = next((op for op in reversed(graph.ops) if type(op) is Linear), None)
        if head is None or head.w.shape[1] != width:
            raise SpecError("exit-early: no lm_head fits the layers", hint="write head=classifier")
        scores = finish(
            Linear(rows.out, _leaf(graph, head.w), because=(why,)),
            fresh_name(f"{name}.logits", taken),
        )
        sure = finish(Softmax(scores.out, because=(why,)), fresh_name(name, taken))
        return [rows, scores, sure]

    def describe(self, before: Graph, after: Graph) -> str:
        """Say where."""
        return ", ".join(f"{r:.0%} leave after {n}" for n, r in
                         zip(self.after, map(float, self.rates), strict=True))  # fmt: skip


def _leaf(graph: Graph, w: Value) -> Value:
    owner = graph.producers.get(w)
    return w if owner is None else owner.operands[0]


def _routed(
    ops: list[Op], ins: tuple[Value, ...], outs: tuple[Value, ...], share: Expr, name: str,
    taken: set[str], why: str,
) -> Region:  # fmt: skip
    region = Routed(enclosed(ops, ins, outs), ins, share, T, name=name)
    done = finish(region.explained(why), fresh_name(name, taken))
    assert isinstance(done, Region)
    return done


def _filled(
    later: Repeat, ins: tuple[Value, ...], share: Expr, name: str, taken: set[str], why: str
) -> list[Op]:
    """Return the region that fills the caches of layers a token left out, if they have any."""
    body = filled(later.body)
    if share == 0 or not drop_dead(body).ops:
        return []
    inner = finish(replace(later, body=body, outs=()).explained(why), later.name or "fill")
    return [_routed([inner], ins, inner.outs, share, f"{name}.fill", taken, why)]

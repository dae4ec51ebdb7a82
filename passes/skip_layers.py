"""Layers that not every token runs, or none does."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import T, expr
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.program import Program
from mansard.ir.region import Repeat, Routed
from mansard.ir.rewrite import Rewritten, rebuild
from mansard.ir.value import Value
from mansard.ir.verify import verify
from mansard.passes.layers import cut, enclosed, longest, part, trips, without_deepest
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass
from mansard.passes.written_numbers import exact


@dataclass(frozen=True)
class SkipLayers(Pass):
    """Leave out ``layers`` layers, for all tokens or for the share that does not ``run`` them.

    All tokens: the layers' work, weights and caches vanish (layer pruning), so costs of the rest
    are the same to the byte. A share ``q`` runs them: work and cache traffic times ``q``, weights
    ``1 - (1-q)^T``, all of them stored [Del Corro 2023; Elhoushi 2024].
    """

    name = "skip-layers"
    example = "layers=1"
    identity = "layers=0"
    removes = "layers that are skipped"
    noun = "layer"
    source = "[Gromov 2024; Del Corro 2023; Elhoushi 2024]"
    assumes = (
        "layers of one run are alike, so it does not matter which of them are left out",
        "tokens that skip do so independently",
    )
    omits = ("what fewer layers do to the model's answers", "layers outside the longest run")

    layers: int = option(0, "layers that may be skipped, the deepest of the longest run", least=0)
    run_share: float = option(
        0.0, "share of the tokens that run them all the same", least=0, most=1
    )

    def run(self, program: Program) -> Outcome:
        """Skip; none, or run by all, is the input."""
        if not self.layers or self.run_share == 1:
            said = "run-share=1 runs all" if self.layers else "no layer is skipped; give layers=…"
            return Outcome(program, 0, notes=(Note("M022", f"{self.name}: {said}"),))
        outcome = super().run(program)
        if not self.phase or outcome.program is program:
            return outcome
        base = program.graph(self.on)
        run = longest(base, self.name)
        at = int(run.trips) - trips(run, self.layers, self.name)
        return replace(outcome, program=outcome.program.with_graph(
            self.on, cut(base, self.name, (at,))))  # fmt: skip

    def transform(self, graph: Graph) -> Rewritten:
        """Shorten the longest run, and route a share through the rest."""
        why = f"{self.name}: tokens leave layers out {self.source}"
        if not self.run_share:
            return Rewritten(without_deepest(graph, self.layers, self.name, why), self.layers)
        old = longest(graph, self.name)
        skipped = trips(old, self.layers, self.name)
        kept = int(old.trips) - skipped
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        made: list[Op] = []
        ins = old.ins
        if kept:
            made.append(finish(part(old, 0, kept).explained(why), fresh_name(old.out.name, taken)))
            ins = made[-1].outs + old.ins[len(made[-1].outs) :]
        inner = finish(replace(part(old, kept, skipped), ins=ins).explained(why), old.out.name)
        body = enclosed([inner], ins, inner.outs)
        region = Routed(body, ins, exact(self.run_share), T, name=f"{old.name}.skipped")
        made.append(finish(region.explained(why), fresh_name(f"{old.out.name}.skipped", taken)))
        swapped: dict[Value, Value] = dict(zip(old.outs, made[-1].outs, strict=True))
        return Rewritten(verify(rebuild(graph, edits={old: made}, swapped=swapped)), self.layers)

    def describe(self, before: Graph, after: Graph) -> str:
        """Say how many layers."""
        share = f", run by {self.run_share:g} of the tokens" if self.run_share else ""
        return f"{self.layers} layers skipped{share}"

    def counts(self, op: Op) -> bool:
        """The runs."""
        return isinstance(op, Repeat) and op.trips != expr(0)

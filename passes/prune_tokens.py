"""Dropping tokens of a prompt at a layer: visual, audio or text tokens that matter little."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten, rebuild
from mansard.ir.trim import Trim
from mansard.ir.verify import verify
from mansard.passes.layers import enclosed, longest, part, trips
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass
from mansard.passes.written_numbers import exact


@dataclass(frozen=True)
class PruneTokens(Pass):
    """Drop ``D`` of a prompt's tokens after a layer: later layers never see them.

    Of ``n`` tokens so far, later layers have ``n - least(n, D)``: a prefill of ``N`` costs them
    linears of ``N - D`` rows and the attention of as many, and every decode step reads a cache
    shorter by ``D``. ``D`` is what ``keep`` leaves of ``tokens``, those of an image (576 in
    LLaVA-1.5), of a recording, or of a long document.
    """

    name = "prune-tokens"
    example = "tokens=64 layer=1"
    identity = "tokens=0"
    removes = "later layers of the dropped tokens"
    noun = "token"
    source = "[Chen 2024 FastV, §4]"
    assumes = (
        "the dropped tokens count as the first of their prompt",
        "layers count from the first of the longest run",
    )
    omits = (
        "ranking tokens by the attention they got, a sum a token",
        "the rows that the last norm does not see",
        "what dropped tokens do to the model's answers",
    )

    tokens: int = option(0, "tokens of a prompt that may be dropped", least=0, unit="tokens")
    keep: float = option(0.5, "share of them that is kept", least=0, most=1)
    layer: int = option(2, "layers that see all of them", least=0)

    @property
    def dropped(self) -> int:
        """Tokens that are dropped: all but the kept share, rounded to whole tokens."""
        return self.tokens - int(sp.floor(exact(self.keep) * self.tokens + sp.Rational(1, 2)))

    def run(self, program: Program) -> Outcome:
        """Drop; none is the input."""
        if self.phase:
            raise SpecError("prune-tokens: what a prefill drops is not there in decode",
                            hint="leave phase out")  # fmt: skip
        if not self.tokens:
            said = f"{self.name}: tokens is 0, so nothing is dropped; say how many may be"
            return Outcome(program, 0, notes=(Note("M022", said),))
        return Outcome(program, 0) if not self.dropped else super().run(program)

    def transform(self, graph: Graph) -> Rewritten:
        """Put the layers after ``layer`` into a region that fewer tokens reach."""
        why = f"{self.name}: later layers see fewer tokens {self.source}"
        old = longest(graph, self.name)
        first = trips(old, self.layer, self.name)
        if first == int(old.trips):
            raise SpecError(f"prune-tokens: no layer follows layer {self.layer}",
                            hint="drop tokens earlier")  # fmt: skip
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        made: list[Op] = []
        ins = old.ins
        if first:
            made.append(finish(part(old, 0, first).explained(why), fresh_name(old.out.name, taken)))
            ins = (*made[-1].outs, *old.ins[len(made[-1].outs) :])
        rest = replace(part(old, first, int(old.trips) - first), ins=ins)
        inner = finish(rest.explained(why), old.out.name)
        body = enclosed([inner], ins, inner.outs)
        region = Trim(body, ins, sp.Integer(self.dropped), name=f"{old.name}.trimmed")
        made.append(finish(region.explained(why), fresh_name(f"{old.out.name}.trimmed", taken)))
        swapped = dict(zip(old.outs, made[-1].outs, strict=True))
        return Rewritten(verify(rebuild(graph, edits={old: made}, swapped=swapped)), self.dropped)

    def describe(self, before: Graph, after: Graph) -> str:
        """Say how many, and where."""
        return f"{self.dropped} of {self.tokens} tokens dropped after {self.layer} layers"

"""Flash-decoding: the keys of a short query are split over the chip, and the parts merged."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Values
from mansard.ir.ops.partial_values import MergePartials, PartialValues
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.value import Value
from mansard.ir.verify import verify
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass


@dataclass(frozen=True)
class SplitDecodeAttention(Pass):
    """Let ``splits`` groups of keys be attended to side by side, and merge what they made.

    Adds ``2·B·heads·splits·(d+2)·4`` bytes a decode step and layer: each group's output with its
    maximum and sum, in fp32, is written and read once; and the merge's arithmetic. Steps of
    ``splits`` or more new tokens fill the chip by themselves and are not split.
    """

    name = "split-decode-attention"
    identity = "splits=1"
    noun = "attention"
    source = "[Dao 2023 decoding]"
    assumes = ("a chip's full bandwidth is reached with or without it: the bound is not below one",)
    omits = ("how few blocks a small batch fills, which is what splitting is for",)

    splits: int = option(8, "groups of keys", least=1, most=1024)

    def run(self, program: Program) -> Outcome:
        """Split; one group is the input."""
        return Outcome(program, 0) if self.splits == 1 else super().run(program)

    def transform(self, graph: Graph) -> Rewritten:
        """Split the product with values of every attention that is whole."""
        found = 0

        def one(body: Graph) -> Graph:
            nonlocal found
            edits: dict[Op, list[Op]] = {}
            swapped: dict[Value, Value] = {}
            taken = {v.name for v in (*body.inputs, *body.producers)}
            for op in body.ops:
                if isinstance(op, Values) and getattr(op, "splits", 1) == 1:
                    edits[op] = self._split(op, taken)
                    swapped[op.out] = edits[op][-1].out
            found += len(edits)
            return rebuild(body, edits=edits, swapped=swapped) if edits else body

        changed = everywhere(graph, one)
        return Rewritten(graph if changed is graph else verify(changed), found)

    def _split(self, op: Values, taken: set[str]) -> list[Op]:
        why = f"{self.name}: splits keys over the chip {self.source}"
        n = sp.Integer(self.splits)
        made = PartialValues(
            op.p, op.v, op.rows, op.mask, op.sweeps, getattr(op, "width", None), n,
            name=op.name, device=op.device, kernel=op.kernel, because=(*op.because, why),
        )  # fmt: skip
        part = finish(made, fresh_name(f"{op.out.name}.partial", taken))
        merge = MergePartials(part.out, op.p.shape[1], n, device=op.device, because=(why,))
        done = finish(merge, fresh_name(f"{op.out.name}.merged", taken))
        return [part, replace(done, name=f"{op.name}.merge")]

    def counts(self, op: Op) -> bool:
        """One attention a merge."""
        return isinstance(op, MergePartials)

"""A smaller vocabulary: logits, or logits and embeddings, of frequent tokens alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.ir.op import Op
from mansard.ir.ops import Embedding, Linear
from mansard.ir.rewrite import Rewritten, retype
from mansard.passes.written_numbers import exact

LOGITS = "logits"
"""The output of a head over a vocabulary."""


@dataclass(frozen=True)
class TrimVocabulary(ms.Pass):
    """Keep a share of the vocabulary: the head has ``h·V`` weights and ``2·R·h·V`` FLOP.

    ``of=head`` keeps every embedding, so any prompt can be read but only frequent tokens proposed:
    with ``on=draft`` the draft of speculative decoding ranks those (FR-Spec). ``of=both`` is a
    model for fewer languages. A head tied to its table is trimmed only together with it.
    """

    name = "trim-vocabulary"
    noun = "matrix"
    source = "[Zhao 2025 FR-Spec; Ushio 2023]"
    example = "keep=0.25 of=both"
    identity = "keep=1"
    removes = "logits of tokens that are left out"
    assumes = ("the kept rows of the head lie side by side",)
    omits = ("tokens nobody can write any more", "mapping the kept tokens back")

    keep: float = ms.option(1.0, "share of the vocabulary that is kept", least=0, most=1)
    of: str = ms.option("head", "what is trimmed", choices=("head", "both"))

    def run(self, program: ms.Program) -> ms.Outcome:
        """Trim; all of it is the input."""
        return ms.Outcome(program, 0) if self.keep == 1 else super().run(program)

    def transform(self, graph: ms.Graph) -> Rewritten:
        """Shorten the head, and the table of embeddings with it where that is asked."""
        tables = {op.w for op in graph.ops if isinstance(op, Embedding)}
        makers = [op for op in graph.ops if isinstance(op, Linear) and op.w.storage
                  and op.out in graph.outputs and op.out.name == LOGITS]  # fmt: skip
        heads = {op.w for op in makers}
        rows = {head.shape[0] for head in heads}
        chosen = {head for head in heads if self.of == "both" or head not in tables}
        chosen |= {op.bias for op in makers if op.bias is not None and op.w in chosen}
        if self.of == "both":
            chosen |= {table for table in tables if table.shape[0] in rows}
        if not chosen:
            return Rewritten(graph, 0)

        def shorter(leaf: ms.Value) -> ms.TensorType:
            if leaf not in chosen:
                return leaf.type
            size = leaf.shape[0] * exact(self.keep)
            kept = -sp.floor(-size)
            return replace(leaf.type, shape=(kept, *leaf.shape[1:]))

        return Rewritten(retype(graph, shorter), len(chosen))

    def describe(self, before: ms.Graph, after: ms.Graph) -> str:
        """Say how many entries are left."""
        left, all_ = (g.output(LOGITS).shape[-1] for g in (after, before))
        return f"{left} of {all_} tokens"

    def counts(self, op: Op) -> bool:
        """Products and look-ups of the vocabulary."""
        return isinstance(op, (Linear, Embedding))

"""Low-rank attention: keys and values of many tokens projected to a few."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.symbols import Expr
from mansard.ir.builder import fresh_name
from mansard.ir.cost import MATRIX
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append, Scores, Values
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.verify import verify
from mansard.passes.labels import source


class ProjectTokens(ms.Op):
    """``y[b, h, r, d] = Σ_t e[r, t]·x[b, h, t, d]``: ``rank`` mixtures of all tokens.

    FLOP  2·rank·|x|      a multiply and an add for each (mixture, element)   [Wang 2020, eq. 7]
    B     |x| + rank·tokens of the projection + |y|

    Args:
        x: ``[B, kv_heads, tokens, d]``.
        e: ``[rank, most]``: a column for each of the most tokens it was trained for, of which as
            many are read as there are tokens.
    """

    kind = "project_tokens"
    x: ms.Value
    e: ms.Value

    def infer(self) -> tuple[ms.TensorType, ...]:
        """``[B, kv_heads, rank, d]``."""
        b, heads, _, d = self.x.shape
        return (ms.TensorType((b, heads, self.e.shape[0], d), self.x.encoding.plain),)

    def cost(self) -> ms.Cost:
        """See the class."""
        rank, tokens = self.e.shape[0], self.x.shape[2]
        whole = self.streamed(2 * rank * self.x.numel, unit=MATRIX)
        column = self.e.bytes / self.e.shape[1]
        return replace(whole, reads={**whole.reads, self.e: column * tokens})

    def dims(self) -> dict[str, Expr | str]:
        """Rank and tokens."""
        return {"rank": self.e.shape[0], "tokens": self.x.shape[2]}


@dataclass(frozen=True)
class LowRankAttention(ms.Pass):
    """Attend to ``rank`` mixtures of the keys and values in place of all of them (Linformer).

    ``4·heads·S·rank·d`` FLOP in place of ``4·heads·S²·d``, and ``2·2·kv_heads·S·rank·d`` to
    project. A mixture of all tokens sees the future, so only attention without a mask and without
    a cache is changed: encoders.
    """

    name = "low-rank-attention"
    noun = "attention"
    source = "[Wang 2020; Zhou 2024, §5.1.2]"
    example = "rank=64 tokens=4096"
    removes = "pairs of queries and keys, beyond the mixtures"
    assumes = ("a layer's heads share one projection of keys and one of values",)
    omits = ("training the model for it",)

    rank: int = ms.option(256, "mixtures", least=1)
    tokens: int = ms.option(0, "longest input the projections are made for; 0: the model's own",
                            least=0, unit="tokens")  # fmt: skip

    def run(self, program: ms.Program) -> ms.Outcome:
        """Change attention; projections are as long as the longest input."""
        sized = replace(self, tokens=self.tokens or program.origin.max_context or 0)
        return super(LowRankAttention, sized).run(program)

    def transform(self, graph: ms.Graph) -> Rewritten:
        """Project in front of every attention without mask and cache."""
        found = 0

        def one(body: ms.Graph) -> ms.Graph:
            nonlocal found
            edits: dict[Op, list[Op]] = {}
            taken = {v.name for v in (*body.inputs, *body.producers)}
            for values in body.ops:
                scores = _unmasked(body, values)
                if scores is not None and isinstance(values, Values):
                    found += 1
                    edits[scores] = self._projected(scores, scores.k, "k", taken)
                    edits[values] = self._projected(values, values.v, "v", taken)
            return rebuild(body, edits=edits) if edits else body

        done = everywhere(graph, one)
        return Rewritten(done if done is graph else verify(done), found)

    def _projected(self, op: Op, old: ms.Value, what: str, taken: set[str]) -> list[Op]:
        why = f"{self.name}: mixtures of tokens {self.source}"
        where = op.name.rpartition(".")[0] or "layers"
        storage = f"{where}.{{i}}.{what}_projection" if where == "layers" else f"{where}.{what}_mix"
        shape = (sp.Integer(self.rank), self._most(old.shape[2]))
        kind = ms.TensorType(shape, old.encoding.plain, "weight", storage)
        made = ProjectTokens(old, ms.Value(storage, kind), because=(why,))
        done = finish(made, fresh_name(f"{op.out.name}.{what}", taken))
        after = op.with_operands({old: done.out}).explained(why)
        return [replace(done, name=f"{op.name}.{what}_projection"), after]

    def _most(self, tokens: Expr) -> Expr:
        """Return how many tokens a projection is made for: those there are, where that is fixed."""
        if tokens.is_Integer:
            return tokens
        if not self.tokens:
            raise ms.MansardError("low-rank-attention: how long inputs may be is not known",
                                  hint="write tokens=…, the longest")  # fmt: skip
        return sp.Integer(self.tokens)

    def counts(self, op: Op) -> bool:
        """One attention a product with keys."""
        return isinstance(op, Scores)


def _unmasked(body: ms.Graph, values: Op) -> Scores | None:
    if not isinstance(values, Values):
        return None
    owner = body.producers.get(values.p)
    while owner is not None and not isinstance(owner, Scores):
        owner = body.producers.get(owner.operands[0])
    if owner is None or owner.mask.kind != "full":
        return None
    cached = any(isinstance(source(body, v)[0], Append) or v.role == "cache"
                 for v in (owner.k, values.v))  # fmt: skip
    return None if cached else owner

"""Linear attention: a state of fixed size in the place of a cache that grows."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as changed

import sympy as sp

import mansard as ms
from mansard.core.symbols import B, Expr
from mansard.ir.builder import fresh_name
from mansard.ir.graph import drop_dead
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append, Join, Scores, Values
from mansard.ir.ops.recurrent import LinearAttention
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.verify import verify


@dataclass(frozen=True)
class LinearAttentionSwap(ms.Pass):
    """Compute ``φ(q)·(φ(K)ᵀV)`` in place of ``softmax(q·Kᵀ)·V``: the context is a matrix a head.

    ``4·T·heads·φ·d`` FLOP through the state whatever the context, besides a block's own products;
    each step reads and writes ``B·heads·φ·d`` of state in place of the keys and values so far. It
    pays once the context is longer than ``φ``, the features of a head. Layers whose keys come from
    a cache that grows are swapped; windows stay.
    """

    name = "linear-attention"
    noun = "attention"
    source = "[Katharopoulos 2020; Zhou 2024, eq. 5]"
    removes = "scores with every earlier token"
    assumes = ("queries and keys become features in the kernel that makes them",)
    omits = ("the normalizer, a vector a head", "training the model for it")

    features: int = ms.option(0, "of a head; 0: as many as it is wide", least=0)
    chunk: int = ms.option(256, "longest block of a prefill", least=1)

    def transform(self, graph: ms.Graph) -> Rewritten:
        """Swap every attention over a growing cache."""
        found = 0

        def one(body: ms.Graph) -> ms.Graph:
            nonlocal found
            edits: dict[Op, list[Op]] = {}
            swapped: dict[ms.Value, ms.Value] = {}
            gone: dict[Op, list[Op]] = {}
            taken = {v.name for v in (*body.inputs, *body.producers)}
            for values in body.ops:
                pair = _attention(body, values)
                if isinstance(values, Values) and pair is not None:
                    made = self._swapped(values, *pair, taken)
                    edits[values] = list(made)
                    swapped[values.out] = made[-1].out
                    gone |= {append: [] for append in pair[1:]}
            found += len(edits)
            if not edits:
                return body
            linear = drop_dead(rebuild(body, edits=edits, swapped=swapped))
            left = {op: v for op, v in gone.items() if op in linear.ops}
            return rebuild(linear, edits=left)

        done = everywhere(graph, one)
        return Rewritten(done if done is graph else verify(done), found)

    def _swapped(
        self, values: Values, scores: Scores, keys: Append, rows: Append, taken: set[str]
    ) -> tuple[Op, ...]:
        why = f"{self.name}: a state in place of the cache {self.source}"
        width = values.v.shape[3]
        phi: Expr = sp.Integer(self.features) if self.features else scores.k.shape[3]
        kind = ms.TensorType((B, scores.heads, phi, width), scores.q.encoding.plain, "state",
                             f"{keys.cache.storage}.linear")  # fmt: skip
        name = values.out.name
        flat = (scores.q, keys.x, rows.x)
        joined = finish(Join(flat, 1), fresh_name(f"{name}.qkv", taken))
        op = LinearAttention(joined.out, ms.Value(kind.storage, kind), chunk=sp.Integer(self.chunk),
                             device=values.device, because=(*values.because, why))  # fmt: skip
        done = finish(op, fresh_name(f"{name}.linear", taken))
        return joined, changed(done, name=values.name)

    def counts(self, op: Op) -> bool:
        """One attention a state."""
        return isinstance(op, LinearAttention)


def _attention(body: ms.Graph, values: Op) -> tuple[Scores, Append, Append] | None:
    """Return the scores of a product with values, and what appends its keys and its values."""
    if not isinstance(values, Values):
        return None
    owner = body.producers.get(values.p)
    while owner is not None and not isinstance(owner, Scores):
        owner = body.producers.get(owner.operands[0])
    if owner is None or owner.mask.kind != "causal":
        return None
    appended = [body.producers.get(v) for v in (owner.k, values.v)]
    flat = all(isinstance(a, Append) and len(a.x.shape) == 2 for a in appended)
    if not flat or len(owner.q.shape) != 2:
        return None
    keys, rows = appended
    assert isinstance(keys, Append)
    assert isinstance(rows, Append)
    return owner, keys, rows

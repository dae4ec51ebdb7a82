"""Latent attention with its expansion absorbed into queries and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mansard.core.dtypes import Encoding
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, product
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    BlockLinear,
    Dequantize,
    Join,
    Linear,
    Quantize,
    Reshape,
    Scores,
    Slice,
    Transpose,
    Values,
)
from mansard.ir.ops.partial_values import MergePartials, PartialValues
from mansard.ir.pattern import Match
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten, Rule, everywhere, rebuild
from mansard.ir.value import Value
from mansard.ir.verify import verify
from mansard.passes.attentions import scores_of
from mansard.passes.decoding import repeated
from mansard.passes.fuse_elementwise import joining
from mansard.passes.labels import relabelled, source
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass

WHY = "(q·W_k)·c = q·(W_k·c): the latent is attended to as it lies [DeepSeek-AI 2024 V2, §2.1.2]"


BOTH = "both"
"""The value of ``phase`` that means all of them."""


@dataclass(frozen=True)
class Expanded:
    """Scores and values of keys that one linear expands from a cached latent."""

    def find(self, op: Op, graph: Graph) -> Match | None:
        """Return the match at the product with values, or nothing."""
        if not isinstance(op, Values) or getattr(op, "width", None) is not None:
            return None
        expand, _ = source(graph, op.v)
        scores = scores_of(graph, op)
        if not isinstance(expand, Linear) or scores is None:
            return None
        join, views = _joined(graph, scores.k)
        if join is None or len(join.xs) != 2 or source(graph, join.xs[1])[0] is not expand:
            return None
        if _latent(graph, expand) is None or expand.bias is not None:
            return None
        return Match(graph, (expand, *views, scores, op), {})


@dataclass(frozen=True)
class AbsorbMla(Pass):
    """Attend to cached latents directly instead of expanding them for every head.

    The key half of ``kv_b`` is multiplied with the queries and the value half with the outputs:
    ``2·T·heads·nope·rank`` and ``2·T·heads·rank·v`` for the step's tokens in the place of
    ``2·B·(P+S)·rank·heads·(nope+v)`` for all of them; scores take ``2·B·heads·pairs·(rank+rope)``,
    values ``2·B·heads·pairs·rank``, and one kernel reads a latent once for every head. So a pair
    costs more and a cached token less: decode gains and a prefill, whose pairs are many, loses.
    Only decode absorbs therefore, on a variant that shares every weight, unless ``phase`` says
    otherwise. Of a ``kv_b`` stored narrow, each half is decoded or multiplied as the whole was.
    """

    name = "absorb-mla"
    removes = "expanding the cached latents in every step"
    noun = "attention"
    source = "[DeepSeek-AI 2024 V2, §2.1.2]"
    assumes = ("the halves of kv_b are read in place: products of heads with parts of one matrix",)
    omits = ("absorbing once and storing the larger product",)

    phase: str = option("decode", "the phase that absorbs: decode, prefill, …, or both")

    def run(self, program: Program) -> Outcome:
        """Absorb on the variant of a phase, or in every graph that every phase calls."""
        if self.phase == BOTH:
            return replace(self, phase="").run(program)
        outcome = super().run(program)
        if outcome.matches or not any(map(_expands, map(program.graph, self._graphs(program)))):
            return outcome
        text = "another technique rewrote the product that expands the latents"
        note = Note("M020", f"{self.name}: {text}; put {self.name} before it")
        return replace(outcome, notes=(note,))

    def rules(self) -> Sequence[Rule]:
        """Find the pattern the frontend writes."""
        return (Rule(Expanded(), _absorbed, because=WHY),)

    def transform(self, graph: Graph) -> Rewritten:
        """Absorb; what quantizes the new products' inputs does so where quantize would have."""
        done = super().transform(graph)
        epilogues = any(isinstance(op, Quantize) and op.kernel for op, _ in graph.walk())
        if done.graph is graph or not epilogues:
            return done
        return replace(done, graph=verify(everywhere(done.graph, self._epilogues)))

    def _epilogues(self, graph: Graph) -> Graph:
        why = f"{self.name}: {WHY}"
        labels = joining(graph, lambda op: isinstance(op, Quantize) and why in op.because)
        return rebuild(graph, edits=relabelled(graph, labels, why)) if labels else graph

    def counts(self, op: Op) -> bool:
        """One attention a product with values."""
        return isinstance(op, PartialValues)


def _expands(graph: Graph) -> bool:
    """Whether keys of one head for all, and of every head, lie side by side: latent attention."""
    joins = (_joined(graph, op.k)[0] for op in graph.ops if isinstance(op, Scores))
    if any(j is not None and j.xs[0].shape[1] == 1 != j.out.shape[1] for j in joins):
        return True
    return any(_expands(body) for op in graph.ops for body in op.bodies)


def _latent(graph: Graph, expand: Linear) -> Slice | None:
    """Return the cached latent that a linear expands, quantized for the product or not."""
    owner = graph.producers.get(expand.x)
    if isinstance(owner, Quantize):
        owner = graph.producers.get(owner.x)
    return owner if isinstance(owner, Slice) else None


def _joined(graph: Graph, value: Value) -> tuple[Join | None, tuple[Op, ...]]:
    """Return the join that keys come from, and the ops from it on."""
    passed: list[Op] = []
    owner = graph.producers.get(value)
    while owner is not None and not isinstance(owner, Join):
        passed.append(owner)
        if not isinstance(owner, Dequantize) and not owner.is_view:
            return None, ()
        owner = graph.producers.get(owner.operands[0])
    return (owner, (owner, *reversed(passed))) if isinstance(owner, Join) else (None, ())


def _absorbed(m: Match) -> None:
    graph = m.graph
    expand = next(op for op in m.ops if isinstance(op, Linear))
    scores = next(op for op in m.ops if isinstance(op, Scores))
    values = m.ops[-1]
    assert isinstance(values, Values)
    join, _ = _joined(graph, scores.k)
    latent = _latent(graph, expand)
    assert join is not None
    assert latent is not None
    heads, rank = scores.heads, latent.size
    rope, nope, wide = (*(x.shape[3] for x in join.xs), values.v.shape[3])
    name = scores.name.rpartition("scores")[0]

    q = _heads(m, scores.q, heads, f"{name}q")
    turned = m.add(Slice(q, 2, 0, rope), f"{name}q_turned")
    plain = _flat(m, m.add(Slice(q, 2, rope, nope), f"{name}q_plain"), f"{name}q_plain_flat")
    w_k = _half(m, expand, (0, nope), f"{name}kv_b_proj.keys", turn=False)
    inner = m.add(_product(m, expand, plain, w_k, f"{name}absorb_q"), f"{name}absorb_q")
    both = m.add(Join((turned, _heads(m, inner, heads, f"{name}q_latent")), 2), f"{name}q_both")
    query = _flat(m, both, f"{name}q_absorbed")
    keys, label = _decoded(m, latent.x, scores)
    m.swap(scores, replace(scores, q=query, k=keys, outs=(), kernel=label))

    splits = getattr(values, "splits", 1)
    latents, label = _decoded(m, latent.x, values)
    out = m.add(
        PartialValues(values.p, latents, values.rows, values.mask, values.sweeps, rank, splits,
                      name=values.name, device=values.device, kernel=label,
                      because=values.because),
        f"{name}latent_values",
    )  # fmt: skip
    last: Op = values
    for merge in graph.uses[values.out]:
        if isinstance(merge, MergePartials):  # of split keys: latents are merged, then expanded
            last, out = merge, m.add(replace(merge, x=out, outs=()), f"{name}latent_merge")
    w_v = _half(m, expand, (nope, wide), f"{name}kv_b_proj.values", turn=True)
    made = _product(m, expand, out, w_v, f"{name}absorb_values")
    m.swap(last, replace(made, name=f"{name}absorb_values"))


def _heads(m: Match, x: Value, heads: Expr, name: str) -> Value:
    """``[*rows, heads·d]`` → ``[rows, heads, d]``."""
    rows = product(x.shape[:-1])
    return m.add(Reshape(x, (rows, heads, x.shape[-1] / heads)), f"{name}_heads")


def _flat(m: Match, x: Value, name: str) -> Value:
    """``[rows, heads, d]`` → ``[rows, heads·d]``."""
    return m.add(Reshape(x, (x.shape[0], x.shape[1] * x.shape[2])), name)


def _half(
    m: Match, expand: Linear, part: tuple[Expr | int, Expr], name: str, *, turn: bool
) -> Value:
    """Return a half of ``kv_b`` as one matrix a head: views of the leaf as it is stored."""
    decoder = m.graph.producers.get(expand.w)
    leaf = decoder.x if isinstance(decoder, Dequantize) else expand.w
    shaped = next(u for u in m.graph.uses[expand.out] if isinstance(u, Reshape))
    heads, each = shaped.shape[-2:]
    rows = m.add(Reshape(leaf, (heads, each, leaf.shape[1])), f"{name}.heads")
    half = m.add(Slice(rows, 1, *part), f"{name}.rows")
    return m.add(Transpose(half, (0, 2, 1)), f"{name}.turned") if turn else half


def _product(m: Match, expand: Linear, x: Value, w: Value, name: str) -> BlockLinear:
    """Return the product with a half, its operands quantized and decoded as ``kv_b``'s were."""
    made = m.graph.producers
    narrow, decoder = made.get(expand.x), made.get(expand.w)
    if isinstance(narrow, Quantize):
        x = m.add(Quantize(x, _per_row(narrow, x)), f"{name}.quantize")
    if not isinstance(decoder, Dequantize):
        return BlockLinear(x, w)
    times = repeated(BlockLinear(x, w), decoder.times)
    kernel = f"{name}.product" if decoder.kernel else ""
    decoded = replace(decoder, x=w, times=times, outs=(), name="", kernel=kernel)
    return BlockLinear(x, m.add(decoded, f"{name}.dequantize"), kernel=kernel)


def _per_row(narrow: Quantize, x: Value) -> Encoding:
    """Return how ``x`` lies narrow: a scale for each row of the latents is one for each row."""
    whole = narrow.to.group == narrow.x.shape[-1]
    return replace(narrow.to, group=int(x.shape[-1])) if whole else narrow.to


def _decoded(m: Match, cache: Value, reader: Scores | Values) -> tuple[Value, str]:
    """Return the cache as arithmetic takes it, decoded in its reader's kernel, and that kernel."""
    if cache.encoding.is_plain:
        return cache, reader.kernel
    label = reader.kernel or reader.out.name
    return m.add(Dequantize(cache, kernel=label), f"{reader.out.name}.dequantize"), label

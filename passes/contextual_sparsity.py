"""Contextual sparsity: predictors say which neurons and which attention heads a token needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import Expr, T
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Activation, Dequantize, GatedActivation, Linear
from mansard.ir.ops.partial_linear import PartialLinear
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.attentions import Attention, attentions
from mansard.passes.labels import source
from mansard.passes.options import option
from mansard.passes.stored_weights import leaves_of
from mansard.passes.technique import Outcome, Pass
from mansard.passes.written_numbers import exact


@dataclass(frozen=True)
class ContextualSparsity(Pass):
    """Compute, of dense feed-forward layers, the neurons each token is predicted to need.

    With a share ``δ`` of the neurons: products cost ``δ`` of their work, and their weights are read
    with ``1 - (1-δ)^T``, since tokens need different neurons: the gain vanishes with the batch. The
    predictor is two thin products, ``2·T·r·(h + f)`` and ``r·(h + f)`` weights.

    With a share ``heads`` of the attention heads: the products that make queries and take outputs
    likewise, scores, softmax and values that share of their work; a sequence reads the KV heads
    that one of its ``S`` queries needs, ``1 - (1-heads)^(S·g)`` of them where ``g`` query heads
    share one. The predictor is ``2·T·r·(h + heads)``.
    """

    name = "contextual-sparsity"
    example = "density=0.5"
    identity = "density=1 heads=1"
    removes = "neurons and heads that a token does not need"
    noun = "layer part"
    source = "[Liu 2023, §3-4; Song 2023]"
    assumes = (
        "tokens need neurons, and heads, independently of each other",
        "keys and values of every head are computed and cached, since later tokens may need them",
    )
    omits = (
        "activations of neurons and heads left out",
        "heads whose queries share one product with keys and values, or are made in two steps",
        "what a wrong prediction does to the model's answers",
    )

    density: float = option(0.2, "share of the neurons a token needs", least=0.001, most=1)
    heads: float = option(1.0, "share of the attention heads a token needs", least=0.001, most=1)
    predictor: int = option(1024, "inner width of the predictor; 0: an oracle", least=0)

    def run(self, program: Program) -> Outcome:
        """Predict; all neurons and all heads is the input."""
        return Outcome(program, 0) if self.density == self.heads == 1 else super().run(program)

    def transform(self, graph: Graph) -> Rewritten:
        """Change the products around each activation."""
        found = 0

        def one(body: Graph) -> Graph:
            nonlocal found
            edits: dict[Op, list[Op]] = {}
            taken = {v.name for v in (*body.inputs, *body.producers)}
            for act in body.ops:
                ups = tuple(dict.fromkeys(_above(body, act)))
                downs = tuple(_below(body, act)) if self.density != 1 else ()
                if len(downs) == 1 and ups and not edits.keys() & {*ups, *downs}:
                    found += 1
                    share, width = exact(self.density), act.outs[0].shape[-1]
                    edits |= self._sparse(body, ups, downs[0], share, width, taken)
            for part in attentions(body) if self.heads != 1 else ():
                if not edits.keys() & {part.query, part.output}:
                    found += 1
                    share, width = exact(self.heads), part.scores.heads
                    edits |= self._sparse(body, (part.query,), part.output, share, width, taken)
                    edits |= self._fewer_pairs(part)
            return rebuild(body, edits=edits) if edits else body

        changed = everywhere(graph, one)
        return Rewritten(graph if changed is graph else verify(changed), found)

    def _sparse(
        self, graph: Graph, ups: tuple[Linear, ...], down: Linear, share: Expr, width: Expr,
        taken: set[str],
    ) -> dict[Op, list[Op]]:  # fmt: skip
        why = self._why
        predicted = self._predicted(graph, ups[0], width, taken, why) if self.predictor else []
        chosen = predicted[-1].out if predicted else None
        edits: dict[Op, list[Op]] = {}
        for op, axis in (*((up, "out") for up in ups), (down, "in")):
            new = PartialLinear(
                op.x, op.w, op.bias, share, T, axis,
                chosen if axis == "out" else None,
                outs=op.outs, name=op.name, device=op.device, kernel=op.kernel, because=op.because,
            )  # fmt: skip
            decoder = graph.producers.get(op.w)
            if isinstance(decoder, Dequantize):
                edits[decoder] = [replace(decoder, share=new.weights_read())]
            edits[op] = [new.explained(why)]
        first = next(op for op in graph.ops if op in edits)
        edits[first] = [*predicted, *edits[first]]
        return edits

    @property
    def _why(self) -> str:
        return f"{self.name}: needed neurons and heads alone {self.source}"

    def _fewer_pairs(self, part: Attention) -> dict[Op, list[Op]]:
        """Return scores and values of which a token needs a share of the heads."""
        return {
            op: [replace(op, mask=replace(op.mask, heads=exact(self.heads))).explained(self._why)]
            for op in (part.scores, part.values)
        }

    def _predicted(
        self, graph: Graph, up: Linear, width: Expr, taken: set[str], why: str
    ) -> list[Op]:
        rank, base = sp.Integer(self.predictor), next(leaves_of(graph, up.w)).storage
        made: list[Op] = []
        x = up.x if up.x.encoding.is_plain else _wide(graph, up.x)
        for half, shape in (("down", (rank, x.shape[-1])), ("up", (width, rank))):
            storage = f"{base}.predictor.{half}"
            leaf = Value(storage, TensorType(shape, x.encoding.plain, "weight", storage))
            name = f"{up.name}.predictor_{half}"
            made.append(finish(Linear(x, leaf, name=name, because=(why,)), fresh_name(name, taken)))
            x = made[-1].out
        return made

    def counts(self, op: Op) -> bool:
        """One layer a product whose inputs are few."""
        return isinstance(op, PartialLinear) and op.axis == "in"


def _wide(graph: Graph, x: Value) -> Value:
    """Return what a quantized activation was made from."""
    owner = graph.producers.get(x)
    return x if owner is None else owner.operands[0]


def _above(graph: Graph, act: Op) -> Iterator[Linear]:
    if isinstance(act, (GatedActivation, Activation)):
        for value in act.operands:
            owner, _ = source(graph, value)
            if type(owner) is Linear:
                yield owner


def _below(graph: Graph, act: Op) -> Iterator[Linear]:
    pending = list(act.outs) if isinstance(act, (GatedActivation, Activation)) else []
    while pending:
        for user in graph.uses.get(pending.pop(), ()):
            if type(user) is Linear:
                yield user
            elif user.is_view or user.kind == "quantize":
                pending.extend(user.outs)

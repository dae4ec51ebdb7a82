"""What narrow weights, activations and caches need: ops that decode and that quantize."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, P, S
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish, same_size
from mansard.ir.ops import (
    BlockLinear,
    Copy,
    Dequantize,
    GroupedLinear,
    Linear,
    Quantize,
    Scores,
    Values,
)
from mansard.ir.region import Repeat
from mansard.ir.rewrite import rebuild
from mansard.ir.value import Value, stored_parts
from mansard.passes.decoding import Product, repeats
from mansard.passes.fuse_elementwise import joining
from mansard.passes.labels import relabelled
from mansard.passes.outlier_features import split_features


@dataclass(frozen=True)
class Conversions:
    """Inserts ops between what lies narrow and what reads it.

    Args:
        weights: whether weights of products were narrowed.
        caches: whether caches were.
        narrow: (product, its input) → how the input lies narrow; nothing where it stays wide.
        outliers: share of input features that a second, wide product takes.
        dequantize: decoding is ``fused`` in the product, ``unfused`` or ``free``.
        tile: rows of a product's tile, for each of which weights are decoded.
        copy: what the storages of a phase's own copy are called besides.
        why: reason.
    """

    weights: bool
    caches: bool
    narrow: Callable[[Op, Value], Encoding | None]
    outliers: Expr
    dequantize: str
    tile: int
    copy: str
    why: str

    def insert(self, graph: Graph) -> Graph:
        """Return a body with what its products and attentions need in front of them."""
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        edits: dict[Op, list[Op]] = {}
        narrow: dict[Value, Op] = {}
        for op in graph.ops:
            new: list[Op]
            if isinstance(op, Repeat) and op.shared and self.copy:
                new = [replace(op, shared=(*op.shared, *(s + self.copy for s in op.shared)))]
            elif isinstance(op, (Linear, GroupedLinear, BlockLinear)) and self.weights:
                new = self._product(op, graph, taken, narrow)
            elif isinstance(op, (Scores, Values)) and self.caches and self.dequantize != "free":
                new = self._attention(op, graph, taken)
            else:
                continue
            if new:
                edits[op] = new
        return self._epilogues(rebuild(graph, edits=edits)) if edits else graph

    def _epilogues(self, graph: Graph) -> Graph:
        """Quantize activations in the kernel that makes them, where it can."""
        if self.dequantize != "fused":
            return graph
        labels = joining(graph, lambda op: isinstance(op, Quantize) and self.why in op.because)
        return rebuild(graph, edits=relabelled(graph, labels, self.why)) if labels else graph

    def _product(
        self, op: Product, graph: Graph, taken: set[str], narrow: dict[Value, Op]
    ) -> list[Op]:
        """Return a product with what must convert its operands in front of it."""
        plain = all(p.encoding.is_plain for p in stored_weights(op.w, graph))
        if plain or _decoded(op.w, graph) or self.why in op.because:
            return []
        to = self.narrow(op, op.x)
        if to is not None:
            new = []
            if op.x not in narrow:
                name = fresh_name(f"{op.name}.quantize", taken)
                narrow[op.x] = finish(Quantize(op.x, to, because=(self.why,)), name)
                new.append(narrow[op.x])
            if self.outliers != 0 and type(op) is Linear:
                tile = self.tile if self.dequantize == "fused" else 0
                x = narrow[op.x].out
                return [*new, *split_features(op, x, self.outliers, tile, taken, self.why)]
            return [*new, replace(op, x=narrow[op.x].out).explained(self.why)]
        if self.dequantize == "free":
            return [op.explained(self.why)]
        fused = self.dequantize == "fused"
        times = repeats(op, self.tile) if fused else 1
        decoded = Dequantize(op.w, times, op.weights_read(), because=(self.why,))
        name = fresh_name(f"{op.name}.dequantize", taken)
        label = (op.kernel or op.out.name) if fused else ""
        before = replace(finish(decoded, name), kernel=label)
        after = replace(op, w=before.out, kernel=label or op.kernel)
        return [before, after.explained(self.why)]

    def _attention(self, op: Scores | Values, graph: Graph, taken: set[str]) -> list[Op]:
        """Return scores or values with the cache decoded in the same kernel."""
        cache = op.k if isinstance(op, Scores) else op.v
        if cache.encoding.is_plain or _decoded(cache, graph):
            return []
        if op.mask.size is not None and not same_size(op.mask.reach(S, P), cache.shape[2]):
            return []  # an op decodes all it reads, and here only some keys are read
        label = op.kernel or op.out.name
        decoded = Dequantize(cache, because=(self.why,))
        name = fresh_name(f"{op.name}.dequantize", taken)
        before = replace(finish(decoded, name), kernel=label)
        after = op.with_operands({cache: before.out}).explained(self.why)
        return [before, replace(after, kernel=label)]


def stored_weights(value: Value, graph: Graph) -> Iterator[Value]:
    """Yield the stored weights a value comes from, views and copies looked through."""
    for part in stored_parts(value):
        owner = graph.producers.get(part)
        if owner is not None and (owner.is_view or isinstance(owner, (Copy, Dequantize))):
            yield from stored_weights(owner.operands[0], graph)
        elif part.storage and part.role == "weight":
            yield part


def _decoded(value: Value, graph: Graph) -> bool:
    """Whether a value, or what a joined value is made of, was decoded already."""
    makers = (graph.producers.get(p) for p in (value, *stored_parts(value)))
    return any(isinstance(maker, Dequantize) for maker in makers)

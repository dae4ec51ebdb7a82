"""Where a graph routes tokens to experts: router, choice, dispatch, experts, combine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Combine, Dequantize, Dispatch, GroupedLinear, TopK
from mansard.ir.value import Value
from mansard.passes.decoding import retiled
from mansard.passes.dimensions import Axis, scaled
from mansard.passes.editing import edited


@dataclass(frozen=True)
class Mixture:
    """The ops of one mixture of experts.

    Args:
        choice: what keeps ``k`` of the router's logits.
        dispatch: copies rows to experts.
        experts: the products with experts' weights.
        combine: sums what they make.
        decoders: what decodes the weights of a product, where they are stored narrow.
    """

    choice: TopK
    dispatch: Dispatch
    experts: tuple[GroupedLinear, ...]
    combine: Combine | None
    decoders: Mapping[GroupedLinear, Dequantize] = field(default_factory=dict, compare=False)

    @property
    def count(self) -> int:
        """Experts that are stored."""
        return int(self.experts[0].w.shape[0])

    @property
    def chosen(self) -> int:
        """Experts a token goes to."""
        return int(self.choice.k)


def mixtures(graph: Graph) -> Iterator[Mixture]:
    """Yield the mixtures of a graph and of every body."""
    for op in graph.ops:
        for body in op.bodies:
            yield from mixtures(body)
        if isinstance(op, Dispatch):
            choice = _above(graph, op.routes)
            members = tuple(_below(graph, op.out))
            experts = tuple(m for m in members if isinstance(m, GroupedLinear))
            combine = next((m for m in members if isinstance(m, Combine)), None)
            if choice is not None and experts:
                made = {e: graph.producers.get(e.w) for e in experts}
                narrow = {e: d for e, d in made.items() if isinstance(d, Dequantize)}
                yield Mixture(choice, op, experts, combine, narrow)


def fewer(graph: Graph, kept: Mapping[Mixture, int], why: str, *, merged: bool = False) -> Graph:
    """Return the graph with fewer experts stored; a token still goes to as many of them.

    Args:
        graph: to change.
        kept: mixture → experts that are left.
        why: reason, for the ops that change.
        merged: whether the router keeps the logits of those that were merged into others.
    """
    ratios: dict[Expr, list[Axis]] = {}
    for m, count in kept.items():
        axes: list[Axis] = [(op.w, 0) for op in m.experts]
        if not merged:
            axes += [(m.choice.x, -1), *_scales(graph, m)]
        ratios.setdefault(sp.Rational(count, m.count), []).extend(axes)
    for ratio, axes in ratios.items():
        graph = graph if ratio == 1 else scaled(graph, axes, ratio, why)
    decoders = dict(_decoders(kept, tuple(mixtures(graph))))
    return edited(graph, attributes=lambda op: decoders.get(op, op)) if decoders else graph


def _decoders(
    before: Iterable[Mixture], after: Iterable[Mixture]
) -> Iterator[tuple[Op, Dequantize]]:
    """Yield what decodes experts' weights, and what it is where fewer are stored."""
    for old, new in zip(before, after, strict=True):
        blocks = sp.Rational(new.count, old.count)
        for was, now in zip(old.experts, new.experts, strict=True):
            if now not in new.decoders or blocks == 1:
                continue
            decoder = new.decoders[now]
            chosen_alone = old.decoders[was].share == was.weights_read()
            share = now.weights_read() if chosen_alone else decoder.share
            yield decoder, replace(decoder, times=retiled(decoder.times, 1, blocks), share=share)


def _scales(graph: Graph, m: Mixture) -> list[Axis]:
    """Return the axes of factors an expert has on its routes."""
    found: list[Axis] = []
    for op, _ in graph.walk():
        if op.outs and op.out is m.dispatch.routes and op is not m.choice:
            found += [(v, 0) for v in op.operands if v.shape == (sp.Integer(m.count),)]
    return found


def _above(graph: Graph, value: Value) -> TopK | None:
    owner = graph.producers.get(value)
    while owner is not None and not isinstance(owner, TopK):
        owner = graph.producers.get(owner.operands[0]) if owner.operands else None
    return owner


def _below(graph: Graph, value: Value) -> Iterator[Op]:
    """Yield what reads rows grouped by expert, until they are combined."""
    pending, seen = [value], {value}
    while pending:
        for user in graph.uses.get(pending.pop(), ()):
            yield user
            for out in user.outs:
                if out not in seen and not isinstance(user, Combine):
                    seen.add(out)
                    pending.append(out)

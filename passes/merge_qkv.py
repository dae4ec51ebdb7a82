"""One projection instead of several that read the same input."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    Append,
    Collective,
    Copy,
    Dequantize,
    GatedActivation,
    GroupedLinear,
    Join,
    LayerNorm,
    Linear,
    Quantize,
    RMSNorm,
    Rope,
    Scores,
    Slice,
    Softmax,
    Values,
)
from mansard.ir.pattern import Match
from mansard.ir.rewrite import Rule
from mansard.ir.value import Value, stored_parts
from mansard.passes.labels import together
from mansard.passes.options import option
from mansard.passes.technique import EVERY, Pass

ATTENTION = "attention"
_ON_THE_WAY = (Rope, RMSNorm, LayerNorm, Quantize, Collective)
Product = Linear | GroupedLinear


@dataclass(frozen=True)
class Projections:
    """Products that read one value and whose results meet again: q, k, v; or gate and up."""

    def find(self, op: Op, graph: Graph) -> Match | None:
        """Return the match whose last member is ``op``."""
        if not isinstance(op, Product):
            return None
        goal = _goal(op, graph)
        if goal is None:
            return None
        members = tuple(
            user
            for user in graph.uses[op.x]
            if isinstance(user, Product) and user.x is op.x and _goal(user, graph) == goal
        )
        alike = len({_kind(m, graph) for m in members}) == 1
        if len(members) < 2 or members[-1] is not op or not alike:
            return None
        return Match(graph, members, {"x": op.x})


@dataclass(frozen=True)
class MergeQkv(Pass):
    """Compute q, k and v with one matrix product, and gate and up with another.

    Removes no arithmetic: the input is read once instead of two or three times, ``2·T·h·a`` bytes
    less for q, k, v and ``T·h·a`` for gate and up; experts' gate and up likewise, ``T·k·h·a``.
    """

    name = "merge-qkv"
    noun = "projection"
    source = "[Yuan 2024, §5.1]"
    assumes = ("weights lie side by side, as engines store them; they keep their own storages",)

    on: str = option(EVERY, "the graph it changes; every graph unless given")

    def rules(self) -> tuple[Rule, ...]:
        """Merge siblings by where their results go, not by what they are called."""
        return (Rule(Projections(), _merge, because="one read of the input [Yuan 2024, §5.1]"),)

    def counts(self, op: Op) -> bool:
        """Merged products."""
        return isinstance(op, Product)


def _merge(m: Match) -> None:
    members = [op for op in m.ops if isinstance(op, Product)]
    outputs = len(members[0].w.shape) - 2  # of [n, k], or of [experts, n, k]
    name = _name(members)
    weights = tuple(_stored(op.w, m.graph) for op in members)
    biases = tuple(op.bias for op in members if op.bias is not None)
    label = fresh_name(name, m.taken) if any(op.kernel for op in members) else ""
    joined = m.add(Join(weights, outputs), f"{name}.weight")
    decoder = m.graph.producers.get(members[0].w)
    if isinstance(decoder, Dequantize):
        inside = decoder.kernel and decoder.kernel == members[0].kernel
        decoded = replace(decoder, x=joined, outs=(), name="", kernel=label if inside else "")
        joined = m.add(decoded, f"{name}.dequantize")
    bias = m.add(Join(biases, outputs), f"{name}.bias") if biases else None
    like = replace(members[0], w=joined, bias=bias, outs=(), name=name, kernel=label)
    whole = m.add(like, name)
    mates = together(m.graph, members, label) if label else {}
    axis = len(whole.shape) - 1
    at = sp.S.Zero
    for op in members:
        size = op.w.shape[outputs]
        m.swap(op, Slice(whole, axis, at, size, name=op.name, kernel=label))
        at += size
    for mate in mates:
        if mate not in m.ops:
            m.swap(mate, replace(mate, kernel=label))


def _stored(w: Value, graph: Graph) -> Value:
    """Return the weight as it lies, before it is decoded."""
    decoder = graph.producers.get(w)
    return decoder.x if isinstance(decoder, Dequantize) else w


def _goal(op: Product, graph: Graph) -> object:
    """Return what a projection's result is for: attention, a gate (that op), or nothing."""
    return _led_to(op.out, graph)


def _led_to(value: Value, graph: Graph) -> object:
    while True:
        users = graph.uses.get(value, ())
        if len(users) > 1 and all(isinstance(user, Slice) for user in users):  # q and its gate
            return ATTENTION if ATTENTION in (_led_to(u.out, graph) for u in users) else None
        if len(users) != 1:
            return None
        (user,) = users
        if isinstance(user, GatedActivation):
            return user
        if isinstance(user, Append):
            picks = (u for u in graph.uses.get(user.out, ()) if isinstance(u, Scores))
            return next((s for s in picks if not _attends(s, graph)), ATTENTION)
        if isinstance(user, Scores):
            return ATTENTION if _attends(user, graph) else user
        if isinstance(user, Values):
            return ATTENTION
        if isinstance(user, Join) or not (user.is_view or isinstance(user, _ON_THE_WAY)):
            return None
        value = user.out


def _attends(scores: Op, graph: Graph) -> bool:
    """Whether scores weigh values; those of an indexer only pick keys."""
    value = scores.out
    while users := graph.uses.get(value, ()):
        if isinstance(users[0], Softmax):
            return True
        if not (users[0].is_view or users[0].is_elementwise):
            return False
        value = users[0].out
    return False


def _kind(op: Product, graph: Graph) -> tuple[object, ...]:
    """Return what must be equal of linears that become one."""
    decoder = graph.producers.get(op.w)
    if decoder is not None and not (decoder.is_view or isinstance(decoder, (Copy, Dequantize))):
        return (op,)  # what makes the weight is unknown here: nothing is like it
    encodings = {p.encoding for p in stored_parts(_stored(op.w, graph))}
    decoding = (decoder.times, decoder.share) if isinstance(decoder, Dequantize) else ()
    attributes = tuple(op.attributes().items())
    return (type(op), attributes, frozenset(encodings), op.bias is None, op.device, decoding)


def _name(members: list[Product]) -> str:
    """``layers.q_proj`` and its siblings → ``layers.qkv_proj``; gate and up likewise."""
    first = members[0].name
    for old, new in (("gate_proj", "gate_up_proj"), ("q_proj", "qkv_proj")):
        if first.endswith(old):
            return first.removesuffix(old) + new
    return "+".join([first, *(op.name.rpartition(".")[2] for op in members[1:])])

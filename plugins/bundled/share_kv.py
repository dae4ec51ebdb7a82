"""Caches shared by layers: some attend to the keys and values that one below them made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.ir.builder import fresh_name
from mansard.ir.graph import drop_dead
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append
from mansard.ir.region import Repeat
from mansard.ir.rewrite import Rewritten, rebuild
from mansard.ir.verify import verify
from mansard.passes.layers import inlined, longest, part, renumbered


@dataclass(frozen=True)
class ShareKv(ms.Pass):
    """Let every ``every`` layers attend to one cache, which the first of them fills (CLA).

    The others make no keys and values: ``L·(1 - 1/every)`` times ``2·h·h_k·d`` weights and their
    FLOP are gone, and that share of the cache. Attention is unchanged, and each layer reads the
    cache it attends to, so a step moves as many bytes of it as before. Of latent caches the latents
    are shared, and each layer expands them. A run whose period has several layers shares among
    those of one kind. Half the layers of a model for ``every`` is near YOCO, where one cache serves
    the upper half.
    """

    name = "share-kv"
    noun = "attention"
    source = "[Brandon 2024, §2; Sun 2024 YOCO]"
    example = "every=2"
    identity = "every=1"
    removes = "projections of keys and values of layers that use another's"
    assumes = ("the layers of the longest run count from its first",)
    omits = ("training the model for it", "keeping a cache that is read again on chip")
    conflicts = ("limit-kv", "select-keys", "page-kv", "merge-qkv")

    every: int = ms.option(1, "layers that use one cache", least=1)

    def run(self, program: ms.Program) -> ms.Outcome:
        """Share; a cache for each layer is the input."""
        if self.phase:
            raise ms.MansardError("share-kv: decode reads the caches that a prefill fills",
                                  hint="leave phase out")  # fmt: skip
        return ms.Outcome(program, 1) if self.every == 1 else super().run(program)

    def transform(self, graph: ms.Graph) -> Rewritten:
        """Replace the longest run of layers by periods of ``every``, and what is left by one."""
        why = f"{self.name}: attends to a lower layer's cache {self.source}"
        old = longest(graph, self.name)
        count, rest = divmod(int(old.trips), self.every)
        if not _filling(old.body.ops) or (not count and rest < 2):
            return Rewritten(graph, 0)
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        made: list[Op] = []
        ins = old.ins
        for of, size, times in ((old, self.every, count), (None, rest, 1)):
            if not size or not times:
                continue
            run = part(old, count * self.every, rest) if of is None else old
            body = self._period(run, size, why)
            piece = replace(run, body=body, trips=sp.Integer(times), ins=ins, outs=())
            made.append(finish(piece.explained(why), fresh_name(old.out.name, taken)))
            ins = (*made[-1].outs, *old.ins[len(made[-1].outs) :])
        swapped = dict(zip(old.outs, made[-1].outs, strict=True))
        shared = int(old.trips) - count - bool(rest)
        return Rewritten(verify(rebuild(graph, edits={old: made}, swapped=swapped)), shared)

    def _period(self, run: Repeat, size: int, why: str) -> ms.Graph:
        """Return a body of ``size`` layers, all but the first without caches of their own."""
        given = tuple(ms.Value(v.name, v.type) for v in run.body.inputs)
        taken = {v.name for v in given}
        ops: list[Op] = []
        x, others = given[0], given[1:]
        caches: tuple[ms.Value, ...] = ()
        for k in range(size):
            body = renumbered(run.body, size, k, run.shared)
            more, outs = inlined(body, (x, *others), taken)
            layer = ms.Graph((), tuple(more), outs)
            if k:
                layer = _reading(layer, caches, why)
            else:
                caches = tuple(op.out for op in _filling(layer.ops))
            ops += layer.ops
            x = layer.outputs[0]
        return drop_dead(ms.Graph(given, tuple(ops), (x, *others[: len(run.outs) - 1])))

    def describe(self, before: ms.Graph, after: ms.Graph) -> str:
        """Say how many layers have a cache."""
        run = longest(before, self.name)
        own = -(-int(run.trips) // self.every)
        return f"{own} of {run.trips} layers have a cache of their own"


def _filling(ops: Iterable[Op]) -> list[Append]:
    """Return the ops that fill a cache."""
    return [op for op in ops if isinstance(op, Append)]


def _reading(layer: ms.Graph, caches: Sequence[ms.Value], why: str) -> ms.Graph:
    """Return a layer that reads other caches in place of those it would fill."""
    own = _filling(layer.ops)
    swapped = dict(zip((op.out for op in own), caches, strict=True))
    made = rebuild(layer, edits=dict.fromkeys(own, ()), swapped=swapped)
    others = {*caches}
    ops = (op.explained(why) if others & {*op.operands} else op for op in made.ops)
    return replace(made, ops=tuple(ops))

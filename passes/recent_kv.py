"""Caches whose sinks and newest tokens stay wide while the rest lies narrow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, P, product
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append, Dequantize, Join, Scores, Slice, Values
from mansard.ir.ops.recent import AppendRecent, at_most
from mansard.ir.rewrite import everywhere, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify


@dataclass(frozen=True)
class KeepRecent:
    """Splits each cache that is appended to into a narrow part and a wide one.

    Args:
        window: recent tokens that stay wide.
        sinks: first tokens that stay wide.
        decode: whether older rows are decoded in front of the attention that reads them.
        why: reason.
    """

    window: int
    sinks: int
    decode: bool
    why: str

    @property
    def size(self) -> Expr:
        """Tokens that stay wide."""
        return sp.Integer(self.window + self.sinks)

    def everywhere(self, graph: Graph, narrow: Callable[[Value], TensorType]) -> Graph:
        """Split in every body; ``narrow`` says how a cache lies narrow."""
        done = everywhere(graph, lambda body: self._split(body, narrow))
        return done if done is graph else verify(done)

    def _split(self, graph: Graph, narrow: Callable[[Value], TensorType]) -> Graph:
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        edits: dict[Op, list[Op]] = {}
        swapped: dict[Value, Value] = {}
        for op in graph.ops:
            if type(op) is Append and op.cache.storage and narrow(op.cache) != op.cache.type:
                if at_most(op.cache.shape[2], self.size) == op.cache.shape[2]:
                    continue  # never longer than what stays wide
                reader = self._reader(graph, op)
                label = "" if reader is None else reader.kernel or reader.out.name
                edits[op], swapped[op.out] = self._one(op, narrow(op.cache), label, taken)
                if reader is not None and self.decode:
                    edits[reader] = [replace(reader, kernel=label)]
        return rebuild(graph, edits=edits, swapped=swapped) if edits else graph

    def _one(
        self, op: Append, narrow: TensorType, label: str, taken: set[str]
    ) -> tuple[list[Op], Value]:
        cache = op.cache
        wide = at_most(cache.shape[2], self.size)
        older = Value(cache.name, _part(cache, narrow, cache.shape[2] - wide))
        storage = f"{cache.storage}.recent"
        recent = Value(storage, replace(_part(cache, cache.type, wide), storage=storage))
        new = AppendRecent(
            recent, op.x, older, sp.Integer(self.window), sp.Integer(self.sinks),
            name=op.name, device=op.device, kernel=op.kernel, because=op.because,
        )  # fmt: skip
        appended = finish(new.explained(self.why), fresh_name(f"{op.out.name}.recent", taken))
        ops: list[Op] = [appended]
        past = older
        if self.decode and label:
            decoded = Dequantize(older, kernel=label, because=(self.why,))
            ops.append(finish(decoded, fresh_name(f"{op.out.name}.dequantize", taken)))
            past = ops[-1].out
        if not label:
            return ops, appended.out  # filled for later layers or steps, and not read here
        joined = Join((past, appended.out), 2, kernel=label if self.decode else "")
        ops.append(finish(joined.explained(self.why), fresh_name(f"{op.out.name}.joined", taken)))
        return ops, ops[-1].out

    def _reader(self, graph: Graph, op: Append) -> Scores | Values | None:
        """Return the attention that reads a cache here; none where it is only filled.

        Raises:
            SpecError: something else cuts it into parts, or the model picks keys itself.
        """
        pending = list(graph.uses.get(op.out, ()))
        if not pending and op.out not in graph.outputs:
            return None
        for user in pending:
            if isinstance(user, (Scores, Values)) and user.mask.kind != "budget":
                return user
            if user.is_view and not isinstance(user, Slice):
                pending += [u for out in user.outs for u in graph.uses.get(out, ())]
        raise SpecError(
            f"quantize: {op.cache.storage} is no plain cache of keys or values, so no window of it "
            "stays wide",
            hint="leave kv-window and kv-sinks out for latent caches and models with an indexer",
        )


def _part(cache: Value, kind: TensorType, rows: Expr) -> TensorType:
    """Return the type of some rows of a cache, where the same share of each row exists."""
    shape = (*cache.shape[:2], rows, *cache.shape[3:])
    if cache.type.live is None:
        return replace(kind, shape=shape)
    share = sp.cancel(cache.type.live / cache.numel)
    if share.has(P):
        raise SpecError(
            f"quantize: an earlier technique laid out {cache.storage} in pages or otherwise by "
            "its length",
            hint="put quantize before it",
        )
    return replace(kind, shape=shape, live=product(shape) * share)


def recent_caches(graph: Graph) -> tuple[AppendRecent, ...]:
    """Return what appends to caches of which a part stays wide, bodies once."""
    return tuple(op for op, _ in graph.walk() if isinstance(op, AppendRecent))

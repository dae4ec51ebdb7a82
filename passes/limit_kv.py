"""Caches of bounded length: a window with sinks, a budget of heavy hitters, a compressed prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, P, S, least, prompt
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append, Dequantize, Reshape, Scores, Softmax, Values
from mansard.ir.ops.eviction import AccumulateScores, CompressCache
from mansard.ir.program import Call, Program
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.editing import edited
from mansard.passes.labels import source
from mansard.passes.options import option
from mansard.passes.recent_kv import recent_caches
from mansard.passes.schedules import replace_steps
from mansard.passes.technique import Outcome, Pass

POLICIES = ("window", "heavy-hitters", "compress-prompt")


@dataclass(frozen=True)
class LimitKv(Pass):
    """Bound the cache to ``n`` tokens a sequence: decode reads ``least(P + S, n)`` keys.

    ``window``: the first ``sinks`` tokens and the last ones, ``n = sinks + window``; queries of a
    prompt see no more either [Xiao 2023]. ``heavy-hitters``: ``n = budget``, the recent half and
    those with most attention so far; a prompt is attended whole, then evicted, and each step adds
    its probabilities to sums of ``heads·n`` in fp32, so they leave the attention kernel [Zhang
    2023]. ``compress-prompt``: a prompt is compressed once to ``budget`` tokens that its last
    ``window`` queries attend to, and decoding appends to them [Li 2024 SnapKV]. Layers whose own
    window is shorter stay as they are.
    """

    name = "limit-kv"
    example = "window=64"
    removes = "pairs with forgotten keys"
    noun = "attention"
    source = "[Xiao 2023; Zhang 2023, alg. 1; Li 2024 SnapKV]"
    assumes = (
        "positions are those of the kept tokens, so nothing is rotated again",
        "a cache evicts before it is stored: a layer's prompt lies in memory only while it runs",
        "a compressed prompt was of one call; its whole cache exists until that call ends",
    )
    omits = ("what forgotten tokens do to the model's answers", "choosing the smallest sum")

    policy: str = option("window", "which tokens are kept", choices=POLICIES)
    window: int = option(
        0, "recent tokens kept; of compress-prompt, queries that choose", least=0, unit="tokens"
    )
    sinks: int = option(4, "first tokens that a window keeps as well", least=0, unit="tokens")
    budget: int = option(
        0, "tokens kept by heavy-hitters and compress-prompt", least=0, unit="tokens"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy == "window" and self.budget:
            raise SpecError("limit-kv: policy=window has no budget",
                            hint="write window=… sinks=…, or policy=heavy-hitters")  # fmt: skip
        needs = "window" if self.policy == "window" else "budget"
        if not getattr(self, needs):
            raise SpecError(
                f"limit-kv: policy={self.policy} needs a {needs}", hint=f"write {needs}=…"
            )

    @property
    def size(self) -> Expr:
        """Tokens that are kept."""
        return sp.Integer(self.sinks + self.window if self.policy == "window" else self.budget)

    def run(self, program: Program) -> Outcome:
        """Bound caches; a compressed prompt is fewer cached tokens in every later call."""
        if self.policy != "compress-prompt":
            return super().run(program)
        if self.phase:
            raise SpecError("limit-kv: a compressed prompt is what later phases read",
                            hint="leave phase out")  # fmt: skip
        outcome = super().run(program)
        if outcome.program is program:
            return outcome

        def shorter(step: object, phase: str) -> tuple[Call, ...] | None:
            if not isinstance(step, Call) or step.graph.partition("@")[0] != self.on:
                return None
            past = step.bind[P].xreplace({prompt: least(prompt, self.size)})
            return None if past == step.bind[P] else (replace(step, bind={**step.bind, P: past}),)

        bound, _ = replace_steps(outcome.program, shorter)
        return replace(outcome, program=bound)

    def transform(self, graph: Graph) -> Rewritten:
        """Change masks and the caches under them, or add the op that compresses."""
        why = f"{self.name}: fewer keys are kept {self.source}"
        found = [op for op, _ in graph.walk() if isinstance(op, Scores) and self._limits(op.mask)]
        if any(op.mask.kind == "budget" for op, _ in graph.walk() if isinstance(op, Scores)):
            raise SpecError(
                "limit-kv: the model picks keys itself, so every key must stay",
                hint="leave limit-kv out for models with an indexer",
            )
        if not found:
            return Rewritten(graph, 0)
        if self.policy == "compress-prompt":
            return Rewritten(
                verify(everywhere(graph, lambda g: self._compressing(g, why))), len(found)
            )
        graph = self._bounded(graph, why)
        if self.policy == "heavy-hitters":
            graph = verify(everywhere(graph, lambda g: self._summing(g, why)))
        return Rewritten(graph, len(found))

    def counts(self, op: Op) -> bool:
        """One attention a product with keys."""
        return isinstance(op, Scores | CompressCache)

    def _limits(self, mask: Mask) -> bool:
        if mask.kind == "causal":
            return True
        return mask.kind in ("window", "evict") and bool(mask.size > self.size)

    def _bounded(self, graph: Graph, why: str) -> Graph:
        kind = "window" if self.policy == "window" else "evict"
        kept: dict[Expr, Expr] = {}
        for op, _ in graph.walk():
            if isinstance(op, Scores) and self._limits(op.mask):
                kept[op.mask.kept(P)] = Mask(kind, self.size).kept(P)

        parts: dict[Value, Expr] = {}
        for op in recent_caches(graph):
            if op.kept in kept:
                new, wide = kept[op.kept], op.window + op.sinks
                parts[op.cache] = least(new, wide)
                parts[op.older] = new - least(new, wide)

        def shape(leaf: Value) -> TensorType:
            if leaf.role not in ("cache", "state") or len(leaf.shape) < 3:
                return leaf.type
            at = 2
            new = parts.get(leaf) or kept.get(leaf.shape[at])
            if new is None:
                return leaf.type
            live = leaf.type.live
            live = None if live is None else live.xreplace({leaf.shape[at]: new})
            return replace(
                leaf.type, shape=(*leaf.shape[:at], new, *leaf.shape[at + 1 :]), live=live
            )

        def masked(op: Op) -> Op:
            if isinstance(op, (Scores, Values)) and self._limits(op.mask):
                return replace(op, mask=replace(op.mask, kind=kind, size=self.size)).explained(why)
            if isinstance(op, Reshape):
                sizes = {old + S: new + S for old, new in kept.items()}
                shape = tuple(sizes.get(d, d) for d in op.shape)
                return op if shape == op.shape else replace(op, shape=shape)
            if isinstance(op, Dequantize):  # of what expands latents, for every tile of keys
                times = op.times.xreplace({old + S: new + S for old, new in kept.items()})
                return op if times == op.times else replace(op, times=times)
            return op

        def tables(leaf: Value) -> TensorType:
            if leaf.role == "table":
                changed = tuple(d.xreplace(dict(kept)) for d in leaf.shape)
                return replace(leaf.type, shape=changed)
            return shape(leaf)

        return edited(graph, leaves=tables, attributes=masked)

    def _summing(self, graph: Graph, why: str) -> Graph:
        """Add running sums of attention beside each bounded softmax."""
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        edits: dict[Op, list[Op]] = {}
        for softmax, scores in _softmaxes(graph):
            if scores.mask.kind != "evict" or scores.mask.size != self.size:
                continue
            kept = scores.mask.kept(P)
            storage = _beside(graph, scores, "attention_sums")
            kind = TensorType((B, scores.heads, kept), Encoding("fp32"), "cache", storage)
            made = AccumulateScores(softmax.out, Value(storage, kind), because=(why,))
            name = fresh_name(f"{scores.out.name}.accumulate", taken)
            edits[softmax] = [
                softmax,
                replace(finish(made, name), name=f"{scores.name}.accumulate"),
            ]
        return rebuild(graph, edits=edits) if edits else graph

    def _compressing(self, graph: Graph, why: str) -> Graph:
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        edits: dict[Op, list[Op]] = {}
        for op in graph.ops:
            if not (isinstance(op, Scores) and self._limits(op.mask)):
                continue
            key, value = _appended(graph, op.k), _value_of(graph, op)
            if key is None:
                continue
            made = CompressCache(
                op.q, op.k, op.k if value is None else value, op.heads,
                sp.Integer(self.window or 32), self.size, because=(why,),
            )  # fmt: skip
            name = fresh_name(f"{op.out.name}.compress", taken)
            edits[value_op(graph, op)] = [
                value_op(graph, op),
                replace(finish(made, name), name=f"{op.name}.compress"),
            ]
        return rebuild(graph, edits=edits) if edits else graph


def _softmaxes(graph: Graph) -> Iterator[tuple[Softmax, Scores]]:
    for op in graph.ops:
        if isinstance(op, Softmax):
            above = graph.producers.get(op.x)
            while above is not None and not isinstance(above, Scores):
                above = graph.producers.get(above.operands[0])
            if above is not None:
                yield op, above


def _appended(graph: Graph, value: Value) -> Append | None:
    """Return the append that keys come from, through views, decoding and expansion."""
    pending, seen = [value], {value}
    while pending:
        owner, _ = source(graph, pending.pop())
        if isinstance(owner, Append):
            return owner
        for operand in owner.operands if owner is not None else ():
            if operand not in seen:
                seen.add(operand)
                pending.append(operand)
    return None


def _beside(graph: Graph, scores: Scores, role: str) -> str:
    """Return a storage name in the layer of an attention's cache."""
    owner = _appended(graph, scores.k)
    storage = owner.cache.storage if owner is not None else scores.name
    return f"{storage.rpartition('.')[0] or storage}.{role}"


def value_op(graph: Graph, scores: Scores) -> Op:
    """Return the product with values that follows scores, or the scores."""
    pending: list[Op] = [scores]
    while pending:
        op = pending.pop()
        if isinstance(op, Values):
            return op
        pending += [u for u in graph.uses.get(op.out, ()) if not u.has_effect]
    return scores


def _value_of(graph: Graph, scores: Scores) -> Value | None:
    found = value_op(graph, scores)
    return found.v if isinstance(found, Values) else None

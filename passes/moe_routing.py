"""How tokens are spread over experts, and how many of them there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Dequantize, Dispatch, GroupedLinear, TopK
from mansard.ir.ops.padded_experts import PaddedGrouped
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten
from mansard.passes.decoding import retiled
from mansard.passes.editing import edited
from mansard.passes.experts import Mixture, fewer, mixtures
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass
from mansard.passes.written_numbers import exact


@dataclass(frozen=True)
class MoeRouting(Pass):
    """Set how tokens meet experts: balance, correlation, capacity, and how many are kept.

    Of ``E`` experts, ``k`` a token, a step of ``T`` tokens reads ``E·(1 - (1 - k/E)^n)`` of them.
    Independent tokens: ``n = T``. Tokens of correlation ρ count as ``n = 1 + (T-1)·(1-ρ)``
    independent ones, so ρ = 1 reads ``k`` and ρ = 0 the expectation under uniform routing.
    Where experts are spread over ranks, the most loaded one gets ``imbalance`` times the mean, at
    most every row; on one rank there is nothing to be uneven between. With a capacity factor every
    expert gets a buffer of ``capacity·T·k/E`` rows, padding included, and all are read. Pruned or
    merged experts are stored no more; a merged one keeps the router's logits of those it replaced.
    """

    name = "moe-routing"
    example = "imbalance=1.5"
    identity = "imbalance=1"
    removes = "experts that are left out, where `experts` or `top-k` says so"
    noun = "mixture"
    source = "[Fedus 2021, §2.2; Huang 2025 MoESD, eq. 3; Lu 2024]"
    assumes = (
        "experts of different tokens are independent, unless correlated",
        "the most loaded rank is waited for, so its rows are everybody's",
    )
    omits = ("tokens dropped when a buffer is full", "the order in which ranks finish")

    imbalance: float = option(1.0, "rows of the most loaded of ep ranks over the mean", least=1.0)
    correlation: float = option(0.0, "0: independent tokens, 1: all choose alike", least=0, most=1)
    capacity: float = option(0.0, "rows of a padded buffer over the mean; 0: no padding", least=0)
    experts: int = option(0, "experts that are kept; 0 keeps all", least=0)
    merge: bool = option(False, "fewer experts by merging: the router keeps its logits")
    top_k: int = option(0, "experts a token goes to; 0 leaves it", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.capacity and self.imbalance != 1:
            raise SpecError(
                "moe-routing: padded buffers are all of one size whatever the imbalance",
                hint="give capacity=… or imbalance=…",
            )
        if 0 < self.capacity < 1:
            raise SpecError(
                f"moe-routing: capacity is {self.capacity}, so tokens would be dropped",
                hint="at least 1, or 0 for no padding",
            )
        if self.merge and not self.experts:
            raise SpecError("moe-routing: merge without experts", hint="add experts=…")

    def run(self, program: Program) -> Outcome:
        """Change every mixture; an input without an effect of its own is returned."""
        idle = replace(self, on=self.on, phase=self.phase) == type(self)(
            on=self.on, phase=self.phase
        )
        return Outcome(program, 0) if idle else super().run(program)

    def transform(self, graph: Graph) -> Rewritten:
        """Resize first, then set what the ops say of routing."""
        found = tuple(mixtures(graph))
        if not found:
            return Rewritten(graph, 0)
        why = f"{self.name}: distinct experts of a step {self.source}"
        kept = {m: self._kept(m) for m in found}
        for m in found:
            left = kept[m] * m.dispatch.ranks
            if (self.top_k or m.chosen) > left:
                raise SpecError(
                    f"moe-routing: {self.top_k or m.chosen} of {left} experts a token",
                    hint="keep more experts, or lower top-k",
                )
        graph = fewer(graph, kept, why, merged=self.merge)
        found = tuple(mixtures(graph))
        chosen = {m.choice: sp.Integer(self.top_k or m.chosen) for m in found}
        hits = {op: chosen[m.choice] / _all(m) for m in found for op in m.experts}
        rows = {m.dispatch for m in found}
        narrow = self._decoders(found, chosen, hits)

        def set_(op: Op) -> Op:
            if isinstance(op, TopK) and op in chosen:
                return replace(op, k=chosen[op]).explained(why)
            if isinstance(op, Dispatch) and op in rows:
                return self._dispatched(op).explained(why)
            if isinstance(op, GroupedLinear) and op in hits:
                return self._grouped(replace(op, hit=hits[op])).explained(why)
            if isinstance(op, Dequantize) and op in narrow:
                return narrow[op].explained(why)
            return op

        return Rewritten(edited(graph, attributes=set_), len(found))

    def _dispatched(self, op: Dispatch) -> Dispatch:
        padding = exact(self.capacity) if self.capacity else op.padding
        imbalance = exact(self.imbalance) if self.imbalance != 1 else op.imbalance
        return replace(op, padding=padding, imbalance=imbalance)

    def _grouped(self, op: GroupedLinear) -> GroupedLinear:
        tokens = 1 + (op.tokens - 1) * (1 - exact(self.correlation))
        if not self.capacity:
            return replace(op, tokens=tokens if self.correlation else op.tokens)
        return PaddedGrouped(
            op.x, op.w, op.hit, op.tokens, op.bias,
            outs=op.outs, name=op.name, device=op.device, kernel=op.kernel, because=op.because,
        )  # fmt: skip

    def _decoders(
        self, found: Sequence[Mixture], chosen: Mapping[TopK, Expr],
        hits: Mapping[GroupedLinear, Expr],
    ) -> dict[Op, Dequantize]:  # fmt: skip
        """Return what decodes experts' weights: those that are read, once a tile of their rows."""
        made: dict[Op, Dequantize] = {}
        for m in found:
            scale = self._dispatched(m.dispatch).scale / m.dispatch.scale
            more = scale * chosen[m.choice] / m.chosen
            for op, decoder in m.decoders.items():
                read = self._grouped(replace(op, hit=hits[op])).weights_read()
                chosen_alone = decoder.share == op.weights_read()
                made[decoder] = replace(
                    decoder,
                    times=retiled(decoder.times, more, 1),
                    share=read if chosen_alone else decoder.share,
                )
        return made

    def _kept(self, m: Mixture) -> int:
        if self.experts and m.dispatch.ranks != 1:
            raise SpecError("moe-routing: the experts are spread over ranks already",
                            hint="put moe-routing before parallel")  # fmt: skip
        if self.experts > m.count:
            raise SpecError(
                f"moe-routing: {self.experts} of {m.count} experts", hint=f"at most {m.count}"
            )
        return self.experts or m.count

    def counts(self, op: Op) -> bool:
        """One mixture a dispatch."""
        return isinstance(op, Dispatch)


def _all(m: Mixture) -> Expr:
    """Return the experts of every rank."""
    return sp.Integer(m.count) * m.dispatch.ranks

"""Selecting keys: a scan of page summaries says which pages of a cache a query reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.symbols import B, Expr, P, S, ceil_div
from mansard.ir.op import Op
from mansard.ir.ops import Append, Scores, Values
from mansard.ir.pattern import Match
from mansard.passes.labels import source


class ScanPages(ms.Op):
    """Bound each query's scores with every page: ``Σ_d max(q·min, q·max)`` over its summary.

    FLOP  5·T·heads·d·pages   two products, a maximum and a sum a channel   [Tang 2024 Quest, §3.2]
          2·T·heads·d·pages   with one vector a page                        [Mohtashami 2023, §3]
    B     |q| + the summaries of all pages + as much of them as the step's tokens fill

    Args:
        q: ``[T, heads·d]``.
        bounds: ``[B, kv_heads, pages, vectors·d]``, a cache.
        heads: query heads.
        page: tokens of a page.
        vectors: of a summary: 2 for least and greatest, 1 for a landmark.
    """

    has_effect = True
    kind = "scan_pages"
    q: ms.Value
    bounds: ms.Value
    heads: Expr
    page: Expr
    vectors: Expr = sp.Integer(2)

    def infer(self) -> tuple[ms.TensorType, ...]:
        """The bound of each query head with each page."""
        b, _, pages, _ = self.bounds.shape
        return (ms.TensorType((b, self.heads, S, pages), self.q.encoding.plain),)

    def cost(self) -> ms.Cost:
        """See the class."""
        b, kv_heads, pages, width = self.bounds.shape
        each = 5 if self.vectors == 2 else 2
        cost = self.streamed(each * self.q.numel * pages)
        new = b * kv_heads * width * S / self.page * self.bounds.encoding.bits / 8
        return replace(cost, writes={**cost.writes, self.bounds: new})


@dataclass(frozen=True)
class SelectKeys(ms.Pass):
    """Let each query of a decode step read ``budget`` of its keys, those of the likeliest pages.

    All keys stay in the cache, ``least(P + S, budget·S)`` of them are read; before that every
    page's summary is, ``2·kv_heads·d`` numbers for ``page`` tokens (Quest), or one learned vector
    (landmark attention).
    """

    name = "select-keys"
    noun = "attention"
    source = "[Tang 2024 Quest; Mohtashami 2023]"
    example = "budget=128"
    identity = "budget=0"
    removes = "pairs with keys that are not selected"
    assumes = ("the pages of one query are disjoint from those of the next",)
    omits = ("what unread keys do to the model's answers", "sorting the pages")

    phase: str = ms.option("decode", "the phase that selects; it gets a variant of the graph")
    budget: int = ms.option(0, "keys a query reads; 0: all", least=0, unit="tokens")
    page: int = ms.option(16, "tokens of a page", least=1, unit="tokens")
    summary: str = ms.option("bounds", "what stands for a page", choices=("bounds", "landmark"))

    def run(self, program: ms.Program) -> ms.Outcome:
        """Select; a budget of nothing is the input."""
        return super().run(program) if self.budget else ms.Outcome(program, 0)

    def rules(self) -> tuple[ms.Rule, ...]:
        """Scan before scores, and give both products the mask of a budget."""
        because = f"only likely pages are read {self.source}"
        scores = ms.P(Scores, where=_whole)
        values = ms.P(Values, where=_whole)
        return (ms.Rule(scores, self._scanned, because), ms.Rule(values, self._masked, because))

    def _masked(self, match: Match) -> Op:
        op = match.root
        assert isinstance(op, (Scores, Values))
        size = sp.Integer(self.budget)
        return replace(op, mask=replace(op.mask, kind="budget", size=size, skip=True))

    def _scanned(self, match: Match) -> Op | None:
        op = match.root
        assert isinstance(op, Scores)
        owner, _ = source(match.graph, op.k)
        if not isinstance(owner, Append) or not owner.cache.storage:
            return None
        _, kv_heads, _, d = op.k.shape
        vectors = sp.Integer(2 if self.summary == "bounds" else 1)
        page = sp.Integer(self.page)
        kind = ms.TensorType((B, kv_heads, ceil_div(P, page), vectors * d),
                             owner.cache.encoding.plain, "cache",
                             f"{owner.cache.storage}.pages")  # fmt: skip
        bounds = ms.Value(kind.storage, kind)
        scan = ScanPages(op.q, bounds, op.heads, page, vectors)
        match.add(scan, f"{op.name}.scan")
        return self._masked(match)

    def counts(self, op: Op) -> bool:
        """One attention a scan."""
        return isinstance(op, ScanPages)


def _whole(op: Op) -> bool:
    return isinstance(op, (Scores, Values)) and op.mask.kind == "causal"

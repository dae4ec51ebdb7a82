"""Linear layers as two thin ones."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Dequantize, Linear
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.options import option
from mansard.passes.stored_weights import KEPT, compressible, leaves_of, matches
from mansard.passes.technique import Outcome, Pass
from mansard.passes.written_numbers import exact


@dataclass(frozen=True)
class LowRank(Pass):
    """Replace ``y = x·Wᵀ`` by ``y = (x·Aᵀ)·Bᵀ`` with ``A[r, k]`` and ``B[n, r]``.

    ``r·(k + n)`` weights and ``2·T·r·(k + n)`` FLOP instead of ``k·n`` and ``2·T·k·n``, and the
    inner result of ``T·r`` is stored and loaded: a gain exactly when ``r < k·n/(k + n)``. With
    ``keep`` the rank is that share of the break-even one, rounded down. Layers that would not gain
    stay whole.
    """

    name = "low-rank"
    example = "keep=0.5"
    identity = "keep=1"
    removes = "the truncated part of each matrix"
    noun = "projection"
    inner: ClassVar[str] = ".low_rank"
    """How the name of the product into the inner width ends."""
    source = "[Yuan 2023 ASVD; Zhou 2024, §5.2.3]"
    assumes = ("both factors are stored as the matrix was",)
    omits = ("what the truncated part does to the model's answers",)

    rank: int = option(0, "inner width; 0 takes it from keep", least=0)
    keep: float = option(0.0, "share of each layer's weights that is kept", least=0, most=1)
    only: tuple[str, ...] = option(("*",), "modules that are factored")
    skip: tuple[str, ...] = option(KEPT, "modules left whole")

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.rank) == bool(self.keep):
            raise SpecError("low-rank: needs rank or keep", hint="write rank=… or keep=…, one")

    def run(self, program: Program) -> Outcome:
        """Factor what gains; keep=1 is the input."""
        if self.keep == 1:
            return Outcome(program, 0)
        outcome = super().run(program)
        if outcome.matches and outcome.program is program:
            note = Note("M022", f"low-rank: rank {self.rank} gains nothing in any layer")
            return replace(outcome, notes=(*outcome.notes, note))
        return outcome

    def transform(self, graph: Graph) -> Rewritten:
        """Put two products in the place of each that gains."""
        chosen = compressible(graph, self.skip)
        found = sum(any(matches(op.name, self.only) for op in ops) for ops in chosen.values())

        def one(body: Graph) -> Graph:
            edits: dict[Op, list[Op]] = {}
            taken = {v.name for v in (*body.inputs, *body.producers)}
            for op in body.ops:
                if type(op) is Linear and matches(op.name, self.only):
                    leaves = tuple(leaves_of(body, op.w))
                    if leaves and all(v in chosen for v in leaves):
                        edits |= self._factored(op, leaves, body, taken)
            return rebuild(body, edits=edits) if edits else body

        changed = everywhere(graph, one)
        from mansard.ir.graph import drop_dead

        done = changed if changed is graph else verify(everywhere(changed, drop_dead))
        return Rewritten(done, found)

    def _rank(self, n: Expr, k: Expr) -> Expr:
        if self.rank:
            return sp.Integer(self.rank)
        return sp.floor(exact(self.keep) * n * k / (n + k))

    def _factored(
        self, op: Linear, leaves: tuple[Value, ...], graph: Graph, taken: set[str]
    ) -> dict[Op, list[Op]]:
        n, k = op.w.shape
        r = self._rank(n, k)
        if r < 1 or r * (n + k) >= n * k:
            return {}
        why = f"{self.name}: two thin products for one {self.source}"
        decoder = graph.producers.get(op.w)
        made: list[Op] = []
        factors: list[tuple[Value, str]] = []
        for half, shape in (("down", (r, k)), ("up", (n, r))):
            storage = f"{leaves[0].storage}.{half}"
            kind = TensorType(shape, leaves[0].encoding, "weight", storage)
            factor, label = Value(storage, kind), op.kernel if half == "up" else ""
            if isinstance(decoder, Dequantize):
                label = label or (
                    fresh_name(f"{op.out.name}.{half}", taken) if decoder.kernel else ""
                )
                kernel = label if decoder.kernel else ""
                again = replace(decoder, x=factor, outs=(), name="", kernel=kernel)
                decoded = finish(again, fresh_name(f"{op.out.name}.{half}.dequantize", taken))
                made.append(decoded)
                factor = decoded.out
            factors.append((factor, label))
        (down, down_label), (up, up_label) = factors
        name = fresh_name(f"{op.out.name}.low_rank", taken)
        thin = Linear(op.x, down, name=f"{op.name}{self.inner}", kernel=down_label, because=(why,),
                      device=op.device)  # fmt: skip
        first = finish(thin, name)
        last = replace(op, x=first.out, w=up, kernel=up_label).explained(why)
        return {op: [*made, first, last]}

    def counts(self, op: Op) -> bool:
        """One projection the inner product."""
        return isinstance(op, Linear) and op.name.endswith(self.inner)

"""FlashAttention: scores, softmax and values in one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mansard.core.records import dataclass
from mansard.ir.builder import fresh_name
from mansard.ir.op import Op
from mansard.ir.ops import Add, Alibi, Cast, Multiply, Scale, Scores, SoftCap, Softmax, Values
from mansard.ir.ops.index import KeepChosen
from mansard.ir.pattern import Match, P
from mansard.ir.rewrite import Rule
from mansard.passes.labels import together
from mansard.passes.options import option
from mansard.passes.technique import EVERY, Pass

BETWEEN = (Alibi, SoftCap, Scale, KeepChosen, Add, Multiply, Cast)
"""What may happen to scores before their softmax, on chip."""


@dataclass(frozen=True)
class FuseAttention(Pass):
    """Keep the score matrix on chip: K and V are read once, only q and the output move.

    Removes no arithmetic of the pairs that count, and the bytes of scores and probabilities; with
    ``skip-masked`` also the work on pairs the mask leaves out, as the kernels do.
    """

    name = "fuse-attention"
    removes = "masked pairs"
    noun = "attention"
    source = "[Dao 2022, Thm 2]"
    assumes = (
        "K and V stream past the queries once; queries of a KV head's group share them",
        "the rescaling of running sums is not counted",
    )

    on: str = option(EVERY, "the graph it changes; every graph unless given")
    skip_masked: bool = option(True, "leave out the pairs the mask hides")

    def rules(self) -> Sequence[Rule]:
        """Find values of softmax of scores, whatever bias or cap lies between."""
        scores = P(Scores, "q", "k", through=BETWEEN)
        weights = P(Softmax, scores, through=(Cast, Multiply))
        unfused = P(Values, weights, "v", where=lambda op: not _is_fused(op, self))
        return (Rule(unfused, self._fused, because="scores stay in SRAM [Dao 2022, Thm 2]"),)

    def _fused(self, m: Match) -> tuple[Op, ...]:
        label = fresh_name(_label(m.root.name), m.taken)
        return tuple(
            replace(self._masked(op), kernel=label) for op in together(m.graph, m.ops, label)
        )

    def _masked(self, op: Op) -> Op:
        if isinstance(op, (Scores, Values)) and self.skip_masked:
            return replace(op, mask=op.mask.skipping())
        return op

    def counts(self, op: Op) -> bool:
        """One attention a ``Values``."""
        return isinstance(op, Values)


def _label(name: str) -> str:
    """``layers.sliding_values`` → ``layers.sliding_attention``."""
    head, _, last = name.rpartition("values")
    return f"{head}attention{last}" if head or name == "values" else f"{name}.attention"


def _is_fused(op: Op, by: Pass) -> bool:
    return any(reason.startswith(f"{by.name}:") for reason in op.because)

"""What can be said of speculation once the hardware is known: what drafts, how much of it pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mansard.core.dtypes import BITS
from mansard.core.notes import Note
from mansard.core.units import format_time
from mansard.ir.op import Op
from mansard.ir.program import Program
from mansard.ir.value import Value

if TYPE_CHECKING:
    from mansard.backends.roofline import Answer
    from mansard.passes.technique import Pass
    from mansard.query.effects import Technique

NAME = "speculative-decode"
DRAFT = "draft"


def drafts(applied: Sequence[Technique], program: Program) -> Iterator[Note]:
    """Yield what a draft with weights of its own has become: how it is stored, and where."""
    if DRAFT not in program.graphs or not any(t.name == NAME for t in applied):
        return
    used = next(t for t in applied if t.name == NAME)
    whole = [op for op, _ in program.graph(DRAFT).walk()]
    said = f"{NAME}: the draft {used.options.get('draft', '')} has {_listed(whole)} weights"
    if program.mesh:
        divided = any(op.kind == "collective" for op in whole)
        said += " and is divided" if divided else " and is whole on every device"
    if not any(t.technique.on == DRAFT for t in applied):
        said += f"; techniques with on={DRAFT} change that"
    yield Note("M042", said)


def _listed(whole: Sequence[Op]) -> str:
    """Return the dtypes matrices are stored in, the widest first."""
    held = {v.encoding.dtype for op in whole for v in _weights(op)}
    return " and ".join(sorted(held, key=list(BITS).index, reverse=True)) or "no"


def _weights(op: Op) -> Iterator[Value]:
    return (v for v in op.operands if v.role == "weight" and v.storage and len(v.shape) > 1)


def best_gamma(applied: Sequence[Technique], at: int, price: Callable[[Program], Answer]) -> str:
    """Say in words how many proposals a trip are best here; empty where nothing is to choose.

    Args:
        applied: the techniques, in order.
        at: which of them speculates.
        price: what a program costs.
    """
    from mansard.passes.pipeline import run
    from mansard.passes.speculative_decode import SpeculativeDecode
    from mansard.passes.speculative_decode import best_gamma as found

    here = applied[at]
    speculation = here.technique
    if not isinstance(speculation, SpeculativeDecode) or speculation.tree or not _runs(here):
        return ""
    later = tuple(t.technique for t in applied[at + 1 :])

    def tpot_s(gamma: int) -> float:
        left = later if gamma else tuple(p for p in later if p.on != DRAFT)
        passes: tuple[Pass, ...] = (replace(speculation, gamma=gamma), *left)
        metrics = price(run(here.before, passes)[0]).metrics
        return metrics.tpot_s if metrics.tpot_s is not None else 0.0

    best = found(tpot_s, start=speculation.gamma)
    if best == speculation.gamma:
        return f"gamma={best} is the best here"
    if best == 0:
        return f"decoding without it is faster here: {format_time(tpot_s(0))} a token"
    return f"gamma={best} is faster here: {format_time(tpot_s(best))} a token"


def _runs(technique: Technique) -> bool:
    return technique.after is not technique.before

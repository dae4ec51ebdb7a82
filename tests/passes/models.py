"""What the tests of passes share: running pipelines, and costs that compare exactly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import sympy as sp

from mansard.core.symbols import Expr, batch, prompt, ragged, total
from mansard.frontends.hf.load import load
from mansard.ir.cost import Cost
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.op import Op
from mansard.ir.program import TARGET, Call, Program, binding
from mansard.passes.fuse_attention import FuseAttention
from mansard.passes.fuse_elementwise import FuseElementwise
from mansard.passes.merge_qkv import MergeQkv
from mansard.passes.pipeline import LEVELS, parse, run
from mansard.passes.quantize import Quantize
from mansard.passes.technique import Pass

KNOWN: dict[str, type[Pass]] = {
    cls.name: cls for cls in (FuseAttention, FuseElementwise, MergeQkv, Quantize)
}
O1 = LEVELS["O1"]

FAMILIES = (
    "llama-3.1-8b",  # grouped queries, gated
    "qwen3-8b",  # norms on q and k
    "phi-3-mini-4k-instruct",  # q, k, v and gate, up stored as one
    "gpt2",  # biases, learned positions, tied head
    "mixtral-8x7b-v0.1",  # experts
    "gemma-2-9b",  # soft caps, sliding and full layers
    "bloom-560m",  # alibi
)
"""One model for each way in which blocks differ."""


@cache
def model(name: str) -> Program:
    """A bundled model, lowered once."""
    return load(name)


def of(graph: Graph) -> Program:
    """A program that prefills and decodes one step with a graph."""
    wants = tuple(value.name for value in graph.outputs)
    prefill = Call(TARGET, binding(batch, prompt, 0), wants, phase="prefill")
    decode = Call(TARGET, binding(batch, 1, prompt), wants, phase="decode")
    return Program({TARGET: graph}, (prefill, decode))


def through(program: Program | Graph, pipeline: str) -> Program:
    """The program after a pipeline."""
    start = of(program) if isinstance(program, Graph) else program
    return run(start, parse(pipeline, KNOWN))[0]


def figures(program: Program | Graph) -> dict[object, Expr]:
    """Everything a call costs, by what it is: FLOP by unit, bytes by place and role, launches."""
    graph = program.graph() if isinstance(program, Program) else program
    cost = graph.cost
    found: dict[object, Expr] = {"launches": cost.launches}
    for part in (cost.flops, by_place_and_role(cost)):
        found |= {key: value for key, value in part.items() if value != 0}
    return {key: plain(value) for key, value in found.items() if plain(value) != 0}


def by_place_and_role(cost: Cost) -> Mapping[object, Expr]:
    """Bytes by place and role."""
    return {**cost.by(lambda value: (value.place, value.role))}


def plain(value: Expr) -> Expr:
    """A quantity multiplied out, with ``T`` read as ``B*S``."""
    return sp.expand(ragged(value))


def difference(before: Program | Graph, after: Program | Graph) -> dict[object, Expr]:
    """What a pass added (or, negative, removed), without what stayed."""
    a, b = figures(before), figures(after)
    changes = {key: plain(b.get(key, sp.S.Zero) - a.get(key, sp.S.Zero)) for key in {**a, **b}}
    return {key: value for key, value in changes.items() if value != 0}


def ops(program: Program, kind: type[Op]) -> list[tuple[Op, Expr]]:
    """Every op of a kind with how often a call runs it."""
    return [(op, n) for op, n in program.graph().walk() if isinstance(op, kind)]


def traffic(program: Program, *, role: str = "") -> Expr:
    """Bytes that leave the chip, of one role or of all."""
    moved = program.graph().cost.traffic()
    return plain(total(s for v, s in moved if v.place != "onchip" and (not role or v.role == role)))


def masks(program: Program) -> set[Mask]:
    """The masks of a program's attentions."""
    return {op.mask for op, _ in program.graph().walk() if hasattr(op, "mask")}

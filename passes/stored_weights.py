"""Weights as they are stored: behind what joins or decodes them, chosen by module names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import BlockLinear, Dequantize, Embedding, GroupedLinear, Linear
from mansard.ir.value import Value, stored_parts

KEPT = ("lm_head", "router", "embed")
"""Modules that compression leaves alone unless told otherwise."""


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern names the module, a parent of it, or a run of parts of its name.

    >>> matches("layers.shared_up_proj~1", ["*up_proj"]), matches("lm_head", ["head"])
    (True, False)
    """
    parts = name.partition("~")[0].split(".")
    spans = range(len(parts) + 1)
    runs = {".".join(parts[i:j]) for i in spans for j in spans if i < j}
    return any(fnmatchcase(run, pattern) for pattern in patterns for run in runs)


def leaves_of(graph: Graph, value: Value) -> Iterator[Value]:
    """Yield the stored leaves a product's weight is made of."""
    owner = graph.producers.get(value)
    if owner is None:
        for part in stored_parts(value):
            if part is value:
                yield part
            else:
                yield from leaves_of(graph, part)
    elif owner.is_view or isinstance(owner, Dequantize):
        for operand in owner.operands:
            yield from leaves_of(graph, operand)


def products(graph: Graph) -> Iterator[tuple[Graph, Op, tuple[Value, ...]]]:
    """Yield every product with weights, its graph and the leaves it multiplies with."""
    for op in graph.ops:
        for body in op.bodies:
            yield from products(body)
        if isinstance(op, (Linear, GroupedLinear, BlockLinear)):
            leaves = tuple(v for v in leaves_of(graph, op.w) if v.role == "weight")
            if leaves:
                yield graph, op, leaves


def compressible(graph: Graph, skip: Sequence[str]) -> dict[Value, list[Op]]:
    """Return the weights of products, and who multiplies with them, but for modules to skip.

    A weight that a skipped module shares (a tied head) is left out, and so is a table that tokens
    look up.
    """
    found: dict[Value, list[Op]] = {}
    kept = {p for op, _ in graph.walk() if isinstance(op, Embedding) for p in stored_parts(op.w)}
    for _, op, leaves in products(graph):
        for leaf in leaves:
            if matches(op.name, skip) or matches(leaf.storage, skip):
                kept.add(leaf)
            found.setdefault(leaf, []).append(op)
    return {leaf: ops for leaf, ops in found.items() if leaf not in kept}

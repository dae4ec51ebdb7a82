"""Walk a graph: what nobody needs is left out, constants vanish, the rest becomes ops."""

from __future__ import annotations

from collections.abc import Mapping

from mansard.core.errors import MansardError, SpecError
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.infer import CHECK, MISFIT
from mansard.frontends.onnx.lower import (
    attention,
    control,
    convolution,
    elementwise,
    experts,
    matmul,
    movement,
    norm,
    quantization,
)
from mansard.frontends.onnx.lower.patterns import patterns
from mansard.frontends.onnx.lower.registry import ENTRIES, Raised
from mansard.frontends.onnx.lower.scope import Scope
from mansard.ir.ops.tensor import Move

_REGISTERED = (attention, control, convolution, elementwise, experts, matmul, movement, norm,
               quantization)  # fmt: skip
"""Imported for the lowerings they register."""


def walk(scope: Scope) -> None:
    """Append the ops of a graph.

    Raises:
        SpecError: a node cannot be lowered; it is named.
    """
    raised = patterns(scope.index) if scope.shared.raised else {}
    alive = live(scope, raised)
    for node in scope.graph.body.nodes:
        if node in alive:
            _lower(scope, node, raised.get(node))


def _lower(scope: Scope, node: Node, found: Raised | None) -> None:
    try:
        entry = ENTRIES.get(node.op) if node.domain in ("", "com.microsoft") else None
        function = scope.graph.inner.get(node, {}).get("function")
        if found is not None:
            found.lower(scope, node)
        elif function is not None:
            control.call(scope, node, function)
        elif entry is not None:
            entry.lower(scope, node)
        else:
            unknown(scope, node)
        _complete(scope, node)
    except (MansardError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        if _is_unsized(scope, node):
            unsized(scope, node)
            return
        said, hint = (
            (error.message, error.hint) if isinstance(error, MansardError) else (MISFIT, None)
        )
        raise SpecError(f"node {node.label!r} ({node.kind}): {said}", hint=hint or CHECK) from error


def _complete(scope: Scope, node: Node) -> None:
    """Append results a lowering does not make, means and masks beside a norm, as written once."""
    for k, out in enumerate(node.outputs):
        if out and scope.find(out) is None and scope.tensor(out).shape is not None:
            op = Move((), scope.shape(out), scope.encoding(out), fn=node.op)
            scope.emit(op, node, output=k)


def _is_unsized(scope: Scope, node: Node) -> bool:
    """Whether an operator was left without sizes by one that nobody knows."""
    return any(scope.tensor(n).shape is None for n in (*node.inputs, *node.outputs) if n)


def unsized(scope: Scope, node: Node) -> None:
    """Append an operator whose operands have no known size as what bytes of it are known."""
    text = f"{node.kind} {node.label!r} has operands of unknown size: what is known is counted"
    scope.shared.note("M060", text)
    _as_bytes(scope, node)


def unknown(scope: Scope, node: Node) -> None:
    """Append an operator without a lowering as the bytes it reads and writes."""
    scope.shared.note("M060", f"{node.kind} {node.label!r} is unknown: only its bytes are counted")
    _as_bytes(scope, node)


def _as_bytes(scope: Scope, node: Node) -> None:
    xs = scope.operands(node.inputs)
    for k, out in enumerate(node.outputs):
        if out:
            op = Move(xs if k == 0 else (), scope.shape(out), scope.encoding(out), fn=node.kind)
            scope.emit(op, node, output=k)


def live(scope: Scope, raised: Mapping[Node, Raised]) -> set[Node]:
    """Return the nodes whose elements somebody needs."""
    index = scope.index
    wanted = set(scope.wanted)
    alive: set[Node] = set()
    for node in reversed(scope.graph.body.nodes):
        if any(o in wanted for o in node.outputs if o) and not vanishes(scope, node):
            alive.add(node)
            wanted.update(reads(node, raised))
            wanted.update(index.captured(node))
    return alive


def reads(node: Node, raised: Mapping[Node, Raised]) -> tuple[str, ...]:
    """Return the names whose elements a node needs."""
    if node in raised:
        return raised[node].reads
    entry = ENTRIES.get(node.op)
    return node.inputs if entry is None else node.inputs[: entry.reads]


def vanishes(scope: Scope, node: Node) -> bool:
    """Whether all a node makes is known without running: constants and arithmetic on sizes."""
    made = [scope.tensor(o) for o in node.outputs if o]
    return all(t.constant or (t.value is not None and None not in t.value) for t in made)

"""Nodes with bodies: functions are spelled out, one branch is taken, a loop repeats its body."""

from __future__ import annotations

from mansard.core.symbols import Expr, expr
from mansard.frontends.onnx.graph import Graph, Node
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph as Body
from mansard.ir.ops.tensor import Move
from mansard.ir.region import Repeat
from mansard.ir.value import Value


def call(scope: Scope, node: Node, body: Graph) -> None:
    """Lower a local function where it is called."""
    given = dict(zip(body.body.inputs, node.inputs, strict=False))
    inner = Scope(body, scope.build, scope.shared, scope, given)
    _run(inner)
    _return(scope, node, inner)


@lowers("If")
def branch(scope: Scope, node: Node) -> None:
    """Lower the branch that is taken; where data decide, the first, and a note says so."""
    bodies = scope.graph.inner.get(node, {})
    chosen = bodies.get("then_branch") or bodies.get("else_branch")
    if chosen is None:
        return
    if len(bodies) > 1:
        chosen = bodies[scope.shared.branch]
        taken = scope.shared.branch.removesuffix("_branch")
        scope.shared.note("M063", f"{node.label}: data decide; the {taken} branch is counted")
    inner = Scope(chosen, scope.build, scope.shared, scope)
    _run(inner)
    _return(scope, node, inner)


def _return(scope: Scope, node: Node, inner: Scope) -> None:
    for name, out in zip(node.outputs, inner.graph.body.outputs, strict=False):
        if name and inner.tensor(out).shape is not None:
            scope.bind(name, inner.value(out))


def _run(inner: Scope) -> None:
    from mansard.frontends.onnx.lower.walk import walk

    walk(inner)


@lowers("Loop", "Scan", "SequenceMap")
def loop(scope: Scope, node: Node) -> None:
    """Lower a body that runs many times; all trips share what is stored."""
    body = scope.graph.inner.get(node, {}).get("body")
    if body is None:
        return
    state = node.inputs[2:] if node.op == "Loop" else node.inputs
    lead = 2 if node.op == "Loop" else 0
    names = [n for n in (*state, *scope.index.captured(node)) if n]
    passed = [n for n in dict.fromkeys(names) if scope.find(n) is not None]
    results = body.body.outputs[1:] if node.op == "Loop" else body.body.outputs
    carried = [k for k, n in enumerate(state) if n in passed and k < len(results)]
    first = [state[k] for k in carried]
    order = first + [n for n in passed if n not in first]

    def fill(inner: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        run = Scope(body, inner, scope.shared, scope)
        run.env.update(dict(zip(order, given, strict=True)))
        for k, name in enumerate(body.body.inputs):
            outer = state[k - lead] if 0 <= k - lead < len(state) else ""
            if outer in order:
                run.bind(name, given[order.index(outer)])
            elif outer and scope.tensor(outer).constant:
                run.given[name] = outer
            else:
                kind = run.shape(name)
                run.bind(name, inner(Move((), kind, run.encoding(name), fn="index"), "index"))
        _run(run)
        left = (run.value(results[k]) for k in carried)
        return tuple(run.viewed(v, given[at].shape) for at, v in enumerate(left))

    def repeat(made: Body, ins: tuple[Value, ...]) -> Repeat:
        return Repeat(made, ins, _trips(scope, node), tuple(v.storage for v in made.leaves))

    values = tuple(scope.value(n) for n in order)
    outs = scope.build.region(repeat, scope.label(node), values, fill)
    for k, value in zip(carried, outs, strict=True):
        scope.bind(node.outputs[k], value)
    for k, out in enumerate(node.outputs):
        if out and scope.find(out) is None and scope.tensor(out).shape is not None:
            scope.emit(Move((), scope.shape(out), scope.encoding(out), fn="stack"), node, output=k)


def _trips(scope: Scope, node: Node) -> Expr:
    """Return how often a body runs: as the caller says, or one, where data decide."""
    if node.op != "Loop":
        scanned = scope.attr(node, "num_scan_inputs", 1)
        return expr((scope.tensor(node.inputs[-scanned]).shape or (1,))[0])
    known = scope.tensor(scope.input(node, 0)).value
    if known and known[0] is not None:
        return expr(known[0])
    name = "trips_" + "".join(c if c.isalnum() else "_" for c in node.label)
    if name in scope.shared.sizes:
        return scope.shared.sizes[name]
    text = f"{node.label}: data decide how often it runs; once is counted (model.{name}=N)"
    scope.shared.note("M063", text)
    return expr(1)

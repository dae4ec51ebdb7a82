"""Nodes with bodies: functions are spelled out, one branch is taken, a loop repeats its body."""

from __future__ import annotations

from mansard.core.symbols import Expr, expr
from mansard.frontends.onnx.graph import Graph, Node
from mansard.frontends.onnx.lower.index import free
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph as Body
from mansard.ir.ops.tensor import Either, Move
from mansard.ir.region import Repeat, Routed
from mansard.ir.value import Value


def call(scope: Scope, node: Node, body: Graph) -> None:
    """Lower a local function where it is called."""
    given = dict(zip(body.body.inputs, node.inputs, strict=False))
    inner = Scope(body, scope.build, scope.shared, scope, given)
    _run(inner)
    _return(scope, node, inner)


@lowers("If")
def branch(scope: Scope, node: Node) -> None:
    """Lower the branch that is taken; where data decide, what the policy says, never both whole."""
    bodies = scope.graph.inner.get(node, {})
    yes, no, share = (
        bodies.get("then_branch"),
        bodies.get("else_branch"),
        scope.shared.branches.share(node.label),
    )
    chosen = yes or no
    if chosen is None:
        return
    if yes is not None and no is not None:
        if 0 < share < 1:
            _shared(scope, node, (yes, no), share)
            return
        chosen, taken = (yes, "then") if share == 1 else (no, "else")
        scope.shared.decide(f"{taken} is counted", node.label)
    inner = Scope(chosen, scope.build, scope.shared, scope)
    _run(inner)
    _return(scope, node, inner)


def _shared(scope: Scope, node: Node, branches: tuple[Graph, Graph], share: Expr) -> None:
    """Append both branches, each as often as it is taken."""
    wanted = [k for k, name in enumerate(node.outputs) if name and _is_read(scope, name)]
    names = [n for n in scope.index.captured(node) if n and scope.find(n) is not None]
    made: list[tuple[Value, ...]] = []
    for graph, part, role in zip(branches, (share, 1 - share), ("then", "else"), strict=True):
        passed = [n for n in names if n in set(free(graph))]

        def fill(
            inner: Builder, given: tuple[Value, ...], graph: Graph = graph,
            passed: list[str] = passed,
        ) -> tuple[Value, ...]:  # fmt: skip
            run = Scope(graph, inner, scope.shared, scope)
            run.env.update(zip(passed, given, strict=True))
            run.wanted = tuple(graph.body.outputs[k] for k in wanted)
            _run(run)
            return tuple(_made(run, name) for name in run.wanted)

        def routed(body: Body, ins: tuple[Value, ...], part: Expr = part) -> Routed:
            return Routed(body, ins, part, expr(1))

        ins = tuple(scope.value(n) for n in passed)
        made.append(scope.build.region(routed, f"{scope.label(node)}.{role}", ins, fill))
    for k, a, b in zip(wanted, *made, strict=True):
        name = node.outputs[k]
        scope.emit(Either((a, b), scope.shape(name), scope.encoding(name)), node, output=k)
    scope.shared.decide(f"then is counted for {share} of the calls, else for the rest", node.label)


def _is_read(scope: Scope, name: str) -> bool:
    known = scope.tensor(name).shape is not None
    return known and (name in scope.wanted or bool(scope.index.readers.get(name)))


def _made(run: Scope, name: str) -> Value:
    """Return what a branch yields, copied where no op of the branch makes it."""
    found = run.value(name)
    if not found.storage and found.name != name:
        return found
    return run.build(Move((found,), found.shape, found.encoding.plain, fn="copy"), "copy")


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

"""The order of nodes: every name is made once, and before it is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mansard.core.errors import SpecError, nearest
from mansard.frontends.onnx.graph import Body, Node


def ordered(
    nodes: list[Node], given: frozenset[str], graph: str, *, closed: bool
) -> tuple[Node, ...]:
    """Return the nodes in an order in which operands come first: the file's, where that is one.

    Args:
        nodes: in the file's order.
        given: the graph's inputs and initializers.
        graph: its name.
        closed: whether every other name must be made here; a body's may come from outside, which
            is checked where the node that holds it is.

    Raises:
        SpecError: a name is made twice, is used and never made, or nodes form a cycle.
    """
    makers: dict[str, Node] = {}
    for node in nodes:
        for out in filter(None, node.outputs):
            if out in makers or out in given:
                raise SpecError(f"graph {graph!r} makes {out!r} twice", hint="export it again")
            makers[out] = node
    reads = {node: [n for n in reads_of(node) if n not in given] for node in nodes}
    seen: set[str] = set()
    for node in nodes:
        for name in reads[node]:
            if name not in seen and (closed or name in makers):
                return _sorted(nodes, makers, reads, graph, closed)
        seen.update(node.outputs)
    return tuple(nodes)


def reads_of(node: Node) -> Iterator[str]:
    """Yield the names a node reads: its inputs, and what its bodies take from outside."""
    yield from filter(None, node.inputs)
    for value in node.attributes.values():
        for body in value if isinstance(value, tuple) else (value,):
            if isinstance(body, Body):
                yield from free_names(body)


def free_names(body: Body) -> set[str]:
    """Return the names a body takes from the graphs around it."""
    made = {*body.inputs, *body.weights, *(o for n in body.nodes for o in n.outputs)}
    read = {r for n in body.nodes for r in reads_of(n)} | {o for o in body.outputs if o}
    return read - made


def _sorted(
    nodes: list[Node],
    makers: dict[str, Node],
    reads: dict[Node, list[str]],
    graph: str,
    closed: bool,
) -> tuple[Node, ...]:
    waiting: dict[Node, int] = {}
    readers: dict[Node, list[Node]] = {}
    for node in nodes:
        needs = {makers[n]: None for n in reads[node] if n in makers}
        missing = next((n for n in reads[node] if n not in makers), None)
        if missing is not None and closed:
            close = nearest(missing, makers) if len(makers) < 1000 else []
            hint = f"did you mean {close[0]!r}?" if close else "export the model again"
            raise SpecError(
                f"node {node.label!r} ({node.kind}) of graph {graph!r} reads {missing!r}, "
                "which nothing makes",
                hint=hint,
            )
        waiting[node] = len(needs)
        for maker in needs:
            readers.setdefault(maker, []).append(node)
    ready = deque(n for n in nodes if not waiting[n])
    done: list[Node] = []
    while ready:
        node = ready.popleft()
        done.append(node)
        for reader in readers.get(node, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if len(done) < len(nodes):
        stuck = next(n for n in nodes if waiting[n])
        raise SpecError(
            f"graph {graph!r} has a cycle through node {stuck.label!r} ({stuck.kind})",
            hint="a loop is a Loop or a Scan node in ONNX: export the model again",
        )
    return tuple(done)

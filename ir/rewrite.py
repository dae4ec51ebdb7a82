"""The two verbs that change a graph: ``rewrite`` replaces ops, ``retype`` changes leaves.

Both reach every body, return the very same graph when nothing matched, and infer downstream only
until types are equal again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from mansard.core.records import dataclass
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.op import Op
from mansard.ir.pattern import Match, Pattern
from mansard.ir.region import Region
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import same_type, verify


@dataclass(frozen=True)
class Rule:
    """Replace what ``match`` finds by what ``build`` returns, ``because`` of a citable reason.

    ``build`` gets the match and returns ops edited with ``dataclasses.replace`` (each takes its
    own place), a new op (it takes the root's), or nothing after calling ``add`` and ``swap``.
    """

    match: Pattern
    build: Callable[[Match], Op | tuple[Op, ...] | None]
    because: str


@dataclass(frozen=True)
class Rewritten:
    """The graph after a rule set, and how often each rule applied."""

    graph: Graph
    matches: int


def rewrite(graph: Graph, rules: Iterable[Rule], *, by: str = "") -> Rewritten:
    """Apply rules once to everything they match, in every body; drop what is dead afterwards.

    Args:
        graph: to rewrite.
        rules: tried in order at each op; a matched op is left alone by later ones.
        by: the pass, written in front of each rule's reason.
    """
    rules = tuple(rules)
    count = 0

    def one(body: Graph) -> Graph:
        nonlocal count
        edits, swapped, found = _edits(body, rules, by)
        count += found
        return drop_dead(rebuild(body, edits=edits, swapped=swapped)) if found else body

    changed = everywhere(graph, one)
    return Rewritten(graph if changed is graph else verify(changed), count)


def _edits(
    graph: Graph, rules: Sequence[Rule], by: str
) -> tuple[dict[Op, list[Op]], dict[Value, Value], int]:
    edits: dict[Op, list[Op]] = {}
    swapped: dict[Value, Value] = {}
    taken = {v.name for v in (*graph.inputs, *graph.producers)}
    done: set[Op] = set()
    found = 0
    for op in graph.ops:
        for rule in rules:
            match = rule.match.find(op, graph)
            if match is None or done.intersection(match.ops):
                continue
            match.taken = taken
            match.finish(rule.build(match))
            if not match.edits:
                continue
            reason = f"{by}: {rule.because}" if by else rule.because
            edits |= {k: [o.explained(reason) for o in ops] for k, ops in match.edits.items()}
            swapped |= match.swapped
            done.update(match.ops)
            found += 1
            break
    return edits, swapped, found


def everywhere(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """Apply a graph-to-graph function to every body, innermost first, then to the graph."""
    bodies: dict[Graph, Graph] = {}  # equal bodies stay one object

    def visit(g: Graph) -> Graph:
        edits: dict[Op, list[Op]] = {}
        for op in g.ops:
            if isinstance(op, Region):
                if op.body not in bodies:
                    bodies[op.body] = visit(op.body)
                if bodies[op.body] is not op.body:
                    edits[op] = [replace(op, body=bodies[op.body])]
        return change(rebuild(g, edits=edits) if edits else g)

    return visit(graph)


def retype(graph: Graph, change: Callable[[Value], TensorType]) -> Graph:
    """Give leaves new types and infer again downstream, through regions.

    Args:
        graph: to change.
        change: the new type of a leaf; its own where nothing changes.
    """
    leaves = {v: Value(v.name, t) for v in graph.leaves if (t := change(v)) != v.type}
    return verify(rebuild(graph, leaves=leaves)) if leaves else graph


Bodies = dict[tuple[Graph, tuple[TensorType, ...]], Graph]
"""A body and the types handed to it → what becomes of it."""


def rebuild(
    graph: Graph,
    *,
    leaves: Mapping[Value, Value] | None = None,
    inputs: Mapping[Value, Value] | None = None,
    edits: Mapping[Op, Sequence[Op]] | None = None,
    swapped: Mapping[Value, Value] | None = None,
    bodies: Bodies | None = None,
) -> Graph:
    """Return the graph with leaves, inputs and ops replaced, results inferred where they change.

    Args:
        graph: to rebuild.
        leaves: new leaves, here and in every body.
        inputs: new inputs of this graph.
        edits: what stands in an op's place.
        swapped: results of edits that old readers should read.
        bodies: rebuilt so far, so that equal bodies stay one object.
    """
    leaves, inputs, edits = leaves or {}, inputs or {}, edits or {}
    bodies = {} if bodies is None else bodies
    now: dict[Value, Value] = {**leaves, **inputs, **(swapped or {})}
    ops: list[Op] = []
    for old in graph.ops:
        for op in edits.get(old, (old,)):
            moved = op.with_operands(_resolved(now, op.operands))
            if isinstance(moved, Region):
                moved = _rebuilt_region(moved, leaves, bodies)
            if moved is not op or op is not old:
                moved = _inferred(moved, now)
            ops.append(moved)
    outputs = tuple(_resolve(now, v) for v in graph.outputs)
    given = tuple(now.get(v, v) for v in graph.inputs)
    if given == graph.inputs and outputs == graph.outputs and tuple(ops) == graph.ops:
        return graph
    return replace(graph, inputs=given, ops=tuple(ops), outputs=outputs)


def keeping_outputs(before: Graph, after: Graph) -> Graph:
    """Return ``after`` with outputs called as those of ``before``: calls name what they want."""
    pairs = zip(before.outputs, after.outputs, strict=False)
    names = {new: old.name for old, new in pairs if new.name != old.name}
    names = {new: name for new, name in names.items() if new in after.producers}
    if not names or len(before.outputs) != len(after.outputs):
        return after
    taken = {v.name for v in (*after.inputs, *after.producers)} | set(names.values())
    wanted = set(names.values())
    for value in after.producers:
        if value.name in wanted and value not in names:
            names[value] = fresh_name(value.name, taken)
    swapped = {value: Value(name, value.type) for value, name in names.items()}
    makers = dict.fromkeys(after.producers[value] for value in swapped)
    edits = {op: (replace(op, outs=tuple(swapped.get(v, v) for v in op.outs)),) for op in makers}
    return rebuild(after, edits=edits, swapped=swapped)


def _resolve(now: Mapping[Value, Value], value: Value) -> Value:
    while value in now:
        value = now[value]
    return value


def _resolved(now: Mapping[Value, Value], values: Iterable[Value]) -> dict[Value, Value]:
    return {v: _resolve(now, v) for v in values if v in now}


def _inferred(op: Op, now: dict[Value, Value]) -> Op:
    """Infer the results again; keep each value whose type is still the same."""
    outs = tuple(
        out if same_type(out.type, t) and _same_parts(out.type, t) else Value(out.name, t)
        for out, t in zip(op.outs, op.infer(), strict=True)
    )
    now.update({a: b for a, b in zip(op.outs, outs, strict=True) if a is not b})
    return op if outs == op.outs else replace(op, outs=outs)


def _same_parts(a: TensorType, b: TensorType) -> bool:
    return a.parts == b.parts


def _rebuilt_region(op: Region, leaves: Mapping[Value, Value], bodies: Bodies) -> Region:
    handed = {
        old: replace(new.type, storage=new.storage if old.storage else "", role=old.role, parts=())
        for old, new in zip(op.body.inputs, op.ins, strict=True)
    }
    inputs = {o: Value(o.name, t) for o, t in handed.items() if not same_type(o.type, t)}
    key = (op.body, tuple(handed.values()))
    if key not in bodies:
        bodies[key] = rebuild(op.body, leaves=leaves, inputs=inputs, bodies=bodies)
    body = bodies[key]
    return op if body is op.body else replace(op, body=body)


def root(graph: Graph, value: Value) -> Value:
    """Look through views and dequantization to the leaf a value comes from, or to itself."""
    from mansard.ir.ops import Dequantize, Join

    owner = graph.producers.get(value)
    while owner is not None and (owner.is_view or isinstance(owner, Dequantize)):
        if isinstance(owner, Join):
            break
        value = owner.operands[0]
        owner = graph.producers.get(value)
    return value


def fuse(ops: Iterable[Op], label: str) -> tuple[Op, ...]:
    """Label ops as one kernel."""
    return tuple(replace(op, kernel=label) for op in ops)

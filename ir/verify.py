"""The rules every graph keeps; checked when it is built and after every pass."""

from __future__ import annotations

from mansard.core.errors import VerifyError
from mansard.ir.graph import Graph
from mansard.ir.kernel import kernels
from mansard.ir.op import Op, same_size
from mansard.ir.value import TensorType, Value, stored_parts


def verify(graph: Graph) -> Graph:
    """Return the graph, or raise at the first rule it breaks.

    Every operand is made before it is used or is a leaf, names are unique, every result has the
    type its op infers, a region's operands have the types its body takes, kernels are convex and
    do not wait for each other, bodies keep all this.

    Raises:
        VerifyError: naming the op and the rule.
    """
    known: set[Value] = set(graph.inputs)
    names: set[str] = set()
    for v in graph.inputs:
        _named(v, names)
    later = set(graph.producers)
    for op in graph.ops:
        _operands(op, known, later)
        _results(op, names)
        known.update(op.outs)
        later.difference_update(op.outs)
        for body in op.bodies:
            _handed(op, body)
            verify(body)
    for out in graph.outputs:
        if any(p not in known and not p.storage for p in stored_parts(out)):
            raise VerifyError(f"output %{out.name} is made by no op")
    _convex(graph)
    kernels(graph)
    return graph


def _named(value: Value, names: set[str]) -> None:
    if value.name in names:
        raise VerifyError(f"two values are called %{value.name}")
    names.add(value.name)


def _operands(op: Op, known: set[Value], later: set[Value]) -> None:
    for v in op.operands:
        for part in (v, *stored_parts(v)):
            loose = part not in known and not part.storage and not part.parts and v not in known
            if loose or part in later:
                raise VerifyError(
                    f"{op.kind} %{op.out.name} uses %{part.name} before it is made",
                    hint="ops stand in topological order; a leaf has a storage",
                )


def _handed(op: Op, body: Graph) -> None:
    for given, taken in zip(op.operands, body.inputs, strict=False):
        same = given.encoding == taken.encoding and len(given.shape) == len(taken.shape)
        if not same or not all(map(same_size, given.shape, taken.shape)):
            raise VerifyError(f"{op.kind} %{op.out.name} hands {given!r} to a body of {taken!r}")


def _results(op: Op, names: set[str]) -> None:
    if not op.outs:
        raise VerifyError(f"{op.kind} {op.name or '?'} has no result", hint="finish the op first")
    for out in op.outs:
        _named(out, names)
    inferred = op.infer()
    if len(inferred) != len(op.outs):
        raise VerifyError(
            f"{op.kind} %{op.out.name} has {len(op.outs)} results, not {len(inferred)}"
        )
    for out, wanted in zip(op.outs, inferred, strict=True):
        if not same_type(out.type, wanted):
            raise VerifyError(f"{op.kind} {out!r} should be {Value(out.name, wanted)!r}")


def same_type(a: TensorType, b: TensorType) -> bool:
    """Whether two types are equal, sizes compared with ``T`` read as ``B*S``."""
    if a == b:
        return True
    if (a.encoding, a.role, a.storage, a.place) != (b.encoding, b.role, b.storage, b.place):
        return False
    if len(a.shape) != len(b.shape) or (a.live is None) != (b.live is None):
        return False
    sizes = [*zip(a.shape, b.shape, strict=True)]
    if a.live is not None and b.live is not None:
        sizes.append((a.live, b.live))
    return all(same_size(x, y) for x, y in sizes)


def _convex(graph: Graph) -> None:
    """Raise when a kernel would have to wait for something that waits for the kernel."""
    spans: dict[str, tuple[int, int]] = {}
    for at, op in enumerate(graph.ops):
        if op.kernel:
            spans[op.kernel] = (spans.get(op.kernel, (at, at))[0], at)
    for label, (first, last) in spans.items():
        inside: set[Value] = set()
        waiting: dict[Value, Op] = {}
        for op in graph.ops[first : last + 1]:
            if op.kernel == label:
                culprit = next((waiting[v] for v in op.operands if v in waiting), None)
                if culprit is not None:
                    raise VerifyError(
                        f"kernel {label!r} is not convex: {op.kind} %{op.out.name} waits for "
                        f"{culprit.kind} %{culprit.out.name}, which waits for the kernel",
                        hint="give the op between them the same label, or split the kernel",
                    )
                inside.update(op.outs)
            elif any(v in inside or v in waiting for v in op.operands):
                waiting.update(dict.fromkeys(op.outs, op))

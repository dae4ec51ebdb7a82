"""Control flow: a branch that is taken or not, and bodies that run many times."""

from __future__ import annotations

from collections.abc import Sequence

from mansard.core.errors import SpecError
from mansard.frontends.onnx.dims import Dim
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import UNKNOWN, Optional, Tensor, Value
from mansard.frontends.onnx.values import Sequence as SequenceValue


@rule("If")
def branch(call: Call, condition: Tensor) -> Sequence[Value]:
    """Yield what the branch taken yields; where data decide, what both have in common."""
    known = condition.value[0] if condition.value else None
    choice = {"then": 1, "else": 0}.get(call.choice)
    if isinstance(known, int):
        return call.enter("then_branch" if known else "else_branch", ())
    if choice is not None:
        return _chosen(call, *(("then", "else") if choice else ("else", "then")))
    yes, no = call.enter("then_branch", ()), call.enter("else_branch", ())
    if any(_ranks_differ(a, b) for a, b in zip(yes, no, strict=True)):
        call.facts.assume(f"{call.node.label}: its branches differ in rank; the first is taken")
        return yes
    return [joined(call, k, a, b) for k, (a, b) in enumerate(zip(yes, no, strict=True))]


def _chosen(call: Call, wanted: str, other: str) -> Sequence[Value]:
    """Yield what the wanted branch yields; the other is inferred too, unless sizes rule it out."""
    label = call.node.label
    try:
        found = call.enter(f"{wanted}_branch", ())
    except SpecError as error:
        inner = error.hint or ""
        hint = inner if "--branch" in inner else _instead(call, wanted, other)
        raise SpecError(error.message, hint=hint) from error
    try:
        call.enter(f"{other}_branch", ())
    except SpecError as error:
        call.inner.pop(f"{other}_branch", None)
        text = f"{label}: the {wanted} branch is counted; sizes rule out the other"
        call.facts.assume(f"{text} ({error.message[:120]})")
    return found


def _instead(call: Call, wanted: str, other: str) -> str:
    """Say what to ask for where a branch does not fit.

    Else of every node is else of those inside a branch too, and mostly these do not fit then.
    """
    label = call.node.label
    if call.every == "else":
        return (
            f"--branch '{label}={wanted}' by itself leaves every other If at then;"
            f" '{label}={other}' takes the other branch"
        )
    return f"--branch '{label}={other}' takes the other branch"


def _ranks_differ(a: Value, b: Value) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return False
    return a.shape is not None and b.shape is not None and a.rank != b.rank


def joined(call: Call, part: int, a: Value, b: Value) -> Value:
    """Return what two values have in common; a size in which they differ gets a name."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape is None or b.shape is None or a.rank != b.rank:
            return Tensor(a.dtype or b.dtype)
        pairs = enumerate(zip(a.shape, b.shape, strict=True))
        shape = [x if x == y else call.fresh(f"{part}_{k}", x) for k, (x, y) in pairs]
        value = a.value if a.value == b.value and a.shape == b.shape else None
        return Tensor(a.dtype or b.dtype, tuple(shape), value)
    if isinstance(a, SequenceValue) and isinstance(b, SequenceValue):
        element = joined(call, part, a.element, b.element)
        length = a.length if a.length == b.length else None
        return SequenceValue(element if isinstance(element, Tensor) else UNKNOWN, length)
    if isinstance(a, Optional) and isinstance(b, Optional):
        return Optional(a.element, a.present if a.present == b.present else None)
    return a if type(a) is type(b) else UNKNOWN


def _carried(
    call: Call, lead: tuple[Value, ...], first: tuple[Value, ...], rest: tuple[Value, ...]
) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """Infer a body whose state comes back to it, until no trip changes what the state is.

    A size that a trip changes gets a name, a rank that changes is unknown: so it ends.
    """
    state = tuple(map(_loose, first))
    start = 1 if lead else 0  # a loop's body yields first whether to go on
    while True:
        outs = call.enter("body", (*lead, *state, *rest))
        back = outs[start : start + len(state)]
        pairs = enumerate(zip(state, back, strict=True))
        wider = tuple(joined(call, k, a, _loose(b)) for k, (a, b) in pairs)
        if wider == state:
            return state, outs[start + len(state) :]
        state = wider


def _loose(value: Value) -> Value:
    """Return a value of which only the type is kept: a trip may change its elements."""
    if isinstance(value, Tensor):
        return Tensor(value.dtype, value.shape)
    if isinstance(value, SequenceValue):
        return SequenceValue(value.element)
    return value


@rule("Loop")
def loop(
    call: Call, trips: Tensor | None, going: Tensor | None, *carried: Value
) -> Sequence[Value]:
    """Run a body; what it yields per trip is stacked: ``[trips, …]``."""
    lead = (Tensor("int64", ()), Tensor("bool", ()))
    state, outs = _carried(call, lead, carried, ())
    count = _trips(call, trips, going)
    stacked = [
        Tensor(v.dtype, None if v.shape is None else (count, *v.shape))
        for v in outs
        if isinstance(v, Tensor)
    ]
    return [*state, *stacked]


def _trips(call: Call, trips: Tensor | None, going: Tensor | None) -> Dim:
    known = trips.value[0] if trips is not None and trips.value else None
    always = going is None or going.value == (1,)
    return known if known is not None and always else call.fresh("trips", known)


@rule("Scan", since=9)
def scan(call: Call, *inputs: Tensor) -> Sequence[Value]:
    """Run a body along an axis of its last inputs, stacking what it yields."""
    count = call.need("num_scan_inputs", int)
    first, scanned = inputs[: len(inputs) - count], inputs[len(inputs) - count :]
    axes = call.attr("scan_input_axes", (0,) * count)
    length: Dim = 1
    slices: list[Value] = []
    for tensor, axis in zip(scanned, axes, strict=True):
        axis = tensor.axis(axis)
        length = tensor.dims[axis]
        slices.append(tensor.like((*tensor.dims[:axis], *tensor.dims[axis + 1 :])))
    state, outs = _carried(call, (), first, tuple(slices))
    yielded = [v for v in outs if isinstance(v, Tensor)]
    where = call.attr("scan_output_axes", (0,) * len(yielded))
    return [*state, *(_stacked(v, a, length) for v, a in zip(yielded, where, strict=True))]


def _stacked(value: Tensor, axis: int, length: Dim) -> Tensor:
    if value.shape is None:
        return Tensor(value.dtype)
    axis = axis % (len(value.shape) + 1)
    return Tensor(value.dtype, (*value.shape[:axis], length, *value.shape[axis:]))


@rule("SequenceMap")
def sequence_map(call: Call, first: SequenceValue, *more: Value) -> Sequence[Value]:
    """Run a body on each element."""
    given = [m.element if isinstance(m, SequenceValue) else m for m in more]
    outs = call.enter("body", (first.element, *given))
    return [SequenceValue(v, first.length) for v in outs if isinstance(v, Tensor)]

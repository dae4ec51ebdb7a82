"""Operators that fold axes: sums, means, extremes, positions of extremes, running sums."""

from __future__ import annotations

from mansard.frontends.onnx.dims import Dim, add, larger, mul, smaller
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import Scalar, Tensor, shaped

REDUCTIONS = tuple(
    f"Reduce{name}"
    for name in (
        "Sum",
        "Mean",
        "Max",
        "Min",
        "Prod",
        "L1",
        "L2",
        "LogSum",
        "LogSumExp",
        "SumSquare",
    )
)
_FOLDS = {"ReduceSum": add, "ReduceMax": larger, "ReduceMin": smaller, "ReduceProd": mul}


@rule(*REDUCTIONS)
def reduced(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Fold the axes named, all when none is; keep them as 1 unless ``keepdims`` is 0."""
    given = call.ints("axes", axes)
    if not given and call.attr("noop_with_empty_axes", 0):
        return x.like()
    folds = {x.axis(a) for a in given} if given else set(range(x.rank))
    keep = call.attr("keepdims", 1)
    dims = [1 if k in folds else d for k, d in enumerate(x.dims) if keep or k not in folds]
    out = x.like(dims)
    fold = _FOLDS.get(call.node.op)
    if fold is None or x.value is None or len(folds) < x.rank or None in x.value or not x.value:
        return out
    result: Dim = x.value[0] if x.value[0] is not None else 0
    for element in x.numbers()[1:]:
        result = fold(result, element)
    return Tensor(out.dtype, out.shape, (result,))


@rule("ArgMax", "ArgMin")
def position(call: Call, x: Tensor) -> Tensor:
    """Yield where the extreme along an axis lies."""
    axis = x.axis(call.attr("axis", 0))
    kept = (1,) if call.attr("keepdims", 1) else ()
    return shaped("int64", (*x.dims[:axis], *kept, *x.dims[axis + 1 :]))


@rule("CumSum")
def running(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    """Fold what came before along an axis."""
    out = x.like()
    plain = call.attr("exclusive", 0) == call.attr("reverse", 0) == 0
    if x.value is None or x.rank != 1 or not plain:
        return out
    sums: list[Scalar] = []
    for element in x.value:
        before = sums[-1] if sums else 0
        sums.append(None if element is None or before is None else add(before, element))
    return Tensor(out.dtype, out.shape, tuple(sums))


@rule("TopK")
def top(call: Call, x: Tensor, k: Tensor | None = None) -> list[Tensor]:
    """Yield the ``k`` largest along an axis, and where they lie."""
    axis = x.axis(call.attr("axis", -1))
    given = call.attr("k", None) if k is None else k.value[0] if k.value else None
    count: Dim = call.fresh("k") if given is None else given
    dims = (*x.dims[:axis], count, *x.dims[axis + 1 :])
    return [x.like(dims), shaped("int64", dims)]

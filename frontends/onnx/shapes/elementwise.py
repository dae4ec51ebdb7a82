"""Operators that act on each element: broadcasting, and the values of small tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mansard.frontends.onnx.dims import (
    Dim,
    Unresolved,
    add,
    equal,
    floor,
    larger,
    lower,
    modulo,
    mul,
    never_below,
    quotient,
    smaller,
    sub,
)
from mansard.frontends.onnx.dims import floor_div as floor_division
from mansard.frontends.onnx.dtypes import INTEGERS, name_of
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import KNOWN_ELEMENTS, Scalar, Tensor

Fold: TypeAlias = Callable[..., Scalar]


def _divided(a: Dim, b: Dim) -> Scalar:
    return quotient(a, b) if b != 0 else None


def _whole(a: Dim, b: Dim) -> Scalar:
    """Divide as C does, towards zero."""
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return floor_division(a, b)


def _power(a: Dim, b: Dim) -> Scalar:
    if not isinstance(b, int) or not 0 <= b <= 8:
        return None
    result: Dim = 1
    for _ in range(b):
        result = mul(result, a)
    return result


def _truth(known: bool | None) -> Scalar:
    return None if known is None else int(known)


def _at_least(a: Dim, b: Dim) -> bool | None:
    return True if never_below(a, b) else False if never_below(b, add(a, 1)) else None


def _negated(known: bool | None) -> bool | None:
    return None if known is None else not known


FOLDS: dict[str, Fold] = {
    "Add": add, "Sub": sub, "Mul": mul, "Pow": _power, "Mod": modulo, "Sum": add,
    "Min": smaller, "Max": larger,
    "Neg": lambda a: mul(-1, a), "Abs": lambda a: a if never_below(a, 0) else None,
    "Floor": floor, "Ceil": lambda a: mul(-1, floor(mul(-1, a))), "Identity": lambda a: a,
    "Sign": lambda a: 1 if never_below(a, 1) else 0 if a == 0 else None,
    "Relu": lambda a: larger(a, 0),
    "Not": lambda a: 1 - a if isinstance(a, int) else None,
    "And": lambda a, b: 0 if 0 in (a, b) else 1 if (a, b) == (1, 1) else None,
    "Or": lambda a, b: 1 if 1 in (a, b) else 0 if (a, b) == (0, 0) else None,
    "Xor": lambda a, b: _truth(_negated(equal(a, b))),
    "Equal": lambda a, b: _truth(equal(a, b)),
    "GreaterOrEqual": lambda a, b: _truth(_at_least(a, b)),
    "LessOrEqual": lambda a, b: _truth(_at_least(b, a)),
    "Greater": lambda a, b: _truth(_negated(_at_least(b, a))),
    "Less": lambda a, b: _truth(_negated(_at_least(a, b))),
}  # fmt: skip
"""Operator → what it makes of one element of each operand."""

_UNSURE = frozenset({"And", "Or"})


def folded(fold: Fold, *operands: Tensor, some_unknown: bool = False) -> Any:
    """Return the elements of a result as an object array, or nothing when none is followed."""
    arrays = [t.array for t in operands]
    if any(a is None for a in arrays):
        return None
    aligned = np.broadcast_arrays(*arrays)
    if aligned[0].size > KNOWN_ELEMENTS:
        return None
    result = np.empty(aligned[0].shape, dtype=object)
    flat = zip(*(a.ravel().tolist() for a in aligned), strict=True)
    result.ravel()[:] = [
        None if not some_unknown and any(e is None for e in es) else _element(fold, es)
        for es in flat
    ]
    return result


def _element(fold: Fold, operands: tuple[Scalar, ...]) -> Scalar:
    try:
        return fold(*operands)
    except Unresolved:
        return None


UNARY = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Cos",
    "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink",
    "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh",
    "ThresholdedRelu",
)  # fmt: skip
BINARY = (
    "Add", "Sub", "Mul", "Pow", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Mod", "And",
    "Or", "Xor", "PRelu",
)  # fmt: skip
COMPARED = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")


@rule(*UNARY)
@rule("QuickGelu", "FastGelu", "BiasGelu", domain=MS)
def unary(call: Call, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the operand's own shape."""
    out = x.like()
    fold = FOLDS.get(call.node.op)
    return out.filled(folded(fold, x)) if fold and x.value is not None else out


@rule(*BINARY)
def binary(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """Return the broadcast shape; ``axis`` of old versions aligns ``b`` at an axis."""
    return _combined(call, a, _placed(call, a, b), dtype=a.dtype or b.dtype)


@rule("Div")
def div(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """Divide: integers towards zero, numbers exactly."""
    whole = a.dtype in INTEGERS
    return _combined(call, a, _placed(call, a, b), fold=_whole if whole else _divided)


@rule(*COMPARED)
def compared(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """Return truths."""
    return _combined(call, a, _placed(call, a, b), dtype="bool")


@rule("Sum", "Min", "Max", "Mean")
def several(call: Call, *operands: Tensor) -> Tensor:
    """Broadcast any number of operands."""
    out = operands[0].like(call.broadcast(*operands))
    fold = FOLDS.get(call.node.op)
    if fold is None or any(t.value is None for t in operands):
        return out
    result = operands[0]
    for other in operands[1:]:
        result = result.like(call.broadcast(result, other)).filled(folded(fold, result, other))
    return result


@rule("Where")
def where(call: Call, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Choose per element."""
    out = a.like(call.broadcast(condition, a, b))

    def chosen(c: Scalar, x: Scalar, y: Scalar) -> Scalar:
        return (x if x == y else None) if c is None else x if c else y

    return out.filled(folded(chosen, condition, a, b, some_unknown=True))


@rule("Clip")
def clip(call: Call, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Bound each element."""
    out = x.like()
    if x.value is None or x.dtype not in INTEGERS:
        return out
    array = x.array
    for bound, fold in ((low, larger), (high, smaller)):
        array = array if bound is None or array is None else folded(fold, x.filled(array), bound)
    return out.filled(array)


@rule("Cast", "CastLike")
def cast(call: Call, x: Tensor, like: Tensor | None = None) -> Tensor:
    """Change the dtype; a float becomes an integer towards zero."""
    stated = "" if like is not None else name_of(call.need("to", int), "its attribute 'to'")
    dtype = stated or (like.dtype if like is not None else "")
    out = x.like(dtype=dtype)
    if x.value is None:
        return out
    return out.filled(folded(lambda v: _converted(v, dtype), x))


def _converted(value: Dim, dtype: str) -> Scalar:
    if dtype == "bool":
        return None if equal(value, 0) is None else int(value != 0)
    if dtype in INTEGERS:
        bound = lower(value)
        return floor(value) if bound is not None and bound >= 0 else _negative(value)
    return value


def _negative(value: Dim) -> Scalar:
    if isinstance(value, int):
        return value
    return int(value) if value.is_number else value if value.is_integer else None


@rule("IsNaN", "IsInf")
def tested(call: Call, x: Tensor) -> Tensor:
    """Return truths of the operand's shape."""
    return x.like(dtype="bool")


def _placed(call: Call, a: Tensor, b: Tensor) -> Tensor:
    axis = call.attr("axis", -1) if call.version < 7 else -1
    if axis < 0 or call.node.domain:
        return b
    pad = a.rank - axis - b.rank
    return b.like((*b.dims, *[1] * max(pad, 0))).filled(b.array)


def _combined(
    call: Call, a: Tensor, b: Tensor, *, dtype: str | None = None, fold: Fold | None = None
) -> Tensor:
    out = a.like(call.broadcast(a, b), dtype)
    if a.value is None or b.value is None:
        return out
    fold = fold or FOLDS.get(call.node.op)
    unsure = call.node.op in _UNSURE
    return out.filled(folded(fold, a, b, some_unknown=unsure)) if fold else out

"""Products of matrices: MatMul and its integer, fused and packed forms, Gemm, Einsum."""

from __future__ import annotations

import string

from mansard.core.errors import SpecError
from mansard.frontends.onnx.dims import Dim
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import Shape, Tensor, shaped


def multiplied(call: Call, a: Shape, b: Shape) -> Shape:
    """Return the shape of a product of stacks of matrices; a vector is a row or a column."""
    left = (1, *a) if len(a) == 1 else a
    right = (*b, 1) if len(b) == 1 else b
    call.same(left[-1], right[-2])
    stack = call.facts.broadcast((left[:-2], right[:-2]), call.node.label)
    rows: Shape = () if len(a) == 1 else (left[-2],)
    columns: Shape = () if len(b) == 1 else (right[-1],)
    return (*stack, *rows, *columns)


@rule("MatMul")
def matmul(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """Multiply."""
    return a.like(multiplied(call, a.dims, b.dims))


@rule("MatMulInteger")
@rule("MatMulIntegerToFloat", "DynamicQuantizeMatMul", domain=MS)
def integer(call: Call, a: Tensor, b: Tensor, *scales: Tensor | None) -> Tensor:
    """Multiply integers into int32, or into the floats their scales make of them."""
    dtype = "int32" if call.node.op == "MatMulInteger" else "fp32"
    return shaped(dtype, multiplied(call, a.dims, b.dims))


@rule("QLinearMatMul")
def qlinear(
    call: Call, a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, *rest: Tensor | None
) -> Tensor:
    """Multiply quantized matrices into a quantized one."""
    zero = rest[-1]
    return shaped(zero.dtype if zero else a.dtype, multiplied(call, a.dims, b.dims))


@rule("FusedMatMul", domain=MS)
def fused(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """Multiply operands that may be transposed first."""
    left = _turned(a.dims, call.attr("transA", 0), call.attr("transBatchA", 0))
    right = _turned(b.dims, call.attr("transB", 0), call.attr("transBatchB", 0))
    return a.like(multiplied(call, left, right))


def _turned(dims: Shape, last: int, batch: int) -> Shape:
    if batch and len(dims) > 2:
        dims = (*dims[1:-1], dims[0], dims[-1])
    return (*dims[:-2], dims[-1], dims[-2]) if last and len(dims) > 1 else dims


@rule("Gemm")
def gemm(call: Call, a: Tensor, b: Tensor, *rest: Tensor | None) -> Tensor:
    """Multiply two matrices, each perhaps transposed."""
    return a.like(_gemm(call, a.dims, b.dims))


@rule("QGemm", domain=MS)
def qgemm(
    call: Call, a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, *rest: Tensor | None
) -> Tensor:
    """Multiply two quantized matrices."""
    zero = rest[4] if len(rest) > 4 else None
    return shaped(zero.dtype if zero else "fp32", _gemm(call, a.dims, b.dims))


def _gemm(call: Call, a: Shape, b: Shape) -> Shape:
    m, k = reversed(a) if call.attr("transA", 0) else a
    inner, n = reversed(b) if call.attr("transB", 0) else b
    call.same(k, inner)
    return (m, n)


@rule("MatMulNBits", domain=MS)
def packed(call: Call, a: Tensor, *rest: Tensor | None) -> Tensor:
    """Multiply by ``N x K`` weights packed in blocks; both sizes are attributes."""
    call.same(a.dims[-1], call.need("K", int))
    return a.like((*a.dims[:-1], call.need("N", int)))


@rule("Einsum")
def einsum(call: Call, *operands: Tensor) -> Tensor:
    """Sum products over the letters the result leaves out."""
    equation = call.attr("equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands) or len(equation) > 1000:
        raise SpecError(f"equation {equation[:80]!r} of {len(operands)} operands")
    sizes: dict[str, Dim] = {}
    stack: Shape = ()
    for term, operand in zip(terms, operands, strict=True):
        letters = term.replace("...", "")
        more = operand.rank - len(letters)
        if set(letters) - set(string.ascii_letters) or more < 0 or (more and "..." not in term):
            raise SpecError(f"term {term!r} of an operand of {operand.rank} axes")
        start = term.find("...") if "..." in term else len(letters)
        own = operand.dims[start : start + more]
        stack = call.facts.broadcast((stack, own), call.node.label)
        named = (*operand.dims[:start], *operand.dims[start + more :])
        for letter, size in zip(letters, named, strict=True):
            known = sizes.get(letter, 1)
            sizes[letter] = size if known == 1 else known if size == 1 else call.same(known, size)
    if not arrow:
        right = "..." * ("..." in left) + "".join(s for s in sorted(sizes) if left.count(s) == 1)
    head, dots, tail = right.partition("...")
    inner = stack if dots else ()
    return operands[0].like((*(sizes[s] for s in head), *inner, *(sizes[s] for s in tail)))

"""Views: other shapes, parts and orders of bytes that already lie somewhere. All free."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import VerifyError
from mansard.core.symbols import Expr, R, total
from mansard.ir.op import View, require_size
from mansard.ir.value import Shape, TensorType, Value, stored_parts


class Reshape(View):
    """The same elements under another shape."""

    x: Value
    shape: Shape

    def infer(self) -> tuple[TensorType, ...]:
        """``shape``."""
        shape = tuple(map(sp.S, self.shape))
        require_size(self, "elements", sp.Mul(*shape), self.x.numel)
        parts = stored_parts(self.x) if self.x.parts else ()
        return (replace(self.x.type, shape=shape, parts=parts, axis=-1 if parts else 0),)


class Slice(View):
    """``size`` elements of an axis, from ``start``: the q, k or v of a fused projection."""

    x: Value
    axis: Expr
    start: Expr
    size: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` with one axis cut."""
        axis = int(self.axis)
        shape = (*self.x.shape[:axis], self.size, *self.x.shape[axis + 1 :])
        live = self.x.type.live
        share = None if live is None else live * self.size / self.x.shape[axis]
        return (replace(self.x.type, shape=shape, live=share, parts=()),)


class Transpose(View):
    """Axes in another order."""

    x: Value
    order: tuple[Expr, ...]

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` with its axes reordered."""
        if sorted(map(int, self.order)) != list(range(len(self.x.shape))):
            raise VerifyError(f"transpose {self.name or '?'}: {self.order} is no order of its axes")
        shape = tuple(self.x.shape[int(k)] for k in self.order)
        parts = stored_parts(self.x) if self.x.parts else ()
        return (replace(self.x.type, shape=shape, parts=parts, axis=-1 if parts else 0),)


class Join(View):
    """Several stored values seen as one along an axis; reading it walks the parts.

    Merged projections (q, k and v side by side), a quantized past with a recent window, a shared
    prefix with each sequence's own suffix.
    """

    xs: tuple[Value, ...]
    axis: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """The parts' lengths added along ``axis``."""
        axis, last = int(self.axis), self.xs[-1]
        shape = list(last.shape)
        shape[axis] = total(x.shape[axis] for x in self.xs)
        masked = any(x.type.live is not None for x in self.xs)
        live = total(x.computed for x in self.xs) if masked else None
        joined = replace(last.type, shape=tuple(shape), storage="", live=live)
        return (replace(joined, parts=self.xs, axis=axis),)


class LastRows(View):
    """The ``R`` rows whose logits are wanted, of the ``T`` rows of the step."""

    x: Value

    def infer(self) -> tuple[TensorType, ...]:
        """``[R, h]``."""
        return (replace(self.x.type, shape=(R, *self.x.shape[1:]), live=None, parts=()),)

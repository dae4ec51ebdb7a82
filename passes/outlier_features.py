"""Outlier features: a few input columns of a narrow product are multiplied wide, and added."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.symbols import Expr, ceil_div, product
from mansard.ir.builder import fresh_name
from mansard.ir.op import Op, finish
from mansard.ir.ops import Add, Dequantize, Linear
from mansard.ir.ops.partial_linear import PartialLinear
from mansard.ir.value import Value


def split_features(
    op: Linear, narrow: Value, share: Expr, tile: int, taken: set[str], why: str
) -> list[Op]:
    """Return a narrow product of most features and a wide one of the rest, and their sum.

    All tokens of a step have the same outlier features, so each product reads its columns once.

    Args:
        op: the product, its weight stored narrow.
        narrow: its quantized input.
        share: of the input features, rounded to whole columns and at least one.
        tile: rows for each of which columns are decoded again; 0: decoded once, on their own.
        taken: names of the graph, extended by those of the new ops.
        why: reason.
    """
    features = op.w.shape[1]
    columns = sp.floor(features * share + sp.Rational(1, 2))
    wide = (columns if columns != 0 else sp.S.One) / features
    name = fresh_name(f"{op.out.name}.outliers", taken)
    label = op.kernel or name  # what follows in the product's kernel follows the sum now
    times = ceil_div(product(op.x.shape[:-1]), sp.Integer(tile)) if tile else sp.S.One
    decoded = finish(
        Dequantize(op.w, times, wide, kernel=label if tile else "", because=(why,)),
        fresh_name(f"{op.name}.outliers.dequantize", taken),
    )
    most = PartialLinear(
        narrow, op.w, op.bias, 1 - wide, sp.S.One, "in",
        name=op.name, device=op.device, because=op.because,
    )  # fmt: skip
    few = PartialLinear(
        op.x, decoded.out, None, wide, sp.S.One, "in",
        name=f"{op.name}.outliers", device=op.device, kernel=label, because=op.because,
    )  # fmt: skip
    parts = [
        finish(most.explained(why), fresh_name(f"{op.out.name}.narrow", taken)),
        finish(few.explained(why), name),
    ]
    total = Add((parts[0].out, parts[1].out), name=f"{op.name}.outliers_add", kernel=label)
    total = replace(total, outs=op.outs, device=op.device).explained(why)
    return [parts[0], decoded, parts[1], total]

"""Operators that write into a copy, and the counts that routing makes of them."""

from __future__ import annotations

import numpy as np

from mansard.frontends.onnx.dims import Dim, quotient, sub, total
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import KNOWN_ELEMENTS, Tensor


@rule("Scatter", "ScatterElements")
def scatter_elements(call: Call, data: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Write elements; ones added to zeros count how often each index occurs."""
    out = data.like()
    counts = call.attr("reduction", "none") == "add" and data.rank == 1
    if counts and data.value is not None and set(data.value) == {0}:
        return _histogram(call, out, updates.size)
    return out


def _histogram(call: Call, out: Tensor, items: Dim) -> Tensor:
    """Name how many items fall on each index: an even share unless bound; together, all of them."""
    (bins,) = out.dims
    if not isinstance(bins, int) or not 0 < bins <= KNOWN_ELEMENTS:
        return out
    each = quotient(items, bins)
    counts = [call.fresh(k, each) for k in range(bins - 1)]
    return Tensor(out.dtype, out.shape, (*counts, sub(items, total(counts))))


@rule("ScatterND")
def scatter_nd(call: Call, data: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Write the part each row of indices points at."""
    out = data.like()
    known = None not in (data.value, indices.value, updates.value)
    if not known or call.attr("reduction", "none") != "none":
        return out
    result = data.array.copy()
    for place in np.ndindex(*(int(d) for d in indices.dims[:-1])):
        result[tuple(int(i) for i in indices.array[place])] = updates.array[place]
    return out.filled(result)


@rule("TensorScatter")
def tensor_scatter(call: Call, past: Tensor, update: Tensor, at: Tensor | None = None) -> Tensor:
    """Write new rows into a cache in place."""
    return past.like()

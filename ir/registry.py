"""Every op class by kind: what the text form may name."""

from __future__ import annotations

import inspect

from mansard.ir import ops
from mansard.ir.op import Op
from mansard.ir.ops import (
    eviction,
    padded_experts,
    paging,
    partial_linear,
    partial_values,
    recent,
    recurrent,
    sharing,
    summaries,
    tensor,
)
from mansard.ir.region import Overlap, Repeat, Routed
from mansard.ir.trim import Trim

_MODULES = (
    ops,
    recurrent,
    eviction,
    padded_experts,
    paging,
    partial_linear,
    partial_values,
    recent,
    sharing,
    summaries,
    tensor,
)


def _public(module: object) -> list[type[Op]]:
    found = [c for _, c in inspect.getmembers(module, inspect.isclass)]
    return [c for c in found if issubclass(c, Op)]


_REGIONS: list[type[Op]] = [Repeat, Routed, Overlap, Trim]
OPS: dict[str, type[Op]] = {
    cls.kind: cls
    for cls in [*(found for module in _MODULES for found in _public(module)), *_REGIONS]
    if cls.infer is not Op.infer and cls not in (recurrent.Recurrence, tensor.TensorOp)
}
"""Kind → class of mansard's own ops and regions."""

_EXTRA: dict[str, type[Op]] = {}


def register(cls: type[Op]) -> type[Op]:
    """Make the text form know an op class from elsewhere; usable as a decorator."""
    _EXTRA[cls.kind] = cls
    return cls


def registered() -> dict[str, type[Op]]:
    """Return every op class the text form knows, by kind."""
    return {**OPS, **_EXTRA}

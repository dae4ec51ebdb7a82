"""The numbers of a row of the cost table, one point's or many points'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mansard.backends.calibrated.form import Number

DECODE_LEN = 8.0  # new tokens a decode kernel still serves, as speculation verifies them


@dataclass(frozen=True)
class RowFigures:
    """The numbers of one row; sizes and amounts are floats, or arrays of one length.

    Args:
        kind: of its main op.
        dims: its named sizes and stored dtypes.
        flops: all of them.
        bytes: moved in memory.
        payload: (collective, ranks) → bytes handed to the link.
        weight: the encoding of the largest weight it reads, as text.
        bound_s: the roofline's time.
        name: of the row.
        cache_bytes: of the traffic, what is read of a cache.
        cache: the dtype it is stored in.
        dequantized: whether it decodes an operand itself.
        routing: of an exchange of experts' rows, ``rows top_k experts width``.
        blocks: whether its weight, in fp8, has a scale for each block.
    """

    kind: str
    dims: Mapping[str, Number | str]
    flops: Number = 0.0
    bytes: Number = 0.0
    payload: Mapping[tuple[str, float], Number] = field(default_factory=dict)
    weight: str = ""
    bound_s: Number = 0.0
    name: str = ""
    cache_bytes: Number = 0.0
    cache: str = ""
    dequantized: bool = False
    routing: Mapping[str, Number] = field(default_factory=dict)
    blocks: bool = False


def size_of(row: RowFigures, name: str, xp: Any, otherwise: Number = 1.0) -> Number:
    """Return a named size, at least 1, or what else counts where the row has no such number."""
    value = row.dims.get(name, otherwise)
    return otherwise if isinstance(value, str) else xp.maximum(value, 1.0)


def first(value: Any) -> Any:
    """Return the value at the first point: callers see to it that it chooses as all do."""
    return value.flat[0] if hasattr(value, "flat") else value


def here(condition: Any) -> bool:
    """Say whether a condition holds at the first point."""
    return bool(first(condition))

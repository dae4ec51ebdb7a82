"""What is true of a model on any hardware, as plain numbers."""

from __future__ import annotations

from mansard.core.records import dataclass

TARGET = "target"
"""Name of the graph of the model itself."""


@dataclass(frozen=True)
class ModelFacts:
    """What is true of a model on any hardware.

    Args:
        params: parameters, tied ones once.
        active_params: parameters one token uses: all but the experts it does not choose.
        kv_bytes_per_token: growth of the cache of one sequence while every layer still grows [B].
        state_bytes: of one sequence, independent of its length [B].
    """

    name: str
    source: str
    family: str
    params: int
    active_params: int
    kv_bytes_per_token: int | float
    state_bytes: int | float

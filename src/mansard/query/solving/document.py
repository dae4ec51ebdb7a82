"""What every document of an inverse question says: the model, the hardware, the estimate."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from mansard.query.beside import kind, warned
from mansard.query.estimate import Estimate
from mansard.query.report import finite


def document(schema: str, estimate: Estimate, body: dict[str, Any]) -> dict[str, Any]:
    """Return plain JSON values: the schema, what was asked about, which estimate, the body."""
    found = finite({
        "schema": schema,
        "mansard": version("mansard"),
        "model": {"name": estimate.model.name},
        "hardware": {"name": estimate.chip.id, "devices": estimate.devices},
        "scenario": estimate.asked,
        **kind(estimate),
        **body,
        "warnings": warned(estimate.notes),
    })  # fmt: skip
    assert isinstance(found, dict)
    return found

"""What every document of an inverse question says: the model, the hardware, the notes."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from mansard.query.estimate import Estimate
from mansard.query.report import finite


def document(schema: str, estimate: Estimate, body: dict[str, Any]) -> dict[str, Any]:
    """Return plain JSON values: the schema's name, what was asked about, the body, the notes."""
    found = finite({
        "schema": schema,
        "mansard": version("mansard"),
        "model": {"name": estimate.model.name},
        "hardware": {"name": estimate.chip.id, "devices": estimate.devices},
        "scenario": estimate.asked,
        **body,
        "warnings": [{"code": n.code, "message": n.message} for n in estimate.notes],
    })  # fmt: skip
    assert isinstance(found, dict)
    return found

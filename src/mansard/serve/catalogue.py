"""What a page offers: models, chips with their sheets, techniques with their options, metrics."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mansard.backends.hardware import Hardware
from mansard.query.metrics import METRICS
from mansard.query.report import finite
from mansard.serve.names import Names


def listings(names: Names) -> dict[str, Any]:
    """Return what a page offers: models, chips, techniques with their options.

    What a plugin provides and cannot be read is left out; the command that serves has said so.
    """
    from mansard.plugins.loading import skipping_broken

    with skipping_broken():
        return _listings(names)


def _listings(names: Names) -> dict[str, Any]:
    from mansard.frontends.hf import bundled
    from mansard.query.catalogue import techniques
    from mansard.query.named import plugin_models

    models = [
        {"name": n, "parameters": bundled.load_bundled(n).parameters} for n in bundled.names()
    ]
    others = [{"name": n, "parameters": None} for n in (*plugin_models(), *names.models)]
    return {
        "models": models + others,
        "chips": _chips(names),
        "techniques": [asdict(sheet) for sheet in techniques()],
        "metrics": {m.field: {"name": n, "label": m.label, "dimension": m.dimension,
                              "better": m.better} for n, m in METRICS.items()},
    }  # fmt: skip


def _chips(names: Names) -> list[dict[str, Any]]:
    from mansard.query.named import chip, chip_names, readable_chips

    known = [found for _, found in readable_chips(chip_names())]
    return [chip_summary(found) for found in (*known, *map(chip, names.chips.values()))]


def chip_summary(chip: Hardware) -> dict[str, Any]:
    """Return what a list of chips shows of one."""
    found: dict[str, Any] = finite({
        "id": chip.id, "name": chip.name, "vendor": chip.vendor, "year": chip.year,
        "kind": chip.kind, "memory": chip.capacity_bytes,
        "bandwidth": chip.bandwidth_bytes_per_s, "link": chip.link_bytes_per_s,
        "bf16": chip.peaks.get(("matrix", "bf16", "dense")),
        "fp8": chip.peaks.get(("matrix", "fp8", "dense")), "tdp": chip.tdp_w,
        "confidence": chip.confidence,
    })  # fmt: skip
    return found


def named_sheet(names: Names, name: str) -> dict[str, Any]:
    """Return the sheet of a chip that may be named."""
    from mansard.query.named import chip

    return chip_sheet(chip(names.chip(name).partition(":")[0]))


def chip_sheet(chip: Hardware) -> dict[str, Any]:
    """Return everything known of one chip: figures as people read them, with their sources."""
    from mansard.render import chips

    shown = list(chips.chip_sheet(chip).shown)
    record: dict[str, Any] = finite(chips.chip_record(chip) | {"figures": shown})
    return record

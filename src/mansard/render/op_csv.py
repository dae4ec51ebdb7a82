"""The rows of an estimate as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mansard.query.report import OP_FIELDS, op_record
from mansard.render.encodings import as_csv
from mansard.render.lines import Line, View, lines

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

GROUP_FIELDS = ("name", "count", "flops", "bytes", "intensity", "bound", "time_s", "share", "ops")
"""Columns when ops are added up by kind or layer: sums over a step."""


def op_csv(estimate: Estimate, view: View) -> str:
    """Return one row per op and phase, or per group and phase."""
    if view.by == "op":
        kept = {
            name: phase.ops if view.top is None else phase.ops[: view.top]
            for name, phase in estimate.phases.items()
        }
        rows = [{"phase": name} | op_record(row) for name, ops in kept.items() for row in ops]
        return as_csv(("phase", *OP_FIELDS), rows)
    groups = [
        {"phase": name} | _group(line)
        for name, phase in estimate.phases.items()
        for line in lines(phase, view)[0]
    ]
    return as_csv(("phase", *GROUP_FIELDS), groups)


def _group(line: Line) -> dict[str, Any]:
    return {name: getattr(line, name) for name in GROUP_FIELDS}

"""Answers side by side, as a page shows them."""

from __future__ import annotations

from typing import Any

from mansard.core.errors import MansardError
from mansard.query.comparing import Comparison
from mansard.query.metrics import METRICS
from mansard.query.report import finite, memory_record


def compared(comparison: Comparison) -> dict[str, Any]:
    """Return answers side by side: records, the best of each metric, changes, where time goes."""
    first = next((e for e in comparison.entries if e.estimate), None)
    best, change = {}, []
    if first is not None:
        best = {m.field: [e in comparison.best(n) for e in comparison.entries]
                for n, m in METRICS.items()}  # fmt: skip
        change = [
            {m.field: comparison.change(e, n) for n, m in METRICS.items()}
            for e in comparison.entries
        ]
    answer: dict[str, Any] = finite(
        {
            "records": comparison.records() if first is not None else [],
            "problems": [_said(e.problem) for e in comparison.entries],
            "best": best,
            "change": change,
            "phases": [
                {n: dict(p.time_by_resource_s) for n, p in e.estimate.phases.items()}
                if e.estimate else {}
                for e in comparison.entries
            ],
            "memory": [
                memory_record(e.estimate.memory) if e.estimate else None
                for e in comparison.entries
            ],
            "decodes_several": [
                e.estimate is not None and e.estimate.decodes_several for e in comparison.entries
            ],
        }
    )  # fmt: skip
    return answer


def _said(problem: MansardError | None) -> str | None:
    if problem is None:
        return None
    return f"{problem.message} ({problem.hint})" if problem.hint else problem.message

"""What a page shows of an estimate: the result, its graph, and the programs between its passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from mansard.backends.estimate import Phase
from mansard.backends.hardware import Hardware
from mansard.ir.program import Program
from mansard.query.effects import Figures
from mansard.query.estimate import Estimate
from mansard.query.report import finite, memory_record
from mansard.render.drawings.roofline import ceilings
from mansard.render.technique_words import said, written
from mansard.serve.graphs import Drawing


class Shown:
    """Estimates as JSON; a program is drawn once, and sent unless a page has it."""

    def __init__(self) -> None:
        self._drawings: WeakKeyDictionary[Program, Drawing] = WeakKeyDictionary()

    def told(self, estimate: Estimate, known: Sequence[str] = ()) -> dict[str, Any]:
        """Return all a page shows of an estimate."""
        drawing = self._drawing(estimate.program)
        told: dict[str, Any] = {
            "result": estimate.to_dict(),
            "rows": {n: _rows(p, drawing) for n, p in estimate.phases.items()},
            "steps": {n: p.steps for n, p in estimate.phases.items()},
            "decodes_several": estimate.decodes_several,
            "roof": roof(estimate.chip, estimate),
            "graph": drawing.hash,
        }
        if drawing.hash not in known:
            told["drawing"] = drawing.document
        return told

    def staged(self, estimate: Estimate, known: Sequence[str] = ()) -> dict[str, Any]:
        """Return the programs between the passes of an estimate."""
        seen: dict[str, Any] = {}
        stages: list[dict[str, Any]] = []

        def stage(title: str, change: str, program: Program, figures: Figures) -> dict[str, Any]:
            drawing = self._drawing(program)
            if drawing.hash not in known:
                seen[drawing.hash] = drawing.document
            return {"title": title, "changed": change, "graph": drawing.hash, **_figures(figures)}

        for effect in estimate.effects:
            done = effect.technique
            if not stages:
                stages.append(stage("as loaded", "", done.before, effect.before))
            made = stage(written(done), said(effect), done.after, effect.after)
            made |= {
                "name": done.name,
                "same": done.before is done.after,
                "notes": [f"{n.code}: {n.message}" for n in done.notes],
                "source": done.technique.source,
            }
            stages.append(made)
        answer: dict[str, Any] = finite({"stages": stages, "drawings": seen})
        return answer

    def _drawing(self, program: Program) -> Drawing:
        if program not in self._drawings:
            self._drawings[program] = Drawing(program)
        return self._drawings[program]


def roof(chip: Hardware, estimate: Estimate) -> dict[str, Any]:
    """Return the slopes and ceilings that the ops of an estimate meet."""
    peaks = dict(pair for phase in estimate.phases.values() for pair in ceilings(chip, phase))
    highest = sorted(peaks.items(), key=lambda pair: -pair[1])
    found: dict[str, Any] = finite({
        "name": chip.name, "id": chip.id,
        "bandwidth_bytes_per_s": chip.bandwidth_bytes_per_s,
        "link_bytes_per_s": chip.link_bytes_per_s,
        "onchip_bytes": chip.onchip_bytes,
        "peaks": [
            {"label": label, "unit": "vector" if label == "vector" else "matrix",
             "flops_per_s": rate}
            for label, rate in highest
        ],
    })  # fmt: skip
    return found


def _rows(phase: Phase, drawing: Drawing) -> list[list[Any]]:
    """Return key, seconds by resource and members of each row, in the order of the result's ops."""
    found: list[list[Any]] = finite(
        [[drawing.key(row), dict(row.time_by_resource_s), list(row.members)] for row in phase.ops]
    )
    return found


def _figures(figures: Figures) -> dict[str, Any]:
    names = ("time_s", "flops", "bytes", "weight_bytes", "kv_bytes", "link_bytes", "kernels")
    return {
        "ops": figures.ops,
        "memory": memory_record(figures.memory),
        "phases": {n: {k: getattr(p, k) for k in names} for n, p in figures.phases.items()},
    }

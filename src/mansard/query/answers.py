"""Answers as plain JSON values and back: everything that is printed of one, without its graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from mansard.backends.estimate import Memory, Metrics, Phase, Row
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError
from mansard.core.facts import ModelFacts
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query.effects import Effect, Figures, Technique
from mansard.query.estimate import Estimate
from mansard.query.scenario import Scenario

Plain = dict[str, Any]


def dump(estimate: Estimate) -> Plain:
    """Return an answer as JSON values; numbers keep every digit."""
    return {
        "model": _fields(estimate.model),
        "devices": estimate.devices,
        "scenario": _fields(estimate.scenario),
        "prefilled": estimate.prefilled,
        "kind": estimate.kind,
        "phases": {name: _phase(phase) for name, phase in estimate.phases.items()},
        "memory": _memory(estimate.memory),
        "metrics": _fields(estimate.metrics),
        "lengths": dict(estimate.lengths),
        "backend": estimate.backend,
        "figures": dict(estimate.figures),
        "assumes": list(estimate.assumes),
        "notes": [_fields(note) for note in estimate.notes],
        "techniques": [_technique(t) for t in estimate.techniques],
        "effects": _effects(estimate),
        "sizes": sorted(estimate.sizes),
        "kv_growth": list(estimate.kv_growth),
        "decodes_several": estimate.decodes_several,
    }


def _effects(estimate: Estimate) -> list[Plain] | None:
    """Return what techniques changed, where somebody has looked: it is priced for that."""
    if "effects" not in estimate.__dict__:
        return None
    return [
        {"before": _figures(e.before), "after": _figures(e.after), "advice": e.advice}
        for e in estimate.effects
    ]


def load(plain: Mapping[str, Any], chip: Hardware) -> Estimate:
    """Return the answer that ``dump`` wrote; it prints the same, and has no program to look into.

    Args:
        plain: what ``dump`` returned.
        chip: the hardware of the answer.

    Raises:
        KeyError, TypeError, SpecError: it was not written by this version.
    """
    techniques = tuple(_technique_of(t) for t in plain["techniques"])
    estimate = Estimate(
        model=ModelFacts(**plain["model"]),
        chip=chip,
        devices=plain["devices"],
        scenario=Scenario(**plain["scenario"]),
        prefilled=plain["prefilled"],
        kind=plain["kind"],
        techniques=techniques,
        program=cast(Any, _UNREAD),
        phases={name: _phase_of(phase) for name, phase in plain["phases"].items()},
        memory=_memory_of(plain["memory"]),
        metrics=Metrics(**plain["metrics"]),
        notes=tuple(Note(**note) for note in plain["notes"]),
        price=_unpriced,
        backend=plain["backend"],
        figures=plain["figures"],
        assumes=tuple(plain["assumes"]),
        lengths=plain["lengths"],
    )
    estimate.__dict__["sizes"] = frozenset(plain["sizes"])
    estimate.__dict__["decodes_several"] = plain["decodes_several"]
    within, beyond = plain["kv_growth"]
    estimate.__dict__["kv_growth"] = within, beyond
    if plain["effects"] is not None:
        estimate.__dict__["effects"] = tuple(
            Effect(t, _figures_of(e["before"]), _figures_of(e["after"]), e["advice"])
            for t, e in zip(techniques, plain["effects"], strict=True)
        )
    return estimate


@dataclass(frozen=True)
class _Origin:
    """Where the program of a remembered answer came from: no file whose reading is told of."""

    resolution: None = None


@dataclass(frozen=True)
class _Unread:
    """Stands for the program of a remembered answer, which nobody has loaded."""

    origin: _Origin = _Origin()


_UNREAD = _Unread()


def _unpriced(program: object) -> Any:
    raise SpecError("an answer from the cache has no program", hint="set MANSARD_CACHE=off")


def _fields(thing: Any) -> Plain:
    """Return a dataclass as a mapping, its mappings plain."""
    found = {f.name: getattr(thing, f.name) for f in fields(thing)}
    return {name: dict(v) if isinstance(v, Mapping) else v for name, v in found.items()}


def _phase(phase: Phase) -> Plain:
    return {**_fields(phase), "ops": [_fields(row) for row in phase.ops]}


def _phase_of(plain: Plain) -> Phase:
    rows = tuple(_row_of(row) for row in plain["ops"])
    return Phase(**{**plain, "ops": rows})


def _row_of(plain: Plain) -> Row:
    words = {name: tuple(plain[name]) for name in ("members", "because")}
    return Row(**{**plain, **words})


def _memory(memory: Memory) -> Plain:
    return {**_fields(memory), "pools": {k: _memory(v) for k, v in memory.pools.items()}}


def _memory_of(plain: Plain) -> Memory:
    return Memory(**{**plain, "pools": {k: _memory_of(v) for k, v in plain["pools"].items()}})


def _technique(technique: Technique) -> Plain:
    return {
        "name": technique.name, "options": dict(technique.options), "changed": technique.changed,
        "notes": [_fields(note) for note in technique.notes],
    }  # fmt: skip


def _technique_of(plain: Plain) -> Technique:
    notes = tuple(Note(**note) for note in plain["notes"])
    none = cast(Any, None)
    return Technique(plain["name"], plain["options"], plain["changed"], notes, none, none, none)


def _figures(figures: Figures) -> Plain:
    """Return figures before or after a technique; nobody looks at their rows."""
    phases = {name: {**_fields(phase), "ops": []} for name, phase in figures.phases.items()}
    return {"ops": figures.ops, "memory": _memory(figures.memory), "phases": phases}


def _figures_of(plain: Plain) -> Figures:
    phases = {name: _phase_of(phase) for name, phase in plain["phases"].items()}
    return Figures(plain["ops"], _memory_of(plain["memory"]), phases)

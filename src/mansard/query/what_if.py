"""``what_if``: the same question with something changed, and the difference op by op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from html import escape
from typing import TYPE_CHECKING, Any

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.query.metrics import METRICS, quantities
from mansard.query.report import finite
from mansard.query.scenario import Scenario, check_size
from mansard.query.sweeps.axes import Axis, read_axis
from mansard.query.sweeps.cases import changed

if TYPE_CHECKING:
    from mansard.backends.estimate import Phase
    from mansard.query.estimate import Estimate
    from mansard.query.study import Study

SHORT = {name: f"quantize.{name}" for name in ("weights", "activations", "kv")}
"""Options so well known that they need no technique before them."""
SCHEMA = "mansard.what-if/1"


@dataclass(frozen=True)
class OpChange:
    """An op on both sides; figures of all its occurrences in a step, 0 where it does not exist.

    Args:
        phase, name: as rows are called.
        before_s, after_s: its time [s].
        before_bytes, after_bytes: its traffic [B].
        before_flops, after_flops: its arithmetic [FLOP].
    """

    phase: str
    name: str
    before_s: float
    after_s: float
    before_bytes: float
    after_bytes: float
    before_flops: float
    after_flops: float

    @property
    def change_s(self) -> float:
        """What it adds to a step."""
        return self.after_s - self.before_s


@dataclass(frozen=True, eq=False)
class WhatIf:
    """Two answers and what lies between them.

    Args:
        changes: name → value, as they were asked for.
        before, after: the answers.
    """

    changes: Mapping[str, object]
    before: Estimate
    after: Estimate

    @property
    def ops(self) -> tuple[OpChange, ...]:
        """Ops that differ, the greatest change of each phase first."""
        phases = dict.fromkeys((*self.before.phases, *self.after.phases))
        return tuple(op for phase in phases for op in self._phase(phase))

    def metric(self, name: str) -> tuple[float | None, float | None]:
        """Return a metric before and after, by its name without unit."""
        return quantities(self.before)[name], quantities(self.after)[name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: metrics and ops on both sides, null for unknown."""
        found = finite({
            "schema": SCHEMA,
            "changes": {k: str(v) for k, v in self.changes.items()},
            "metrics": {
                m.field: dict(zip(("before", "after"), self.metric(n), strict=True))
                for n, m in METRICS.items()
            },
            "ops": [asdict(op) for op in self.ops],
        })  # fmt: skip
        assert isinstance(found, dict)
        return found

    def __str__(self) -> str:
        from importlib import import_module

        return str(import_module("mansard.render.what_if").plain(self))

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def _phase(self, name: str) -> list[OpChange]:
        sides = [_rows(e.phases.get(name)) for e in (self.before, self.after)]
        none = (0.0, 0.0, 0.0)
        found = []
        for op in dict.fromkeys((*sides[0], *sides[1])):
            old, new = (side.get(op, none) for side in sides)
            if old != new:
                pairs = (v for pair in zip(old, new, strict=True) for v in pair)
                found.append(OpChange(name, op, *pairs))
        return sorted(found, key=lambda op: -abs(op.change_s))


def what_if(study: Study, changes: Mapping[str, object]) -> WhatIf:
    """Ask a study again with something changed.

    Args:
        study: the base.
        changes: ``{"quantize.weights": "int4", "on": "h200-sxm", "batch": 64}``: what a sweep
            calls an axis, with one value; ``weights``, ``activations`` and ``kv`` are quantize's.

    Raises:
        MansardError: nothing changes, nothing is called so, or the change cannot be made.
    """
    if not changes:
        raise SpecError("nothing changes", hint='write {"on": "h200-sxm"}')
    return WhatIf(dict(changes), study.analyze(), _with(study, changes).analyze())


def _with(study: Study, changes: Mapping[str, object]) -> Study:
    axes = [read_axis(SHORT.get(name, name), _one(name, v)) for name, v in changes.items()]
    for axis in axes:
        if len(axis.values) != 1:
            raise SpecError(f"{axis.name} has {len(axis.values)} values", hint="give it one")
    sizes = {a.name: _size(a) for a in axes if a.is_size}
    rest = {a.name: (a, a.values[0]) for a in axes if not a.is_size}
    asked = study.scenario
    step = "context" in sizes or asked.single_step
    scenario = Scenario(
        batch=sizes.get("batch", asked.batch),
        prompt=sizes.get("context", sizes.get("prompt", asked.prompt)),
        output=2 if step else sizes.get("output", asked.output),
        phase="decode" if step else asked.phase,
        single_step=step,
    )
    unsaid = study.unsaid and not {"prompt", "context"} & set(sizes)
    return replace(changed(study, rest), scenario=scenario, unsaid=unsaid)


def _one(name: str, value: object) -> object:
    """Return the values of an axis with one; a size may be text such as ``8k``."""
    return value if isinstance(value, str) else (value,)


def _size(axis: Axis) -> int:
    value = axis.values[0]
    check_size(axis.name, value)
    return int(value)


def _rows(phase: Phase | None) -> dict[str, tuple[float, float, float]]:
    """Return op → time, bytes and FLOPs of a step; rows of one name together."""
    found: dict[str, tuple[float, float, float]] = {}
    for row in phase.ops if phase else ():
        time_s, moved, flops = found.get(row.name, (0.0, 0.0, 0.0))
        n = float(row.count)
        found[row.name] = (time_s + row.time_s * n, moved + row.bytes * n, flops + row.flops * n)
    return found

"""Which rows of a phase are shown: by op, kind or layer, the largest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mansard.backends.estimate import Number, Phase, Row
from mansard.core.facts import TARGET
from mansard.core.records import dataclass
from mansard.core.units import format_bytes

DEFAULT_TOP = 10


@dataclass(frozen=True)
class View:
    """What is shown of each phase.

    Args:
        by: op, kind or layer.
        top: how many rows; None for all.
        each: figures of one occurrence, not of all of a step.
    """

    by: str = "op"
    top: int | None = DEFAULT_TOP
    each: bool = False


@dataclass(frozen=True)
class Line:
    """One or more rows of a phase, all their occurrences in one step added up.

    Args:
        count: occurrences; of a group, of the op in it that occurs most.
        ops: how many rows it adds up.
        link_bytes: that cross a link.
        bound: what bounds most of its time.
        share: of the phase's time.
    """

    name: str
    count: Number
    flops: Number
    bytes: Number
    bound: str
    time_s: float
    share: float
    ops: int = 1
    link_bytes: Number = 0

    @property
    def intensity(self) -> float | None:
        """FLOP/B; None when nothing moves."""
        return float(self.flops) / float(self.bytes) if self.bytes else None

    @property
    def moved(self) -> str:
        """Bytes of memory; of a line that moves nothing but a message, those of the link."""
        if self.link_bytes and not self.bytes:
            return f"→ {format_bytes(self.link_bytes)}"
        return format_bytes(self.bytes)


def lines(phase: Phase, view: View) -> tuple[list[Line], list[Line]]:
    """Return the lines shown and those left out, each largest share first."""
    groups: dict[str, list[Row]] = {}
    for number, row in enumerate(phase.ops):
        groups.setdefault(_key(row, number, view.by), []).append(row)
    several = len({row.graph for row in phase.ops if row.graph}) > 1
    within = phase.name if several else None
    made = (_line(rows, view.by, within) for rows in groups.values())
    found = sorted(made, key=lambda g: -g.share)
    top = len(found) if view.top is None else view.top
    shown = [_once(line) for line in found[:top]] if view.each else found[:top]
    return shown, found[top:]


def _once(line: Line) -> Line:
    """Return the figures of one occurrence."""
    n = line.count or 1
    return replace(line, flops=line.flops / n, bytes=line.bytes / n, time_s=line.time_s / n,
                   link_bytes=line.link_bytes / n)  # fmt: skip


def total(phase: Phase) -> Line:
    """Return the sum of a phase."""
    share = 1.0 if phase.ops else 0.0
    return Line(
        "total", 0, phase.flops, phase.bytes, phase.bound, phase.time_s, share, len(phase.ops),
        phase.link_bytes,
    )  # fmt: skip


def layer_of(name: str) -> str:
    """Return the part of the model an op's name begins with.

    >>> layer_of("layers.q_proj"), layer_of("lm_head")
    ('layers', 'lm_head')
    """
    return name.rpartition(".")[0] or name


def _key(row: Row, number: int, by: str) -> str:
    match by:
        case "kind":
            return row.kind
        case "layer":
            return layer_of(row.name)
        case _:
            return str(number)


def _line(rows: Sequence[Row], by: str, within: str | None) -> Line:
    first = rows[0]
    names = {"kind": first.kind, "layer": layer_of(first.name)}
    weight: dict[str, float] = {}
    for row in rows:
        weight[row.bound] = weight.get(row.bound, 0.0) + row.share
    counts = [row.count for row in rows]
    return Line(
        name=names.get(by, _whose(first, within) + first.name),
        count=sum(counts) if by == "kind" else max(counts),
        flops=sum(r.flops * r.count for r in rows),
        bytes=sum(r.bytes * r.count for r in rows),
        bound=max(weight, key=weight.__getitem__),
        time_s=sum(r.time_s * r.count for r in rows),
        share=sum(r.share for r in rows),
        ops=len(rows),
        link_bytes=sum(r.link_bytes * r.count for r in rows),
    )


def _whose(row: Row, within: str | None) -> str:
    """Say whose op it is where a phase runs other graphs than the target: ``draft: ``."""
    base, _, variant = row.graph.partition("@")
    owner = variant if base == TARGET else base
    return f"{owner}: " if within is not None and owner not in ("", within) else ""

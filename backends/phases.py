"""A phase summed over the stretches of a schedule, and what is shown of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mansard.backends.estimate import Phase
from mansard.backends.hardware import Hardware
from mansard.backends.rates import OVERHEAD, RESOURCES
from mansard.backends.schedule import Branch, Stretch, Trip, elapsed
from mansard.backends.streams import overlapped_s
from mansard.backends.sums import Piece
from mansard.backends.totals import RowTotal, waiting, whole


@dataclass
class PhaseSum:
    """What accumulates over the stretches of a phase."""

    rows: dict[tuple[object, ...], RowTotal] = field(default_factory=dict)
    times: list[tuple[Branch, float]] = field(default_factory=list)
    waits: dict[str, tuple[float, float]] = field(default_factory=dict)
    trips: list[tuple[Trip, Branch, float, float]] = field(default_factory=list)

    def wait(self, name: str, occurrences: float, time_s: float) -> None:
        """Add time without work."""
        n, t = self.waits.get(name, (0.0, 0.0))
        self.waits[name] = (n + occurrences, t + time_s)

    def trip(self, stretch: Stretch, time_s: float, ends: tuple[float, float] | None) -> None:
        """Keep what a stretch adds to the first and the last of its trips.

        Args:
            stretch: of one graph's calls, or a wait.
            time_s: of all of it [s].
            ends: of its first call and its last one, where they differ [s].
        """
        trip = stretch.trip
        if trip is None:
            return
        first_s = last_s = time_s / trip.trips
        if ends is not None and stretch.index is not None and stretch.index == trip.index:
            first_s, last_s = (each * stretch.weight / trip.weight for each in ends)
        self.trips.append((trip, stretch.branch, first_s, last_s))

    def token_s(self, total_s: float) -> tuple[float, float]:
        """Return the time a token takes in the first trip and in the last one [s].

        Args:
            total_s: of the phase, which is its one step where no loop makes tokens.
        """
        if not self.trips:
            return total_s, total_s
        head, tail = self.trips[0][0], self.trips[-1][0]
        first = elapsed((branch, s) for trip, branch, s, _ in self.trips if trip == head)
        last = elapsed((branch, s) for trip, branch, _, s in self.trips if trip == tail)
        return first / head.tokens, last / tail.tokens


def step_s(rows: Sequence[RowTotal], piece: Piece, which: int) -> float:
    """Return the time of one call at the first step of a piece (0) or its last one (-1) [s]."""
    values = piece.start if which == 0 else piece.end
    point = Piece(0, 0, values, values)
    groups: dict[int, list[RowTotal]] = {}
    for row in rows:
        groups.setdefault(row.row.group, []).append(row)
    alone = sum(row.end_s(piece, which) for row in groups.pop(0, []))
    return alone + sum(overlapped_s(members, point) for members in groups.values())


def summary(name: str, steps: float, done: PhaseSum, chip: Hardware) -> Phase:
    """Return a phase from its sums; figures are of its mean step."""
    total_s = elapsed(done.times)
    first_s, last_s = done.token_s(total_s)
    sums = list(done.rows.values())
    won = {r: sum(s.won.get(r, 0.0) for s in sums) / steps for r in _resources(sums)}
    busy = {r: sum(s.busy.get(r, 0.0) for s in sums) / steps for r in won}
    if done.waits:
        won[OVERHEAD] = sum(t for _, t in done.waits.values()) / steps
    rows = [s.shown(steps, total_s, chip) for s in sums]
    rows += [waiting(label, n, t, steps, total_s) for label, (n, t) in done.waits.items()]
    rows.sort(key=lambda r: -r.share)

    def mean(of: str) -> int | float:
        return whole(sum(getattr(r, of) * r.count for r in rows))

    return Phase(
        name=name,
        steps=whole(steps),
        time_s=total_s / steps,
        flops=mean("flops"),
        bytes=mean("bytes"),
        weight_bytes=mean("weight_bytes"),
        activation_bytes=mean("activation_bytes"),
        kv_bytes=mean("kv_bytes"),
        link_bytes=mean("link_bytes"),
        bound=max(won, key=won.__getitem__) if won else "none",
        time_by_resource_s={r: t for r, t in won.items() if t},
        overlapped_s=max(busy.values(), default=0.0),
        first_step_s=first_s,
        last_step_s=last_s,
        kernels=whole(sum(s.launches for s in sums) / steps),
        ops=tuple(rows),
    )


def _resources(sums: list[RowTotal]) -> tuple[str, ...]:
    """Return every resource that any row needs, the usual ones first."""
    used = {r for s in sums for r in s.priced.resources}
    return tuple(dict.fromkeys([r for r in RESOURCES if r in used] + sorted(used)))

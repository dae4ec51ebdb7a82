"""A schedule with its numbers filled in: stretches of calls that differ only in one index."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import count
from typing import Any, TypeVar

import sympy as sp

from mansard.backends.calls import number
from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, P, S, Symbol
from mansard.ir.program import Call, Loop, Step, Together, Wait

Scenario = Mapping[Symbol, Expr]
Branch = tuple[tuple[int, int], ...]
"""((which ``Together``, which of its steps), …), outermost first."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class Trip:
    """What one trip of a loop that makes tokens is worth.

    Args:
        loop: which of the schedule.
        weight: how often each of these trips happens, as a ``Stretch`` has it.
        tokens: of one sequence that a whole trip makes.
        index: that counts trips; None where they are all alike.
        first: its value in the first of these trips.
        last: that in the last.
    """

    loop: int
    weight: float
    tokens: float
    index: Symbol | None = None
    first: int = 0
    last: int = 0

    @property
    def trips(self) -> float:
        """How many these are."""
        return self.weight * (self.last - self.first + 1)


@dataclass(frozen=True)
class Stretch:
    """Calls of one graph for ``index = first … last``, all alike but for the index.

    Args:
        call: with every scenario symbol bound; only ``index`` is left. None where time is given.
        phase: its label.
        weight: how often each happens; below 1 for the fraction of a trip an expectation leaves.
        branch: of the ``Together``s it belongs to; empty outside.
        waits: the name of a wait as long as these calls would take, or nothing.
        wait_s: the time of a wait without calls [s].
        trip: of the outermost loop around it that makes tokens, if one does.
    """

    call: Call | None
    phase: str
    weight: float
    index: Symbol | None = None
    first: int = 0
    last: int = 0
    branch: Branch = ()
    waits: str = ""
    wait_s: float = 0.0
    trip: Trip | None = None

    @property
    def steps(self) -> int:
        """How many calls."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Timeline:
    """Every stretch of a schedule, and the tokens each phase produces a sequence.

    Args:
        stretches: in order.
        yields: phase → tokens of one sequence; absent where a phase makes none.
    """

    stretches: tuple[Stretch, ...]
    yields: Mapping[str, float]

    @property
    def phases(self) -> tuple[str, ...]:
        """Phase labels in order of first appearance."""
        return tuple(dict.fromkeys(s.phase for s in self.stretches))


@dataclass(frozen=True)
class _Place:
    """Where in a schedule a step stands."""

    env: Mapping[Symbol, Expr]
    phase: str = ""
    weight: float = 1.0
    index: Symbol | None = None
    first: int = 0
    last: int = 0
    branch: Branch = ()
    waits: str = ""
    trip: Trip | None = None

    def inside(self, node: Step, **changes: Any) -> _Place:
        return replace(self, phase=node.phase or self.phase, **changes)


@dataclasses.dataclass
class _Reader:
    """Walks a schedule."""

    yields: dict[str, float] = field(default_factory=dict)
    together: count[int] = field(default_factory=count)
    loops: count[int] = field(default_factory=count)

    def steps(self, steps: Sequence[Step], at: _Place) -> Iterator[Stretch]:
        for node in steps:
            match node:
                case Call():
                    yield self._call(node, at.inside(node))
                case Loop():
                    yield from self._loop(node, at.inside(node))
                case Together():
                    yield from self._together(node, at.inside(node))
                case Wait():
                    yield from self._wait(node, at.inside(node))

    def _call(self, call: Call, at: _Place) -> Stretch:
        bound = replace(
            call,
            bind={s: e.xreplace(at.env) for s, e in call.bind.items()},
            groups=tuple(tuple(e.xreplace(at.env) for e in g) for g in call.groups),
        )
        sizes = (*bound.bind.values(), *(e for group in bound.groups for e in group))
        stretch = Stretch(bound, at.phase, at.weight, at.index, at.first, at.last)
        if at.index is not None and not any(e.has(at.index) for e in sizes):
            stretch = Stretch(bound, at.phase, at.weight * stretch.steps)
        _check_sizes(stretch)
        return replace(stretch, branch=at.branch, waits=at.waits, trip=at.trip)

    def _loop(self, loop: Loop, at: _Place) -> Iterator[Stretch]:
        times = number(loop.times.xreplace(at.env), "the trips of a loop")
        if loop.yields != 0:
            made = float(number(loop.yields.xreplace(at.env), "the tokens of a trip"))
            trips = max(float(times), 0.0) * at.weight * (at.last - at.first + 1)
            self.yields[at.phase] = self.yields.get(at.phase, 0.0) + made * trips
        if times <= 0:
            return
        if loop.yields != 0 and at.trip is None and at.index is None:
            at = replace(at, trip=Trip(next(self.loops), at.weight * float(times), made))
        if loop.index is None:
            yield from self.steps(loop.steps, replace(at, weight=at.weight * float(times)))
            return
        start = int(number(loop.start.xreplace(at.env), "the start of a loop"))
        whole, part = int(times), float(times) - int(times)
        if at.index is None:
            yield from self._indexed(loop, at, start, whole, part)
            return
        shares = [1.0] * whole + [part] * (part > 0)  # inside another loop: trip by trip
        for k, share in enumerate(shares):
            env = {**at.env, loop.index: sp.Integer(start + k)}
            yield from self.steps(loop.steps, replace(at, env=env, weight=at.weight * share))

    def _indexed(
        self, loop: Loop, at: _Place, start: int, whole: int, part: float
    ) -> Iterator[Stretch]:
        """Yield a loop's stretches with its index left open: whole trips, then a part of one."""
        end = start + whole
        runs = [(start, end - 1, 1.0)] * (whole > 0) + [(end, end, part)] * (part > 0)
        for first, last, share in runs:
            weight, trip = at.weight * share, at.trip
            if trip is not None and loop.yields != 0:
                trip = replace(trip, weight=weight, index=loop.index, first=first, last=last)
            yield from self.steps(
                loop.steps,
                replace(at, index=loop.index, first=first, last=last, weight=weight, trip=trip),
            )

    def _together(self, node: Together, at: _Place) -> Iterator[Stretch]:
        which = next(self.together)
        for k, step in enumerate(node.steps):
            yield from self.steps((step,), replace(at, branch=(*at.branch, (which, k))))

    def _wait(self, node: Wait, at: _Place) -> Iterator[Stretch]:
        times = float(number(node.times.xreplace(at.env), "how often a wait happens"))
        if node.like is not None:
            place = replace(at, weight=at.weight * times, waits=node.name)
            yield from self.steps((node.like,), place)
            return
        each = float(number(node.time_s.xreplace(at.env), "the time of a wait"))
        again = at.weight * times * (at.last - at.first + 1)
        yield Stretch(
            None, at.phase, again, branch=at.branch, waits=node.name, wait_s=each, trip=at.trip
        )


def timeline(steps: Sequence[Step], scenario: Scenario) -> Timeline:
    """Fill a scenario into a schedule.

    Raises:
        SpecError: a symbol of the schedule stays unbound.
    """
    reader = _Reader()
    stretches = tuple(reader.steps(steps, _Place(dict(scenario))))
    return Timeline(stretches, reader.yields)


def _check_sizes(stretch: Stretch) -> None:
    """Raise when a call would take no token, or find fewer than none cached.

    Raises:
        SpecError: naming the graph and the size.
    """
    call = stretch.call
    if call is None:
        return
    for index in {stretch.first, stretch.last}:
        env = {stretch.index: sp.Integer(index)} if stretch.index is not None else {}
        sizes = [(call.bind[B], call.bind[S], call.bind[P])] if not call.groups else call.groups
        for b, new, past in (tuple(e.xreplace(env) for e in size) for size in sizes):
            if b.is_nonpositive or new.is_nonpositive or past.is_negative:
                raise SpecError(
                    f"a {stretch.phase or 'step'} of {call.graph!r} would take {new} new tokens of "
                    f"{b} sequences after {past} cached ones",
                    hint="ask for longer prompts, or let less of them be cached already",
                )


def elapsed(times: Iterable[tuple[Branch, float]]) -> float:
    """Add times in sequence; of steps side by side the longest counts."""
    alone = 0.0
    groups: dict[int, dict[int, list[tuple[Branch, float]]]] = {}
    for branch, time_s in times:
        if not branch:
            alone += time_s
            continue
        (which, step), rest = branch[0], branch[1:]
        groups.setdefault(which, {}).setdefault(step, []).append((rest, time_s))
    return alone + sum(max(elapsed(b) for b in steps.values()) for steps in groups.values())

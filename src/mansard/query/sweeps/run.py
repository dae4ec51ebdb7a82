"""``sweep``: every combination of the axes, evaluated in blocks and reduced as they stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.core.errors import MansardError, SpecError, unknown_name
from mansard.core.notes import Note
from mansard.query.lengths import expectations
from mansard.query.study import Study
from mansard.query.sweeps.axes import read_axes
from mansard.query.sweeps.cases import Case, Engines, Layout, laid_out, unusable
from mansard.query.sweeps.metrics import FIGURES, KNOWN, figure_of, read_metric, valued
from mansard.query.sweeps.reduce import Array, Front, Numbers, Reduction, Top
from mansard.query.sweeps.result import Sweep
from mansard.query.sweeps.rows import labelled

if TYPE_CHECKING:
    from mansard.backends.engine.arrays import Block
    from mansard.query.sweeps.cases import Engine

MOST_ROWS = 2_000_000
"""Rows of a result that is not reduced."""
FAST = 100_000_000
"""Points of a program for which compiling loops is worth it, where numba is installed."""
STEPS = 256
ENGINES = ("auto", "numpy", "numba", "dask")
Progress = Callable[[int, int], None]
Span = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Asked:
    """How points are reduced.

    Args:
        pareto: metrics of a front.
        best: metric of the few that are kept.
        top: how many.
        unfit: whether points that do not fit the memory are kept, too.
    """

    pareto: tuple[str, ...] = ()
    best: str = ""
    top: int = 0
    unfit: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """What must be known of every point."""
        return self.pareto or ((self.best,) if self.best else ())

    def reduction(self) -> Reduction:
        """Return what keeps the points, empty."""
        return Front(self.pareto) if self.pareto else Top(self.best, self.top)

    def __str__(self) -> str:
        if self.pareto:
            return f"Pareto front of {', '.join(self.pareto)}"
        return f"best {self.top} by {self.best}" if self.best else ""


@dataclass
class Streamed:
    """What is left of the points that were looked at.

    Args:
        kept: the reduction.
        evaluated: points looked at.
        unfit: points left out because they do not fit.
        left_out: combinations that cannot be built, with the reason.
        built: whether one could be.
    """

    kept: Reduction
    evaluated: int = 0
    unfit: int = 0
    left_out: list[Note] = field(default_factory=list)
    built: bool = False

    def merge(self, other: Streamed) -> None:
        """Take in what another part of the sweep kept."""
        self.kept.merge(other.kept)
        self.evaluated += other.evaluated
        self.unfit += other.unfit
        self.left_out += other.left_out
        self.built |= other.built


def sweep(
    study: Study,
    axes: Mapping[str, object] | None = None,
    *,
    pareto: Sequence[str] | str = (),
    top: int | None = None,
    best: str | None = None,
    unfit: bool = False,
    engine: str = "auto",
    progress: Progress | None = None,
    **more: object,
) -> Sweep:
    """Evaluate every combination of values of some axes.

    Args:
        study: what does not vary.
        axes: name → values: text such as ``1..512x2``, or an iterable; for names with dots.
        pareto: metrics, of which only the points no other beats are kept.
        top: how many points to keep, the best by ``best``.
        best: a metric; more or less of it is better, as its name says.
        unfit: whether a reduction keeps points that do not fit the memory.
        engine: auto, numpy, numba (the extra ``fast``), or ``dask``, ``dask=ADDRESS``.
        progress: told how many points are done, of how many.
        more: axes whose names are words: ``batch=range(1, 513)``.

    Raises:
        MansardError: an axis or metric nothing is called, values that cannot be read, or more
            points than a result that is not reduced can hold.
    """
    layout = laid_out(study, read_axes({**(axes or {}), **more}))
    asked = _asked(pareto, top, best, unfit)
    if not asked.metrics and layout.points > MOST_ROWS:
        raise SpecError(
            f"{layout.points:,} points are more rows than the {MOST_ROWS:,} of a whole result",
            hint="reduce them: --pareto throughput,tpot or --top 10 --best throughput",
        )
    where, _, address = engine.partition("=")
    if where not in ENGINES:
        raise unknown_name("engine", where, ENGINES)
    if where == "dask":
        from mansard.query.sweeps.cluster import stream_over

        return _reduced(layout, asked, *stream_over(layout, asked, address, progress))
    if asked.metrics:
        streamed = Streamed(asked.reduction())
        engines = Engines()
        stopped = _until_stopped(
            stream(layout, asked, _whole(layout), streamed, engines, where), layout, progress
        )
        return _reduced(layout, asked, streamed, stopped, engines)
    return _everything(layout, where, progress)


def _asked(pareto: Sequence[str] | str, top: int | None, best: str | None, unfit: bool) -> Asked:
    names = [n.strip() for n in pareto.split(",")] if isinstance(pareto, str) else list(pareto)
    if not names and top is None and best is None:
        return Asked()
    if names and (top is not None or best is not None):
        raise SpecError("a Pareto front and the best few are two questions",
                        hint="give --pareto, or --top and --best")  # fmt: skip
    if names:
        metrics = tuple(dict.fromkeys(read_metric(n) for n in names))
        return Asked(pareto=metrics, unfit=unfit)
    if best is None:
        raise SpecError("the best by what?", hint=f"add --best with one of: {', '.join(KNOWN)}")
    count = 1 if top is None else top
    if count < 1 or count > MOST_ROWS:
        raise SpecError(f"the best {count} points", hint=f"1 to {MOST_ROWS:,}")
    return Asked(best=read_metric(best), top=count, unfit=unfit)


def _whole(layout: Layout) -> list[tuple[int, Span]]:
    span = {a.name: (0, len(a.values)) for a in layout.sizes}
    return [(number, span) for number in range(layout.cases)]


def _until_stopped(done: Iterator[int], layout: Layout, progress: Progress | None) -> bool:
    """Run to the end, telling the progress; return whether it was interrupted."""
    try:
        for count in done:
            if progress is not None:
                progress(count, layout.points)
    except KeyboardInterrupt:
        return True
    return False


def stream(
    layout: Layout, asked: Asked, parts: Sequence[tuple[int, Span]], into: Streamed,
    engines: Engines, engine: str = "auto",
) -> Iterator[int]:  # fmt: skip
    """Reduce parts of a sweep; yield how many points are done after each block."""
    needed = (figure_of(m) for m in asked.metrics)
    names = tuple(dict.fromkeys((*needed, "memory", "capacity")))
    price = layout.study.price
    for number, span in parts:
        found = _engine(layout, number, engines, into)
        if found is None:
            into.evaluated += math.prod(b - a for a, b in span.values())
            continue
        for block in _blocks(layout, span, found, names, engine):
            place = _Place(layout, number, span, block)
            count = math.prod(block.shape)
            chip, devices = found.cluster.chip, found.cluster.devices
            values = {
                m: np.broadcast_to(
                    valued(m, block.values, chip, devices, price), block.shape
                ).ravel()
                for m in asked.metrics
            }
            if not asked.unfit:
                fits = ~np.asarray(block.values["memory"] > block.values["capacity"])
                if not fits.all():
                    held = np.flatnonzero(np.broadcast_to(fits, block.shape).ravel())
                    values = {m: v[held] for m, v in values.items()}
                    into.unfit += count - held.size
                    place.held = held
            into.kept.add(values, place)
            into.evaluated += count
            yield into.evaluated


def _engine(layout: Layout, number: int, engines: Engines, into: Streamed) -> Engine | None:
    """Return the engine of a case; None, with a note, where it cannot be built."""
    try:
        found = engines.of(layout.case(number))
        into.built = True
        return found
    except MansardError as error:
        if layout.cases == 1 or not unusable(error):
            raise
        into.left_out.append(Note("M071", f"left out: {error.message}"))
        return None


@dataclass
class _Place:
    """Numbers of the points of a block: the last axis of the user's varies fastest."""

    layout: Layout
    number: int
    span: Span
    block: Block
    held: Numbers | None = None

    def __call__(self, local: Numbers) -> Numbers:
        if self.held is not None:
            local = self.held[local]
        order = _order(self.layout, self.span)
        indices = np.unravel_index(local, self.block.shape) if order else ()
        at = {
            name: index + start + self.span[name][0]
            for name, index, start in zip(order, indices, self.block.start, strict=True)
        }
        case = self.layout.case_at(self.number)
        found: Numbers = np.zeros(local.size, dtype=np.int64)
        for axis in self.layout.axes:
            place = case[axis.name] if axis.name in case else at.get(axis.name, 0)
            found = found * len(axis.values) + place
        return found


def _order(layout: Layout, span: Span) -> list[str]:
    """Return the sizes that vary within a span, the longest last: it is the innermost loop."""
    lengths = {a.name: span[a.name][1] - span[a.name][0] for a in layout.sizes}
    return sorted((name for name, n in lengths.items() if n > 1), key=lambda name: lengths[name])


def _blocks(
    layout: Layout, span: Span, engine: Engine, names: Sequence[str], how: str
) -> Iterator[Block]:
    """Evaluate the sizes of a span with one engine."""
    axes = layout.grid()
    for axis in layout.sizes:
        low, high = span[axis.name]
        axes["prompt" if axis.name == "context" else axis.name] = axis.values[low:high]
    varying = ["prompt" if n == "context" else n for n in _order(layout, span)]
    ordered = {
        **{k: v for k, v in axes.items() if k not in varying},
        **{k: axes[k] for k in varying},
    }
    count = math.prod(len(v) for v in axes.values())
    fast = how == "numba" or (how == "auto" and count >= FAST and _has_numba())
    grid = engine.grid(ordered, names, fast=fast)
    if grid is not None:
        yield from grid.blocks()
        return
    yield from _stepped(engine, {k: axes[k] for k in varying}, axes, names)


def _stepped(
    engine: Engine, varying: Mapping[str, Sequence[float]],
    axes: Mapping[str, Sequence[float]], names: Sequence[str],
) -> Iterator[Block]:  # fmt: skip
    """Evaluate a grid point by point, a row of the innermost axis at a time."""
    from mansard.backends.engine.arrays import Block

    lengths = [len(v) for v in varying.values()]
    for start in np.ndindex(*lengths[:-1]) if lengths else [()]:
        inner = list(varying.values())[-1] if lengths else (0,)
        for low in range(0, len(inner), STEPS):
            part = inner[low : low + STEPS]
            columns: dict[str, Any] = {k: v[0] for k, v in axes.items()}
            for (name, values), k in zip(varying.items(), (*start, 0), strict=False):
                columns[name] = values[k]
            if lengths:
                columns[list(varying)[-1]] = np.array(part, dtype=float)
            found = engine.figures(columns["batch"], columns["prompt"], columns["output"], names)
            shape = (*(1 for _ in start), len(part)) if lengths else ()
            values_ = {k: v.reshape(shape) for k, v in found.items()}
            yield Block((*start, low) if lengths else (), shape, values_)


def _has_numba() -> bool:
    from importlib.util import find_spec

    return find_spec("numba") is not None


def _of_lengths(layout: Layout) -> list[Note]:
    """Return the note of a study whose lengths are a distribution."""
    mix = layout.study.mix
    return [] if mix is None else [expectations(mix)]


def _reduced(
    layout: Layout, asked: Asked, streamed: Streamed, stopped: bool, engines: Engines | None = None
) -> Sweep:
    engines = engines or Engines()
    notes = _left_out(layout, streamed)
    if streamed.unfit:
        notes.append(Note("M070", f"{streamed.unfit:,} of {streamed.evaluated:,} points do not fit "
                          "the memory and were left out (--unfit keeps them)"))  # fmt: skip
    if streamed.kept.dropped:
        notes.append(Note("M072", f"{streamed.kept.dropped:,} points that equal one of the front "
                          "were left out"))  # fmt: skip
    columns = labelled(layout, streamed.kept.numbers, engines)
    return Sweep(layout.axes, columns, layout.points, streamed.evaluated, str(asked),
                 _once([*_of_lengths(layout), *engines.notes, *notes]), stopped)  # fmt: skip


def _everything(layout: Layout, how: str, progress: Progress | None) -> Sweep:
    """Evaluate every point and keep it."""
    from mansard.query.sweeps.rows import SPENT, assembled, spent

    engines, state = Engines(), Streamed(Top("tpot", 1))
    names = (*FIGURES, *SPENT)
    found: dict[str, Array] = {name: np.full(layout.points, np.nan) for name in names}
    done = np.zeros(layout.points, dtype=bool)

    def fill() -> Iterator[int]:
        for number, span in _whole(layout):
            engine = _engine(layout, number, engines, state)
            if engine is None:
                continue
            for block in _blocks(layout, span, engine, FIGURES, how):
                size = math.prod(block.shape)
                numbers = _Place(layout, number, span, block)(np.arange(size))
                for name, value in spent(engine, block.values, layout.study.price).items():
                    found[name][numbers] = np.broadcast_to(value, block.shape).ravel()
                done[numbers] = True
                state.evaluated += size
                yield state.evaluated

    stopped = _until_stopped(fill(), layout, progress)
    numbers = np.flatnonzero(done)
    columns = assembled(layout, numbers, {k: v[numbers] for k, v in found.items()})
    notes = [*_of_lengths(layout), *engines.notes, *_left_out(layout, state)]
    return Sweep(layout.axes, columns, layout.points, state.evaluated, "",
                 _once(notes), stopped)  # fmt: skip


def _left_out(layout: Layout, streamed: Streamed) -> list[Note]:
    """Return why combinations are missing.

    Raises:
        SpecError: all are.
    """
    found = list(dict.fromkeys(streamed.left_out))
    if found and len(streamed.left_out) >= layout.cases and not streamed.built:
        reason = found[0].message.removeprefix("left out: ")
        raise SpecError(f"no combination can be built: {reason}", hint="vary something else")
    return found


def _once(notes: Sequence[Note]) -> tuple[Note, ...]:
    return tuple(sorted(dict.fromkeys(notes), key=lambda note: note.code))


__all__ = ["Asked", "Case", "Streamed", "stream", "sweep"]

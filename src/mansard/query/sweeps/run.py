"""``sweep``: every combination of the axes, evaluated in blocks and reduced as they stream."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mansard.backends.chips import parse_target
from mansard.core.errors import MansardError, SpecError, unknown_name
from mansard.core.notes import Note
from mansard.query.calibration import CALIBRATED
from mansard.query.estimate import Estimate
from mansard.query.lengths import expectations
from mansard.query.study import Study
from mansard.query.sweeps.asked import MOST_ROWS, Asked, read_asked
from mansard.query.sweeps.axes import read_axes
from mansard.query.sweeps.blocks import Numbering, blocks
from mansard.query.sweeps.cases import Layout, laid_out
from mansard.query.sweeps.idle import about_idle
from mansard.query.sweeps.metrics import figures_of
from mansard.query.sweeps.programs import Engines, longest_of
from mansard.query.sweeps.reduce import Array, Top
from mansard.query.sweeps.result import Sweep
from mansard.query.sweeps.rows import labelled
from mansard.query.sweeps.streaming import (
    Progress,
    Streamed,
    engine_of,
    stream,
    until_stopped,
    whole,
)

WORTH = ("M080", "M081", "M082", "M083", "M084", "M158")
"""Codes of what a calibrated estimate is worth."""

VARYING = ("M080", "M084")
"""Those whose particulars are another at every point."""

COSTS = ("cost", "cost_per_mtok")
"""Metrics that need a price."""

ENGINES = ("auto", "numpy", "numba", "dask")


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
    asked = read_asked(pareto, top, best, unfit)
    if not asked.metrics and layout.points > MOST_ROWS:
        raise SpecError(
            f"{layout.points:,} points are more rows than the {MOST_ROWS:,} of a whole result",
            hint="reduce them: --pareto throughput,tpot or --top 10 --best throughput",
        )
    _check_priced(study, asked)
    where, _, address = engine.partition("=")
    if where not in ENGINES:
        raise unknown_name("engine", where, ENGINES)
    if where == "dask":
        from mansard.query.sweeps.cluster import stream_over

        return _reduced(layout, asked, *stream_over(layout, asked, address, progress))
    if asked.metrics:
        streamed = Streamed(asked.reduction())
        engines = Engines()
        stopped = until_stopped(
            stream(layout, asked, whole(layout), streamed, engines, where), layout, progress
        )
        return _reduced(layout, asked, streamed, stopped, engines)
    return _everything(layout, where, progress)


def _check_priced(study: Study, asked: Asked) -> None:
    """Raise where points are reduced by what they cost and nothing gives a price.

    Raises:
        SpecError: nothing does.
    """
    name = next((m for m in asked.metrics if m in COSTS), None)
    if name and study.price is None:
        raise SpecError(f"{name} is unknown: nothing gives a price", hint="add --price 2.50")


def _check_known(asked: Asked, streamed: Streamed, stopped: bool) -> None:
    """Raise where nothing is kept because no point has a metric.

    Raises:
        SpecError: points were there that fit, and none has it.
    """
    looked = streamed.built and streamed.evaluated > streamed.unfit and not stopped
    if not looked or len(streamed.kept.numbers) or len(streamed.left_out) > 0:
        return
    names = " and ".join(asked.metrics)
    raise SpecError(f"no point has {names}", hint="energy needs --set hardware.tdp=700W; other"
                    " metrics a phase they belong to")  # fmt: skip


def _worth(layout: Layout) -> list[Note]:
    """Return what a calibrated estimate rests on, as it says at the first point of each chip."""
    if layout.study.kind != CALIBRATED:
        return []
    found = {chip: one for chip, case in _chips(layout).items() if (one := _first(layout, case))}
    said = [(chip, n) for chip, one in found.items() for n in one.notes if n.code in WORTH]
    if len(found) < 2:
        return [replace(n, message=f"at the first point, {n.message}") if n.code in VARYING else n
                for _, n in said]  # fmt: skip
    notes = [replace(n, message=f"at the first point on {chip}, {n.message}")
             if n.code in VARYING else n for chip, n in said if n.code != "M080"]  # fmt: skip
    return [*_on_medians(found, [chip for chip, n in said if n.code == "M080"]), *notes]


def _on_medians(found: Mapping[str, Estimate], foreign: Sequence[str]) -> Iterator[Note]:
    """Yield one note that names the chips whose figures rest on others'."""
    from mansard.backends.calibrated.lookup import MEDIAN
    from mansard.backends.calibrated.said import listed

    shares = []
    for chip in foreign:
        said = found[chip].calibrated
        known = said.shares if said is not None else ()
        shares.append(f"{chip} ({sum(s for b, s in known if MEDIAN in b.set):.0%} of the time)")
    if shares:
        rests = "rests" if len(shares) == 1 else "rest"
        what = f"at the first point, {listed(shares)} {rests} on medians of other chips"
        yield Note("M080", f"{what}, for want of measurements as asked: bands there are wide")


def _chips(layout: Layout) -> dict[str, int]:
    """Return each chip of a sweep with the first case that is on it."""
    on = next((axis for axis in layout.axes if axis.name == "on"), None)
    if on is None:
        return {"": 0}
    first = dict.fromkeys((axis.name for axis in layout.structural), 0)
    cases = {k: int(layout.cases_at(first | {"on": k})) for k in reversed(range(len(on.values)))}
    named = {parse_target(on.shown(k))[0]: case for k, case in cases.items()}
    return dict(reversed(named.items()))


def _first(layout: Layout, number: int) -> Estimate | None:
    """Return the answer at the first point of a case; None where it has none, which is said."""
    first = {name: int(values[0]) for name, values in layout.grid().items()}
    try:
        case = layout.case(number).study
        asked = replace(
            case.scenario, batch=first["batch"], prompt=first["prompt"], output=first["output"]
        )
        return replace(case, scenario=asked).analyze()
    except MansardError:
        return None  # left out for a reason of its own, which is said


def about_models(layout: Layout, engines: Engines) -> Iterator[Note]:
    """Yield what a model makes of the sizes asked: sequences longer than it takes, no tokens."""
    asked, sizes = layout.study.scenario, layout.grid()
    varied = {axis.name for axis in layout.axes}
    p, n = (int(max(sizes[name])) for name in ("prompt", "output"))
    for name, (origin, made, sizes_of) in engines.origins.items():
        if not made:
            yield Note("M009", f"{name} makes no tokens: latency is the total of its phases, and"
                       " throughput is of what it makes, images or sequences")  # fmt: skip
        idle = [s for s in ("prompt", "output") if s in varied and s not in sizes_of]
        if idle and not made:
            yield Note("M009", f"{' and '.join(idle)} counts for nothing in {name}")
        if layout.study.mix is not None or layout.study.unsaid:
            continue
        length = longest_of(replace(asked, prompt=p, output=n), origin)
        if origin.max_context is not None and length > origin.max_context:
            yield Note("M004", f"a sequence reaches {length:,} tokens; {name} was made for"
                       f" {origin.max_context:,}")  # fmt: skip


def _of_lengths(layout: Layout) -> list[Note]:
    """Return the note of a study whose lengths are a distribution."""
    mix = layout.study.mix
    return [] if mix is None else [expectations(mix)]


def _reduced(
    layout: Layout, asked: Asked, streamed: Streamed, stopped: bool, engines: Engines | None = None
) -> Sweep:
    engines = engines or Engines()
    notes = _left_out(layout, streamed)
    _check_known(asked, streamed, stopped)
    if streamed.unfit:
        notes.append(Note("M070", f"{streamed.unfit:,} of {streamed.evaluated:,} points do not fit "
                          "the memory and were left out (--unfit keeps them)"))  # fmt: skip
    if streamed.kept.dropped:
        notes.append(Note("M072", f"{streamed.kept.dropped:,} points that equal one of the front "
                          "were left out"))  # fmt: skip
    columns = labelled(layout, streamed.kept.numbers, engines)
    about = about_models(layout, engines)
    notes = [*_of_lengths(layout), *_worth(layout), *engines.notes, *about, *notes,
             *about_idle(layout, engines)]  # fmt: skip
    return Sweep(layout.axes, columns, layout.points, streamed.evaluated, str(asked),
                 _once(notes), stopped)  # fmt: skip


def _everything(layout: Layout, how: str, progress: Progress | None) -> Sweep:
    """Evaluate every point and keep it."""
    from mansard.query.sweeps.rows import SPENT, assembled, spent

    engines, state = Engines(), Streamed(Top("tpot", 1))
    asked = figures_of(layout.study.kind)
    names = (*asked, *SPENT)
    found: dict[str, Array] = {name: np.full(layout.points, np.nan) for name in names}
    done = np.zeros(layout.points, dtype=bool)

    def fill() -> Iterator[int]:
        for number, span in whole(layout):
            engine = engine_of(layout, number, engines, state)
            if engine is None:
                continue
            for block in blocks(layout, span, engine, asked, how):
                size = math.prod(block.shape)
                numbers = Numbering(layout, number, span, block)(np.arange(size))
                for name, value in spent(engine, block.values, layout.study.price).items():
                    found[name][numbers] = np.broadcast_to(value, block.shape).ravel()
                done[numbers] = True
                state.evaluated += size
                yield state.evaluated

    stopped = until_stopped(fill(), layout, progress)
    numbers = np.flatnonzero(done)
    values = {k: v[numbers] for k, v in found.items()}
    columns = assembled(layout, numbers, values, engines.prompts, engines.once)
    notes = [*_of_lengths(layout), *_worth(layout), *engines.notes, *_left_out(layout, state),
             *about_models(layout, engines), *about_idle(layout, engines)]  # fmt: skip
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

"""Points of a sweep, streamed into what keeps a few of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mansard.core.errors import MansardError
from mansard.core.notes import Note
from mansard.query.sweeps.asked import Asked
from mansard.query.sweeps.blocks import Numbering, Span, blocks
from mansard.query.sweeps.cases import Layout
from mansard.query.sweeps.metrics import figure_of, valued
from mansard.query.sweeps.once import makes_tokens
from mansard.query.sweeps.programs import Engines, unusable
from mansard.query.sweeps.reduce import Reduction
from mansard.query.target import DevicesError

if TYPE_CHECKING:
    from mansard.query.sweeps.programs import Engine

Progress = Callable[[int, int], None]


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


def whole(layout: Layout) -> list[tuple[int, Span]]:
    """Return every case, with all values of its sizes."""
    span = {a.name: (0, len(a.values)) for a in layout.inner}
    return [(number, span) for number in range(layout.cases)]


def until_stopped(done: Iterator[int], layout: Layout, progress: Progress | None) -> bool:
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
    for number, span in parts:
        found = engine_of(layout, number, engines, into)
        if found is None:
            into.evaluated += math.prod(b - a for a, b in span.values())
            continue
        for block in blocks(layout, span, found, names, engine):
            place = Numbering(layout, number, span, block)
            count = math.prod(block.shape)
            price = layout.study.price
            chip, devices = found.cluster.chip, found.cluster.devices
            values = {
                m: np.broadcast_to(
                    valued(m, block.values, chip, devices, price)
                    if m != "cost_per_mtok" or makes_tokens(found)
                    else np.nan,
                    block.shape,
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


def engine_of(layout: Layout, number: int, engines: Engines, into: Streamed) -> Engine | None:
    """Return the engine of a case; None, with a note, where it cannot be built."""
    try:
        found = engines.of(layout.case(number))
        into.built = True
        return found
    except MansardError as error:
        if layout.cases == 1 or not unusable(error):
            raise
        use = f" (use {error.needed})" if isinstance(error, DevicesError) else ""
        into.left_out.append(Note("M071", f"left out: {error.message}{use}"))
        return None

"""Rows of a schedule, priced: seconds of each resource, and the field of the chip behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property

from mansard.backends.cluster import Cluster
from mansard.backends.collectives import Level
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.greatest import undominated
from mansard.backends.engine.lowered import Lowered, NotCompiledError, Segment
from mansard.backends.engine.polynomials import Space, SpaceAtom, add, freeze, scaled, times
from mansard.backends.hardware import Hardware
from mansard.backends.quantity import Terms
from mansard.backends.rates import COMPUTE, LINK, MEMORY_BOUND, OVERHEAD, VECTOR, price
from mansard.backends.roofline import wanted_phases
from mansard.backends.table import TableRow
from mansard.core.records import dataclass
from mansard.ir.cost import MATRIX, Work
from mansard.ir.program import Program
from mansard.ir.value import MEMORY, ONCHIP

BANDWIDTH = "memory.bandwidth"
LINK_FIELD = "link.per_direction"
NETWORK = "network"
"""What joins nodes: no field of the chip, so nothing to solve for."""


@dataclass(frozen=True)
class Share:
    """Part of what one resource needs: work over a rate.

    Args:
        resource: compute, vector, memory, link …
        field: dotted, of the chip's file; empty where no rate is in it.
        work: FLOPs or bytes of all occurrences, over scenario symbols; seconds without a rate.
        rate: what does so much of it a second.
        link: of a collective, what it is and the levels it crosses.
        levels: the field behind each of those levels.
    """

    resource: str
    field: str
    work: Terms
    rate: Fraction = Fraction(1)
    link: tuple[str, tuple[Level, ...]] | None = None
    levels: tuple[str, ...] = ()

    @cached_property
    def terms(self) -> Terms:
        """The seconds it takes."""
        return self.work if self.rate == 1 else scaled(self.work, 1.0 / float(self.rate))


@dataclass(frozen=True)
class Section:
    """One row of one segment, priced."""

    segment: Segment
    row: TableRow | None
    shares: tuple[Share, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.row.name if self.row is not None else "wait"

    @cached_property
    def resources(self) -> Mapping[str, Terms]:
        """The seconds each resource needs."""
        found: dict[str, list[Terms]] = {}
        for share in self.shares:
            found.setdefault(share.resource, []).append(share.terms)
        return {name: add(parts) for name, parts in found.items()}

    @cached_property
    def kept(self) -> Mapping[str, Terms]:
        """The same, less what another resource exceeds at every scenario."""
        left = undominated(list(self.resources.values()))
        return {r: t for r, t in self.resources.items() if any(t is k for k in left)}


def _sections(segments: Sequence[Segment], cluster: Cluster, space: Space) -> Iterator[Section]:
    """Yield every row of every segment, priced."""
    for segment in segments:
        if segment.table is None or segment.rows is None:
            if segment.seconds:
                yield Section(segment, None, (Share(OVERHEAD, "", segment.seconds),))
            continue
        for row in segment.table.rows:
            shares = tuple(_shares(row, segment, cluster, space))
            if shares:
                yield Section(segment, row, shares)


def _shares(row: TableRow, segment: Segment, cluster: Cluster, space: Space) -> Iterator[Share]:
    assert segment.rows is not None
    bound, chip = segment.rows, cluster.chip
    count = bound.terms(row.count)

    for work, slot in row.flops.items():
        rate = chip.peak(*work).flops_per_s
        if rate is not None:
            resource = COMPUTE if work[0] == MATRIX else VECTOR
            flops = times(count, bound.terms(slot))
            yield Share(resource, peak_field(work, chip), flops, Fraction(rate))
    priced = price(row, cluster)
    each = {name: dict(parts) for name, parts in priced.rates.items()}
    for (place, _), slot in row.traffic.items():
        if place != ONCHIP:
            resource = MEMORY_BOUND if place == MEMORY else f"{place} memory"
            field = BANDWIDTH if place == MEMORY else f"link.{place}"
            exact = round_rate(1.0 / each[resource][slot])
            yield Share(resource, field, times(count, bound.terms(slot)), exact)
    for (op, axis, _), sent in zip(row.payload, priced.transfers, strict=True):
        size = freeze(bound.terms(sent.quantity))
        link = (sent.op, tuple(level for level in sent.levels if level.ranks > 1))
        atom = space.atom(SpaceAtom("transfer", args=(size,), link=(sent.op, sent.levels)))
        names = _level_fields(op, axis, cluster, len(link[1]))
        yield Share(LINK, names[0] if names else "", times(count, atom), link=link, levels=names)


def _level_fields(op: str, axis: str, cluster: Cluster, count: int) -> tuple[str, ...]:
    """Return the field behind each level a transfer crosses, innermost first."""
    if op == "copy":
        source, _, target = axis.partition(">")
        return (f"link.{source if source != MEMORY else target}",)[:count]
    inside, _ = cluster.spread(axis)
    own = (LINK_FIELD,) if inside > 1 or cluster.network is None else ()
    return (*own, *[NETWORK] * count)[:count]


def round_rate(rate: float) -> Fraction:
    """Return a rate whose inverse was rounded."""
    near = round(rate)
    return Fraction(near if abs(near - rate) <= 1e-12 * rate else rate)


def peak_field(work: Work, chip: Hardware) -> str:
    """Return the field of the chip that sets the rate of a unit for a dtype."""
    unit, dtype, structure = work
    peak = chip.peak(unit, dtype, structure)
    wanted = (unit, peak.dtype, structure)
    tried = [wanted, (unit, peak.dtype, "dense"), ("vector", peak.dtype, "dense")]
    unit, dtype, structure = next((k for k in tried if k in chip.peaks), wanted)
    return f"peak.{unit}.{dtype}" if structure == "dense" else f"peak.{unit}.{structure}.{dtype}"


class Priced:
    """A program on a chip as polynomials: its rows, its sizes, its phases.

    Args:
        program: after its passes, or one lowered before.
        cluster: prices it.
        phases: that count; every one unless given.

    Raises:
        NotCompiledError: the schedule holds what only ``roofline.estimate`` evaluates.
    """

    def __init__(
        self, program: Program | Lowered, cluster: Cluster, phases: Sequence[str] = ()
    ) -> None:
        self.lowered = program if isinstance(program, Lowered) else Lowered(program)
        self.cluster = cluster
        self.phases = wanted_phases(phases, self.lowered.phases)

    @property
    def space(self) -> Space:
        """The polynomials' atoms."""
        return self.lowered.space

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Every row of every segment."""
        return tuple(_sections(self.lowered.segments, self.cluster, self.space))

    def of_phase(self, phase: str) -> Iterator[Section]:
        """Yield the rows of a phase that counts, whose times add up.

        Raises:
            NotCompiledError: rows side by side.
        """
        for section in self.beside(phase):
            if section.row is not None and section.row.group:
                raise NotCompiledError("streams side by side are stepped")
            yield section

    def beside(self, phase: str) -> Iterator[Section]:
        """Yield the rows of a phase that counts, those side by side, too."""
        if phase in self.phases:
            yield from (s for s in self.sections if s.segment.phase == phase)

    @cached_property
    def footprints(self) -> Footprints:
        """The sizes of what it holds."""
        return Footprints(self.lowered)

    @cached_property
    def fields(self) -> dict[str, str]:
        """The fields of the chip that set a rate here, with the resource each belongs to."""
        return {s.field: s.resource for row in self.sections for s in row.shares if s.field}

"""Fields of a chip as parameters: rates that vary while a program keeps its rows.

Which costs a field sets is found by pricing with its least and its greatest value: a cost that is
the same does not depend on it, one that falls as the field grows is work over the field. Links are
looked at in the same way, their rate and their latency each, and a collective over one that varies
is the formula of ``collectives`` in polynomials, its choice of an algorithm included.
Everything else a field may do is priced value by value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mansard.backends.cluster import Cluster
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.rates import Priced, Transfer, price
from mansard.backends.table import TableRow
from mansard.core.records import dataclass
from mansard.core.symbols import Symbol, symbol

CLOSE = 1e-13
"""Two products of floats that are the same number."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """A field of the chip, or of what joins its nodes.

    Args:
        field: dotted, as the chip's file has it.
        values: its least and its greatest value, in SI base units.
        ends: the devices with either.
    """

    field: str
    values: tuple[float, float]
    ends: tuple[Cluster, Cluster]

    @property
    def inverse(self) -> Symbol:
        """One over it, as polynomials hold a rate."""
        return symbol(f"1/{self.field}", "rate")

    @property
    def itself(self) -> Symbol:
        """It, as polynomials hold a latency."""
        return symbol(self.field, "rate")


Times = tuple[float, Parameter | None]
"""A number, times a parameter where there is one."""
Rated = list[tuple[int, float, Parameter | None]]
"""(quantity, seconds per unit) of a resource; times one over a parameter where there is one."""


@dataclass(frozen=True)
class OpenLevel:
    """A kind of link whose rate or latency may be a parameter.

    Args:
        ranks: that it joins.
        bytes_per_s: per rank and direction.
        latency_s: of a hop.
    """

    ranks: int
    bytes_per_s: Times
    latency_s: Times


@dataclass(frozen=True)
class Open:
    """A row's prices, with parameters left open.

    Args:
        priced: with some value of every parameter.
        rates: resource → its rates, and what each depends on.
        links: of each transfer that depends on a parameter, the levels it crosses.
    """

    priced: Priced
    rates: Mapping[str, Rated]
    links: Mapping[int, tuple[OpenLevel, ...]]


class Rates:
    """Prices of rows, with parameters left open.

    Args:
        cluster: the devices; its chip has some value of every parameter.
        parameters: what varies.
    """

    def __init__(self, cluster: Cluster, parameters: Sequence[Parameter] = ()) -> None:
        self.cluster, self.parameters = cluster, tuple(parameters)
        for p in parameters:
            if any(end.chip.reserve_bytes != cluster.chip.reserve_bytes for end in p.ends):
                raise _unlike(p)

    def of(self, row: TableRow) -> Open:
        """Return a row's prices, and its rates with what they depend on.

        Raises:
            NotCompiledError: it depends on a parameter in another way.
        """
        base = price(row, self.cluster)
        found: dict[str, Rated] = {
            name: [(slot, each, None) for slot, each in rates] for name, rates in base.rates.items()
        }
        crossed: dict[int, tuple[OpenLevel, ...]] = {}
        for p in self.parameters:
            ends = price(row, p.ends[0]), price(row, p.ends[1])
            if any(not _alike(base, end) for end in ends):
                raise _unlike(p)
            for name, rates in found.items():
                for k, (slot, _, other) in enumerate(rates):
                    low, high = ends[0].rates[name][k][1], ends[1].rates[name][k][1]
                    if low == high:
                        continue
                    work, same = low * p.values[0], high * p.values[1]
                    if other is not None or not math.isclose(work, same, rel_tol=CLOSE):
                        raise _unlike(p)
                    rates[k] = (slot, 1.0 if abs(work - 1) < CLOSE else work, p)
            for k, sent in enumerate(base.transfers):
                if ends[0].transfers[k] != ends[1].transfers[k]:
                    before = crossed.get(k) or _closed(sent)
                    crossed[k] = _opened(before, ends[0].transfers[k], ends[1].transfers[k], p)
        return Open(base, found, crossed)

    @property
    def capacity(self) -> Parameter | None:
        """The parameter that is the memory's size.

        Raises:
            NotCompiledError: a parameter sets the size in another way.
        """
        for p in self.parameters:
            sizes = tuple(end.chip.capacity_bytes for end in p.ends)
            if sizes == p.values:
                return p
            if sizes[0] != sizes[1]:
                raise _unlike(p)
        return None


def _alike(a: Priced, b: Priced) -> bool:
    """Say whether two prices are of the same quantities."""
    kinds = [
        {name: tuple(slot for slot, _ in rates) for name, rates in p.rates.items()} for p in (a, b)
    ]
    sent = [
        [(t.op, t.quantity, [level.ranks for level in t.levels]) for t in p.transfers]
        for p in (a, b)
    ]
    return kinds[0] == kinds[1] and sent[0] == sent[1]


def _closed(sent: Transfer) -> tuple[OpenLevel, ...]:
    return tuple(
        OpenLevel(level.ranks, (level.bytes_per_s, None), (level.latency_s, None))
        for level in sent.levels
    )


def _opened(
    levels: tuple[OpenLevel, ...], least: Transfer, greatest: Transfer, p: Parameter
) -> tuple[OpenLevel, ...]:
    """Return levels with what a parameter sets left open.

    Raises:
        NotCompiledError: something is no multiple of it, or depends on another parameter, too.
    """

    def multiple(now: Times, low: float, high: float) -> Times:
        if low == high:
            return now
        same = math.isclose(low * p.values[1], high * p.values[0], rel_tol=CLOSE)
        if now[1] is not None or not same:
            raise _unlike(p)
        each = high / p.values[1]
        return 1.0 if abs(each - 1) < CLOSE else each, p

    return tuple(
        OpenLevel(
            now.ranks,
            multiple(now.bytes_per_s, a.bytes_per_s, b.bytes_per_s),
            multiple(now.latency_s, a.latency_s, b.latency_s),
        )
        for now, a, b in zip(levels, least.levels, greatest.levels, strict=True)
    )


def _unlike(p: Parameter) -> NotCompiledError:
    return NotCompiledError(f"{p.field} sets more than a rate: it is priced value by value")

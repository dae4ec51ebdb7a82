"""Fields of a chip as parameters: rates that vary while a program keeps its rows.

Which costs a field sets is found by pricing with its least and its greatest value: a cost that is
the same does not depend on it, one that falls as the field grows is work over the field.
Everything else a field may do - a collective's time, a latency - is priced value by value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mansard.backends.cluster import Cluster
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.hardware import Hardware
from mansard.backends.rates import Priced, price
from mansard.backends.table import TableRow
from mansard.core.records import dataclass
from mansard.core.symbols import Symbol, symbol

CLOSE = 1e-13
"""Two products of floats that are the same number."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """A field of the chip.

    Args:
        field: dotted, as the chip's file has it.
        values: its least and its greatest value, in SI base units.
        chips: the chip with either.
    """

    field: str
    values: tuple[float, float]
    chips: tuple[Hardware, Hardware]

    @property
    def inverse(self) -> Symbol:
        """One over it, as polynomials hold it."""
        return symbol(f"1/{self.field}", "rate")


Rated = list[tuple[int, float, Parameter | None]]
"""(quantity, seconds per unit) of a resource; times one over a parameter where there is one."""


class Rates:
    """Prices of rows, with parameters left open.

    Args:
        cluster: the devices; its chip has some value of every parameter.
        parameters: what varies.
    """

    def __init__(self, cluster: Cluster, parameters: Sequence[Parameter] = ()) -> None:
        self.cluster, self.parameters = cluster, tuple(parameters)
        self._ends = [
            (p, _with(cluster, p.chips[0]), _with(cluster, p.chips[1])) for p in parameters
        ]
        for p in parameters:
            if any(chip.reserve_bytes != cluster.chip.reserve_bytes for chip in p.chips):
                raise _unlike(p)

    def of(self, row: TableRow) -> tuple[Priced, Mapping[str, Rated]]:
        """Return a row's prices, and its rates with what they depend on.

        Raises:
            NotCompiledError: it depends on a parameter in another way.
        """
        base = price(row, self.cluster)
        found: dict[str, Rated] = {
            name: [(slot, each, None) for slot, each in rates] for name, rates in base.rates.items()
        }
        for p, least, greatest in self._ends:
            ends = price(row, least), price(row, greatest)
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
        return base, found

    @property
    def capacity(self) -> Parameter | None:
        """The parameter that is the memory's size.

        Raises:
            NotCompiledError: a parameter sets the size in another way.
        """
        for p, least, greatest in self._ends:
            sizes = least.chip.capacity_bytes, greatest.chip.capacity_bytes
            if sizes == p.values:
                return p
            if sizes[0] != sizes[1]:
                raise _unlike(p)
        return None


def _with(cluster: Cluster, chip: Hardware) -> Cluster:
    return Cluster(chip, cluster.per_node, cluster.nodes, cluster.network, cluster.mesh)


def _alike(a: Priced, b: Priced) -> bool:
    """Say whether two prices are of the same quantities, and transfers take the same time."""
    kinds = [
        {name: tuple(slot for slot, _ in rates) for name, rates in p.rates.items()} for p in (a, b)
    ]
    return kinds[0] == kinds[1] and a.transfers == b.transfers


def _unlike(p: Parameter) -> NotCompiledError:
    return NotCompiledError(f"{p.field} sets more than a rate: it is priced value by value")

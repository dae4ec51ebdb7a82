"""Several chips: how many in a node, how many nodes, and what joins them."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mansard.backends.hardware import Hardware
from mansard.core import units
from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass


@dataclass(frozen=True)
class Network:
    """What joins nodes, per device and direction.

    Args:
        latency_s: of one hop; None when no source gives it (then 0 is used, and said).
    """

    id: str
    name: str
    bytes_per_s: float
    latency_s: float | None = None
    sources: tuple[str, ...] = ()

    def override(self, key: str, value: str) -> Network:
        """Return it with one field changed.

        Raises:
            MansardError: no such field, or a value of another dimension.

        >>> network("ib-ndr400").override("latency", "2us").latency_s
        2e-06
        """
        if key not in FIELDS:
            raise unknown_name("field of a network", key, FIELDS)
        name, dimension = FIELDS[key]
        number = float(units.parse(value, dimension))
        if number < 0 or (number == 0 and dimension != "time"):
            least = "be above 0" if dimension != "time" else "not be negative"
            raise SpecError(f"network.{key} is {value!r}: it must {least}",
                            hint="leave it out, or give what the network has")  # fmt: skip
        changed: dict[str, Any] = {name: number}
        return replace(self, **changed, sources=(*self.sources, f"{key} = {value}, given"))


FIELDS = {"per_direction": ("bytes_per_s", "bytes/s"), "latency": ("latency_s", "time")}
"""Fields of a network that may be changed, with the dimension of each."""


@dataclass(frozen=True)
class Cluster:
    """``nodes`` of ``per_node`` chips.

    Args:
        chip: every device is one.
        per_node: chips joined by the chip's own link.
        nodes: joined by ``network``.
        mesh: axis → devices, innermost first, as the program lays them out.
    """

    chip: Hardware
    per_node: int = 1
    nodes: int = 1
    network: Network | None = None
    mesh: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def devices(self) -> int:
        """All of them."""
        return self.nodes * self.per_node

    def spread(self, axis: str) -> tuple[int, int]:
        """Return how many ranks of a mesh axis share a node, and over how many nodes it spans.

        Axes are laid out innermost first, so an axis's ranks stand as far apart as the product of
        the axes inside it. An axis the mesh does not have (experts over ``tp·dp``) is innermost.
        Axes named ``tp@decode`` are the layout of one phase, laid out on their own.

        >>> from mansard.backends import chips
        >>> eight = Cluster(chips.load("h100-sxm"), 8, 4, mesh={"tp": 8, "pp": 4})
        >>> eight.spread("tp"), eight.spread("pp")
        ((8, 1), (1, 4))
        """
        stride = 1
        for name, size in layouts(self.mesh).get(_phase(axis), {}).items():
            if name == axis:
                return self._spread(size, stride)
            stride *= size
        return self._spread(self.devices, 1)

    def _spread(self, ranks: int, stride: int) -> tuple[int, int]:
        inside = max(1, min(ranks, self.per_node // stride)) if stride <= self.per_node else 1
        return inside, -(-ranks // inside)


def _phase(axis: str) -> str:
    return axis.partition("@")[2]


def layouts(mesh: Mapping[str, int]) -> Mapping[str, Mapping[str, int]]:
    """Sort a mesh's axes by the phase they belong to; the empty one is every phase's.

    >>> layouts({"tp": 8, "tp@decode": 4, "dp@decode": 2})
    {'': {'tp': 8}, 'decode': {'tp@decode': 4, 'dp@decode': 2}}
    """
    found: dict[str, dict[str, int]] = {}
    for axis, size in mesh.items():
        found.setdefault(_phase(axis), {})[axis] = size
    return found


@functools.cache
def networks() -> Mapping[str, Network]:
    """Return the networks mansard knows, by id."""
    text = (Path(__file__).parent / "networks.toml").read_text(encoding="utf-8")
    found = {}
    for key, table in tomllib.loads(text)["network"].items():
        latency = table.get("latency")
        found[key] = Network(
            key,
            table["name"],
            float(units.parse(table["per_direction"], "bytes/s")),
            None if latency is None else float(units.parse(latency, "time")),
            tuple(table["sources"]),
        )
    return found


def network(name: str) -> Network:
    """Return a network by id.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in networks():
        raise unknown_name("network", name, networks())
    return networks()[name]


def cluster(
    chip: Hardware, nodes: int, per_node: int, net: str | None, mesh: Mapping[str, int],
    wires: Mapping[str, str] = MappingProxyType({}),
) -> Cluster:  # fmt: skip
    """Put chips together.

    Args:
        chip: every device.
        nodes: how many.
        per_node: chips in each.
        net: what joins the nodes, by name; None where nothing does, or ``wires`` say all of it.
        mesh: axis → devices.
        wires: fields of the network that are other than its name says.

    Raises:
        SpecError: several nodes without a network between them.
    """
    found = network(net) if net else None
    if wires and found is None:
        found = Network("stated", "as stated", 0.0)
        if "per_direction" not in wires and set(wires) <= set(FIELDS):
            raise SpecError(
                f"network.{next(iter(wires))} is given, but no network",
                hint="add --set network=NAME, or --set network.per_direction=50GB/s",
            )
    for key, value in wires.items():
        assert found is not None
        found = found.override(key, value)
    if nodes > 1 and found is None:
        raise SpecError(
            f"{nodes} nodes of {per_node} × {chip.id}, but nothing says what joins the nodes",
            hint=f"add --set network=NAME; one of: {', '.join(sorted(networks()))}",
        )
    return Cluster(chip, per_node, nodes, found, mesh)

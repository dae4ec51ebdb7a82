"""The hardware of a question: a name, ``name:N``, a file, or a chip already loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mansard.backends import chips
from mansard.backends.cluster import Cluster, cluster, layouts
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query.overrides import read_overrides

if TYPE_CHECKING:
    from mansard.query.techniques import Spec

PARALLEL = "parallel"


class DevicesError(SpecError):
    """Techniques use more or fewer devices than there are.

    Args:
        message, hint: as of every error.
        needed: the option that asks for as many as they use.
    """

    def __init__(self, message: str, *, hint: str | None = None, needed: str = "") -> None:
        super().__init__(message, hint=hint)
        self.needed = needed


@dataclass(frozen=True)
class Target:
    """A chip, how many of it, and what joins them."""

    cluster: Cluster
    name: str = ""

    @property
    def chip(self) -> Hardware:
        """What every device is."""
        return self.cluster.chip

    @property
    def devices(self) -> int:
        """All of them."""
        return self.cluster.devices

    def laid_out(self, mesh: Mapping[str, int]) -> Cluster:
        """Return the cluster with a program's mesh on it."""
        return replace(self.cluster, mesh=dict(mesh))

    def check(self, mesh: Mapping[str, int]) -> None:
        """Raise unless a mesh takes exactly the devices there are.

        Raises:
            SpecError: it takes more or fewer.
        """
        for axes in layouts(mesh).values() if mesh else ({},):
            asked = math.prod(axes.values())
            if asked == self.devices:
                continue
            degrees = (
                "·".join(f"{a.partition('@')[0]}={n}" for a, n in axes.items()) or "no parallel"
            )
            needed = f"--on {self.chip.id}:{asked}"
            raise DevicesError(
                f"the techniques use {_devices(asked)} ({degrees}); {self.name} has {self.devices}",
                hint=f"tp·cp·dp·pp must be the number of devices: {needed}, or other degrees",
                needed=needed,
            )


def _devices(n: int) -> str:
    return f"{n} device{'' if n == 1 else 's'}"


def dealt(batch: int, mesh: Mapping[str, int]) -> tuple[Note, ...]:
    """Return a note when a batch does not divide over data-parallel ranks."""
    ranks = [n for axis, n in mesh.items() if axis.partition("@")[0] == "dp" and batch % n]
    said = "batch {} over dp={}: the fullest rank has {}, and the others wait for it"
    return tuple(Note("M041", said.format(batch, n, -(-batch // n))) for n in ranks)


def load_hardware(name: str | Path) -> Hardware:
    """Load a chip by name, alias or path, of a plugin too; see ``mansard hardware list``."""
    from mansard.query.named import chip

    return chip(name)


def read_target(
    on: str | Path | Hardware, overrides: Mapping[str, str], network: str | None = None,
    wires: Mapping[str, str] = MappingProxyType({}),
) -> Target:  # fmt: skip
    """Return the chips ``on`` names, with fields overridden.

    Args:
        on: a name, ``name:N``, ``name:NODESxN``, a path, or a Hardware.
        overrides: of the chip's fields.
        network: what joins the nodes, by name.
        wires: fields of that, changed.

    Raises:
        MansardError: no such chip or network, an override it has no field for, or several nodes
            without a network.
    """
    if isinstance(on, Hardware):
        chip, nodes, per_node = on, 1, 1
    else:
        name, nodes, per_node = chips.parse_target(str(on))
        chip = load_hardware(name)
    for key, value in overrides.items():
        chip = chip.override(key, value)
    label = chip.id if isinstance(on, Hardware) else str(on)
    return Target(cluster(chip, nodes, per_node, network, {}, wires), label)


def target_of(on: str | Path | Hardware, changed: Mapping[str, object]) -> Target:
    """Return the devices that ``on`` names, with fields of the chip changed."""
    overrides = read_overrides(changed)
    return read_target(on, overrides.hardware, overrides.network, overrides.wires)


def spread_over(
    techniques: Sequence[Spec], target: Target
) -> tuple[tuple[Spec, ...], tuple[Note, ...]]:
    """Return the techniques, with tensor parallelism over all devices when none divides the model.

    Raises:
        MansardError: a text that is no pipeline.
    """
    if target.devices == 1:
        return tuple(techniques), ()
    from mansard.query.techniques import read_techniques

    passes = read_techniques(techniques)
    if any(p.divides for p in passes):
        return passes, ()
    said = f"{target.name}: nothing says how {target.devices} devices share the model, so"
    note = Note("M040", f"{said} tp={target.devices} is used")
    return (*passes, f"{PARALLEL}{{tp={target.devices}}}"), (note,)

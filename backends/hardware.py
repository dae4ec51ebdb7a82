"""A chip as data: what it computes, holds and moves, and the sources its numbers have."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import field
from typing import Any

from mansard.backends.hardware_file import KEYS, VERIFIED, Table, decode, read_fields
from mansard.backends.peaks import Peak, Peaks, find_peak
from mansard.core.errors import SpecError
from mansard.core.lists import listed
from mansard.core.records import dataclass

OVERRIDDEN = "the asker's own"


@dataclass(frozen=True)
class Hardware:
    """One chip (a link connects several of the same); None is unknown, never zero.

    Attributes:
        peaks: FLOP/s by (unit, dtype, structure): unit ``matrix`` or ``vector``, structure
            ``dense`` or ``2:4``.
        unsupported: dtypes the chip has no matrix rate for; a dtype in neither is unknown.
        capacity_bytes: of the memory (HBM, GDDR, DDR, or SRAM where that is all there is).
        reserve_bytes: what driver and runtime take of it; 0 where no source gives a figure.
        link_bytes_per_s: to the other chips, in one direction; ``host_link_bytes_per_s`` (host
            memory) and ``storage_link_bytes_per_s`` (disks) likewise.
        link_latency_s: of one hop between chips of a node.
        price: as published, with its unit; a range stays a range.
        confidence: a letter of ``hardware_file.CONFIDENCES``; empty in a user's own file.
        sources: section of the file -> the documents its numbers were taken from.
        overrides: the ``key=value`` pairs that ``override`` changed.
    """

    id: str
    capacity_bytes: int
    bandwidth_bytes_per_s: int | float
    name: str = ""
    vendor: str = ""
    kind: str = ""
    arch: str = ""
    year: int | None = None
    aliases: tuple[str, ...] = ()
    peaks: Peaks = field(default_factory=dict, hash=False)
    unsupported: frozenset[str] = frozenset()
    memory_type: str = ""
    reserve_bytes: int = 0
    onchip_bytes: int | None = None
    onchip_kind: str = ""
    onchip_bytes_per_s: int | float | None = None
    unit_count: int | None = None
    unit_kind: str = ""
    clock_hz: int | float | None = None
    link_name: str = ""
    link_bytes_per_s: int | float | None = None
    link_latency_s: int | float | None = None
    host_link_bytes_per_s: int | float | None = None
    storage_link_bytes_per_s: int | float | None = None
    tdp_w: int | float | None = None
    price: str = ""
    confidence: str = ""
    notes: str = ""
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    overrides: tuple[str, ...] = ()
    table: Table = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_toml(cls, source: str | Table, *, where: str = "hardware") -> Hardware:
        """Build a chip from the text of a TOML file, or from the table it decodes to.

        Args:
            source: text, or nested mappings with the same keys.
            where: names the source in errors, usually the path.

        Raises:
            SpecError: not TOML, or a key that is missing, unknown or of the wrong unit.
        """
        table = decode(source, where) if isinstance(source, str) else source
        if "chip" in table and isinstance(table.get("set"), list):
            raise SpecError(
                f"{where}: a calibration of {str(table['chip'])[:60]!r}, not a chip",
                hint=f"analyze … --on {str(table['chip'])[:60]} --estimate calibrated"
                " --set calibration=FILE reads it",
            )
        fields = read_fields(table, where)
        fields["name"] = fields.get("name") or fields["id"]
        return cls(**fields, table=table)

    @property
    def verified(self) -> bool:
        """Whether peak, capacity and bandwidth were seen in at least one source."""
        return self.confidence in VERIFIED

    def peak(self, unit: str, dtype: str, structure: str = "dense") -> Peak:
        """Return the rate of ``unit`` for ``dtype``, falling back as the chip demands.

        The matrix unit serves a dtype it lacks at the rate of one of the same width, else of
        the next wider, and says so in ``note``. The vector unit serves every dtype at the fp32
        non-matrix rate. fp32 products run at the IEEE fp32 rate, never at the tf32 one.

        Raises:
            MansardError: the unit, dtype or structure does not exist.
        """
        return find_peak(self.id, self.peaks, self.unsupported, unit, dtype, structure)

    def sources_of(self, key: str) -> tuple[str, ...]:
        """Return where a figure was taken from; nothing where no source is recorded.

        Args:
            key: as the file nests it: ``memory.bandwidth``, ``peak.vector.fp32``.
        """
        if any(changed.partition("=")[0] == key for changed in self.overrides):
            return (OVERRIDDEN,)
        sections: tuple[str, ...]
        match key.split("."):
            case ["peak", "vector", *_]:  # unless told apart, the sources of peaks state it, too
                sections = ("vector", "compute")
            case ["peak", _, _, _]:
                sections = ("sparsity",)
            case ["peak", *_]:
                sections = ("compute",)
            case ["link", "per_direction" | "name"]:
                sections = ("link",)
            case ["link", other]:
                sections = (other,)
            case [section, *_]:
                sections = (section,)
        return next((self.sources[s] for s in sections if s in self.sources), ())

    def override(self, key: str, value: str | float) -> Hardware:
        """Return this chip with one key of its file changed: ``memory.bandwidth``, ``4TB/s``.

        Args:
            key: dotted, as the file nests it (``peak.matrix.fp8``, ``units.count``, ``tdp``).
            value: text with its unit.

        Raises:
            SpecError: no such key, or a value it cannot hold.
        """
        key = key.removeprefix("hardware.")
        table: dict[str, Any] = deepcopy(dict(self.table or {"id": self.id}))
        where = f"{self.id}: override {key[:40]}={str(value)[:40]}"
        section, parts = table, key.split(".")
        for part in parts[:-1]:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise SpecError(
                    f"{where}: {part} is not a section", hint=f"keys: {', '.join(KEYS)}"
                )
        section[parts[-1]] = _plain(key, value)
        if parts[:2] == ["peak", "matrix"] and parts[-1] in self.unsupported:
            table["unsupported"] = [d for d in table.get("unsupported", ()) if d != parts[-1]]
        changed = Hardware.from_toml(table, where=where)
        fields = {name: getattr(changed, name) for name in changed.__dataclass_fields__}
        return Hardware(**fields | {"overrides": (*self.overrides, f"{key}={value}")})


def _plain(key: str, value: str | float) -> object:
    """Give text the TOML type its key has: whole numbers and lists need one."""
    match key:
        case "units.count" | "year" if isinstance(value, str) and len(value) < 16:
            return int(value) if value.isascii() and value.isdigit() else value
        case "unsupported" | "aliases" if isinstance(value, str):
            return listed(value)
        case _:
            return value

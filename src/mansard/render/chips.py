"""Chips as a list, one by one, and against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mansard.backends.hardware import Hardware
from mansard.core.units import format_bytes, format_flops, format_rate, format_time
from mansard.render.listing import Column, Listing

LIST_COLUMNS = (
    Column("id", "chip"),
    Column("vendor", "vendor", spare=2),
    Column("year", "year", number=True, spare=3),
    Column("capacity_bytes", "memory", number=True),
    Column("bandwidth_bytes_per_s", "bandwidth", number=True),
    Column("bf16_flops_per_s", "bf16", number=True),
    Column("fp8_flops_per_s", "fp8", number=True, spare=5),
    Column("confidence", "checked", spare=4),
    Column("from", "from", spare=1),
)

NAMES = ("name", "vendor", "kind", "arch", "year", "memory.type", "unsupported", "confidence")
"""Keys that are no figures."""
UNSOURCED = "no source recorded"

FIELDS = (
    "id", "name", "vendor", "kind", "arch", "year", "aliases", "capacity_bytes",
    "bandwidth_bytes_per_s", "memory_type", "reserve_bytes", "onchip_bytes", "onchip_kind",
    "onchip_bytes_per_s", "unit_count", "unit_kind", "clock_hz", "link_name", "link_bytes_per_s",
    "host_link_bytes_per_s", "tdp_w", "price", "confidence", "notes",
)  # fmt: skip


def chip_list(chips: Sequence[Hardware], owners: Sequence[str]) -> Listing:
    """Return the list: one line a chip, dense peaks, the distribution it came from."""
    pairs = list(zip(chips, owners, strict=True))
    return Listing(
        LIST_COLUMNS,
        [_summary(chip) | {"from": owner} for chip, owner in pairs],
        [{**_shown(chip), "from": owner} for chip, owner in pairs],
        f"{len(chips)} chips; dense peaks; checked: V vendor, T third party, X recalled and one"
        " source, D derived, R recalled, C sources conflict, P announced",
    )


def chip_record(chip: Hardware) -> dict[str, Any]:
    """Return everything known of a chip, SI units, null for unknown."""
    record: dict[str, Any] = {name: getattr(chip, name) for name in FIELDS}
    record["aliases"] = list(chip.aliases)
    record["peaks"] = [
        {"unit": unit, "dtype": dtype, "structure": structure, "flops_per_s": rate}
        for (unit, dtype, structure), rate in chip.peaks.items()
    ]
    record["unsupported"] = sorted(chip.unsupported)
    record["sources"] = {name: list(found) for name, found in chip.sources.items()}
    record["unsourced"] = [key for key in figures(chip) if _source(chip, key) == UNSOURCED]
    record["overrides"] = list(chip.overrides)
    return record


def chip_sheet(chip: Hardware) -> Listing:
    """Return one chip: every figure with its source."""
    rows = [
        {"key": key, "value": value, "source": _source(chip, key)}
        for key, value in figures(chip).items()
    ]
    columns = (
        Column("key", "key"), Column("value", "value"), Column("source", "source", flexible=True),
    )  # fmt: skip
    return Listing(columns, [chip_record(chip)], rows, chip.notes)


def chip_difference(chips: Sequence[Hardware]) -> Listing:
    """Return the figures in which chips differ, one column a chip."""
    sheets = [figures(chip) for chip in chips]
    keys = dict.fromkeys(key for sheet in sheets for key in sheet)
    rows: list[dict[str, str]] = []
    for key in keys:
        values = [sheet.get(key, "-") for sheet in sheets]
        if len(set(values)) > 1:
            rows.append({"key": key} | {c.id: v for c, v in zip(chips, values, strict=True)})
    columns = (Column("key", "key"), *(Column(c.id, c.id, flexible=True) for c in chips))
    return Listing(columns, rows, rows)


def figures(chip: Hardware) -> dict[str, str]:
    """Return what is known of a chip as text, named as its file names it."""
    return dict(_figures(chip))


def _figures(chip: Hardware) -> Iterator[tuple[str, str]]:
    for key in ("name", "vendor", "kind", "arch", "year"):
        if value := getattr(chip, key):
            yield key, str(value)
    yield "memory.capacity", format_bytes(chip.capacity_bytes)
    yield "memory.bandwidth", format_rate(chip.bandwidth_bytes_per_s)
    if chip.memory_type:
        yield "memory.type", chip.memory_type
    if chip.onchip_bytes:
        yield "onchip.size", f"{format_bytes(chip.onchip_bytes)} {chip.onchip_kind}".strip()
    if chip.onchip_bytes_per_s:
        yield "onchip.bandwidth", format_rate(chip.onchip_bytes_per_s)
    if chip.unit_count:
        yield "units.count", f"{chip.unit_count} {chip.unit_kind}".strip()
    if chip.clock_hz:
        yield "units.clock", format_rate(chip.clock_hz, "Hz")
    for (unit, dtype, structure), rate in chip.peaks.items():
        nested = "" if structure == "dense" else f"{structure}."
        yield f"peak.{unit}.{nested}{dtype}", format_flops(rate, per_second=True)
    if chip.unsupported:
        yield "unsupported", ", ".join(sorted(chip.unsupported))
    if chip.link_bytes_per_s:
        yield "link.per_direction", f"{format_rate(chip.link_bytes_per_s)} {chip.link_name}".strip()
    if chip.link_latency_s:
        yield "link.latency", format_time(float(chip.link_latency_s))
    if chip.host_link_bytes_per_s:
        yield "link.host", format_rate(chip.host_link_bytes_per_s)
    if chip.tdp_w:
        yield "tdp", f"{chip.tdp_w:g} W"
    if chip.price:
        yield "price", chip.price
    if chip.confidence:
        yield "confidence", chip.confidence


def _source(chip: Hardware, key: str) -> str:
    """Return where a figure is from, or that nobody knows; a name has no source."""
    if key in NAMES:
        return ""
    return "; ".join(chip.sources_of(key)) or UNSOURCED


def _summary(chip: Hardware) -> dict[str, Any]:
    return {
        "id": chip.id,
        "name": chip.name,
        "vendor": chip.vendor,
        "year": chip.year,
        "capacity_bytes": chip.capacity_bytes,
        "bandwidth_bytes_per_s": chip.bandwidth_bytes_per_s,
        "bf16_flops_per_s": chip.peaks.get(("matrix", "bf16", "dense")),
        "fp8_flops_per_s": chip.peaks.get(("matrix", "fp8", "dense")),
        "confidence": chip.confidence,
        "aliases": list(chip.aliases),
    }


def _shown(chip: Hardware) -> Mapping[str, str]:
    record = _summary(chip)
    return {
        "id": chip.id,
        "vendor": chip.vendor,
        "year": str(chip.year or "-"),
        "capacity_bytes": format_bytes(chip.capacity_bytes),
        "bandwidth_bytes_per_s": format_rate(chip.bandwidth_bytes_per_s),
        "bf16_flops_per_s": format_flops(record["bf16_flops_per_s"], per_second=True),
        "fp8_flops_per_s": format_flops(record["fp8_flops_per_s"], per_second=True),
        "confidence": chip.confidence or "-",
    }

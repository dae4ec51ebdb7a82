"""The layout of a chip's TOML file: which keys exist, how each is read, what is refused.

Numbers are quoted with their unit: ``capacity = "80 GiB"``, ``tdp = "700 W"``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from mansard.backends.peaks import DTYPES, STRUCTURES, UNITS
from mansard.core import units
from mansard.core.errors import SpecError, unknown_name

CONFIDENCES = {
    "V": "vendor documents or maintained repositories",
    "T": "third-party pages",
    "X": "recalled, and one source agrees",
    "D": "derived",
    "R": "recalled",
    "C": "sources conflict",
    "P": "announced, before release",
}
VERIFIED = frozenset("VTX")

KINDS = ("gpu", "superchip", "apu", "soc", "edge", "cpu", "tpu", "npu", "accelerator", "pim")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_GREATEST = 2**53

Table = Mapping[str, Any]
Reader = Callable[[object, str], Any]


def quantity(dimension: str, *, zero: bool = False) -> Reader:
    """Return a reader of a positive quantity of ``dimension`` (``zero``: or none at all)."""

    def read(value: object, where: str) -> int | float:
        if not isinstance(value, str):
            example = f"write a quoted number with its unit, not {value!r}"
            raise SpecError(f"{where}: expected {dimension}, got {value!r}", hint=example)
        try:
            number = units.parse(value, dimension)
        except SpecError as error:
            raise SpecError(f"{where}: {error.message}", hint=error.hint) from error
        number = int(number) if dimension == "bytes" else number
        if number == 0 and not zero:
            raise SpecError(
                f"{where}: {value!r} must be positive",
                hint=f"write it like {units.EXAMPLE[dimension]}",
            )
        return number

    return read


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise SpecError(f"{where}: expected text, got {str(value)[:60]!r}", hint="quote it")
    return value


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _GREATEST:
        raise SpecError(
            f"{where}: expected a positive integer, got {str(value)[:60]}", hint="e.g. 132"
        )
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise SpecError(f"{where}: expected a list of texts, got {value!r}", hint='e.g. ["a", "b"]')
    return tuple(_text(v, where) for v in value)


def _identifier(value: object, where: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        hint = "use lower-case letters, digits, '-', '.' and '_'"
        raise SpecError(f"{where}: {str(value)[:60]!r} cannot name a chip", hint=hint)
    return value


def _choice(kind: str, known: tuple[str, ...]) -> Reader:
    def read(value: object, where: str) -> str:
        if value not in known:
            error = unknown_name(kind, str(value), known)
            raise SpecError(f"{where}: {error.message}", hint=error.hint)
        return str(value)

    return read


def _dtypes(value: object, where: str) -> frozenset[str]:
    read = _choice("dtype", DTYPES)
    return frozenset(read(dtype, where) for dtype in _texts(value, where))


KEYS: dict[str, tuple[str, Reader]] = {
    "id": ("id", _identifier),
    "name": ("name", _text),
    "vendor": ("vendor", _text),
    "kind": ("kind", _choice("kind of chip", KINDS)),
    "arch": ("arch", _text),
    "year": ("year", _integer),
    "aliases": ("aliases", _texts),
    "unsupported": ("unsupported", _dtypes),
    "confidence": ("confidence", _choice("confidence", tuple(CONFIDENCES))),
    "tdp": ("tdp_w", quantity("power")),
    "price": ("price", _text),
    "notes": ("notes", _text),
    "memory.capacity": ("capacity_bytes", quantity("bytes")),
    "memory.bandwidth": ("bandwidth_bytes_per_s", quantity("bytes/s")),
    "memory.type": ("memory_type", _text),
    "memory.reserve": ("reserve_bytes", quantity("bytes", zero=True)),
    "onchip.size": ("onchip_bytes", quantity("bytes")),
    "onchip.kind": ("onchip_kind", _text),
    "onchip.bandwidth": ("onchip_bytes_per_s", quantity("bytes/s")),
    "units.count": ("unit_count", _integer),
    "units.kind": ("unit_kind", _text),
    "units.clock": ("clock_hz", quantity("frequency")),
    "link.name": ("link_name", _text),
    "link.per_direction": ("link_bytes_per_s", quantity("bytes/s")),
    "link.latency": ("link_latency_s", quantity("time", zero=True)),
    "link.host": ("host_link_bytes_per_s", quantity("bytes/s")),
    "link.storage": ("storage_link_bytes_per_s", quantity("bytes/s")),
}
"""Key in the file -> (field of ``Hardware``, how its value is read)."""

REQUIRED = ("id", "memory.capacity", "memory.bandwidth")
SOURCES = ("compute", "vector", "sparsity", "memory", "onchip", "units", "link",
           "latency", "tdp", "price")  # fmt: skip
_SECTIONS = {key.partition(".")[0] for key in KEYS if "." in key} | {"peak", "sources"}


def decode(text: str, where: str) -> Table:
    """Parse TOML text; a syntax error names ``where``."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecError(
            f"{where}: not TOML: {error}", hint="compare with a bundled chip"
        ) from error


def read_fields(table: Table, where: str) -> dict[str, Any]:
    """Read every key of ``table``, the nested layout of the file, into fields of ``Hardware``.

    Raises:
        SpecError: a key is missing, unknown, of the wrong unit, or contradicts another; the
            message starts with ``where`` and the key.
    """
    flat = _flatten(table, where)
    for key in REQUIRED:
        if key not in flat:
            raise SpecError(f"{where}: key {key!r} is missing", hint=f"add {_example(key)}")
    fields: dict[str, Any] = {
        KEYS[key][0]: KEYS[key][1](value, f"{where}: {key}") for key, value in flat.items()
    }
    fields["peaks"] = _peaks(_section(table, "peak", where), where)
    fields["sources"] = _sources(_section(table, "sources", where), where)
    _agree(fields, where)
    return fields


def _flatten(table: Table, where: str) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in table.items():
        if key in ("peak", "sources"):
            continue
        if key in _SECTIONS:
            flat |= {f"{key}.{k}": v for k, v in _section(table, key, where).items()}
        else:
            flat[key] = value
    for key in flat:
        if key not in KEYS:
            raise _unknown(key, [*KEYS, *_SECTIONS], where)
    return flat


def _section(table: Table, key: str, where: str) -> Table:
    section = table.get(key, {})
    if not isinstance(section, Mapping):
        raise SpecError(f"{where}: {key} must be a section, got {section!r}", hint=f"[{key}]")
    return section


def _peaks(section: Table, where: str) -> dict[tuple[str, str, str], int | float]:
    peaks: dict[tuple[str, str, str], int | float] = {}
    read = quantity("flop/s")
    for unit in section:
        if unit not in UNITS:
            raise _unknown(f"peak.{unit}", [f"peak.{u}" for u in UNITS], where)
        rates = _section(section, unit, f"{where}: peak")
        dense = {k: v for k, v in rates.items() if k not in STRUCTURES[1:]}
        nested = {k: _section(rates, k, f"{where}: peak.{unit}") for k in rates.keys() - dense}
        for structure, values in ({"dense": dense} | nested).items():
            for dtype, value in values.items():
                at = (
                    f"peak.{unit}.{dtype}"
                    if structure == "dense"
                    else f"peak.{unit}.{structure}.{dtype}"
                )
                if dtype not in DTYPES:
                    raise _unknown(at, [f"peak.{unit}.{d}" for d in DTYPES], where)
                peaks[unit, dtype, structure] = read(value, f"{where}: {at}")
    return peaks


def _sources(section: Table, where: str) -> dict[str, tuple[str, ...]]:
    for key in section:
        if key not in SOURCES:
            raise _unknown(f"sources.{key}", [f"sources.{s}" for s in SOURCES], where)
    return {key: _texts(value, f"{where}: sources.{key}") for key, value in section.items()}


def _agree(fields: Mapping[str, Any], where: str) -> None:
    stated = {dtype for unit, dtype, _ in fields["peaks"] if unit == "matrix"}
    for dtype in sorted(stated & fields.get("unsupported", frozenset())):
        raise SpecError(
            f"{where}: {dtype} is unsupported and has a rate in peak.matrix",
            hint="keep one of the two",
        )
    if fields.get("reserve_bytes", 0) >= fields["capacity_bytes"]:
        raise SpecError(
            f"{where}: memory.reserve leaves no memory", hint="it must be below capacity"
        )


def _unknown(key: str, known: list[str], where: str) -> SpecError:
    error = unknown_name("key", key, known)
    return SpecError(f"{where}: {error.message}", hint=error.hint)


def _example(key: str) -> str:
    section, _, last = key.rpartition(".")
    value = {"id": "my-chip", "capacity": "80 GiB", "bandwidth": "3.35 TB/s"}[last]
    return f'{last} = "{value}"' + (f" under [{section}]" if section else "")

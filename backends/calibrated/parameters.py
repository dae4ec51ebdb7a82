"""Sets of fitted parameters, each with the rows it rests on, and the files they live in."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from mansard.backends.calibrated.registry import form
from mansard.core.errors import SpecError, UnknownNameError

UNKNOWN = "unknown"
"""An error that nobody measured, in a file."""
WIDE = (0.5, 2.0)
"""The band where too little was held back: a factor of two either way, not measured."""


@dataclass(frozen=True)
class Key:
    """What a set is looked up by; empty text is "any".

    Args:
        form: of the kernel.
        framework: that launched it.
        dtype: scheme of weights and activations, cache dtype after a slash.
        family: group of kernels, from the sizes.
        kernel: its name in the framework.
    """

    form: str
    framework: str = ""
    dtype: str = ""
    family: str = ""
    kernel: str = ""

    def text(self) -> str:
        """Return it in one line."""
        parts = (self.form, self.framework, self.dtype, self.family, self.kernel)
        return " ".join(p for p in parts if p)


@dataclass(frozen=True)
class ParameterSet:
    """Parameters and what they rest on.

    Args:
        values: by name, in the order of the form's parameters.
        error: mean absolute relative error on shapes held back; None where too few rows were left
            to hold a shape back.
        low, high: the 10th and 90th percentile of measured over predicted, held back.
        first: the same of first tokens, where an engine has its own; else those above.
        rows: fitted; ``shapes`` among them.
        source: file and filter.
        digest: SHA-256 of the rows, 16 digits.
        date: of the fit.
        chips: that a median was taken over.
    """

    key: Key
    values: tuple[float, ...]
    error: float | None
    low: float
    high: float
    rows: int = 0
    shapes: int = 0
    source: str = ""
    digest: str = ""
    date: str = ""
    chips: tuple[str, ...] = ()
    first: tuple[float, float] | None = None

    @property
    def of_first(self) -> tuple[float, float]:
        """The ends of the band of first tokens."""
        return self.first or (self.low, self.high)

    @property
    def is_guessed(self) -> bool:
        """Whether its band is a factor of two because nothing was held back."""
        return self.error is None and (self.low, self.high) == WIDE


@dataclass(frozen=True)
class Calibration:
    """All sets of one chip (or of a family of chips)."""

    chip: str
    sets: tuple[ParameterSet, ...]
    family: str = ""
    by_key: Mapping[Key, ParameterSet] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", _index(self.sets))

    @classmethod
    def from_toml(cls, text: str, *, where: str) -> Calibration:
        """Read a file of sets.

        Raises:
            SpecError: not TOML, an unknown form, or parameters that are not the form's.
        """
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{where}: {error}", hint="calibrations are TOML") from error
        entries = table.get("set", ())
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise SpecError(f"{where}: set is no table", hint="begin each set with [[set]]")
        sets = tuple(_set(e, f"{where}, set {n}") for n, e in enumerate(entries, start=1))
        return cls(str(table.get("chip", "")), sets, str(table.get("family", "")))

    def to_toml(self) -> str:
        """Return the text of its file."""
        lines = [f'chip = "{self.chip}"', f'family = "{self.family}"']
        for found in sorted(self.sets, key=lambda s: s.key.text()):
            lines += ["", *_lines(found)]
        return "\n".join(lines) + "\n"


def _index(sets: tuple[ParameterSet, ...]) -> dict[Key, ParameterSet]:
    """Index sets by their key and by every key that leaves out what a caller may not know.

    Of several sets that share a shorter key, the one with the most rows stands for it.
    """
    found: dict[Key, ParameterSet] = {}
    for one in sorted(sets, key=lambda s: -s.rows):
        k = one.key
        for kernel in (k.kernel, ""):
            for family in (k.family, ""):
                for framework in (k.framework, ""):
                    found.setdefault(Key(k.form, framework, k.dtype, family, kernel), one)
                    found.setdefault(Key(k.form, framework, "", family, kernel), one)
    return found


def _lines(one: ParameterSet) -> list[str]:
    k = one.key
    names = [p.name for p in form(k.form).parameters]
    pairs = ", ".join(f"{n} = {_short(v)}" for n, v in zip(names, one.values, strict=True))
    key = {"form": k.form, "framework": k.framework, "dtype": k.dtype}
    key |= {"family": k.family, "kernel": k.kernel}
    lines = ["[[set]]", *(f'{name} = "{value}"' for name, value in key.items() if value)]
    lines.append(f"parameters = {{ {pairs} }}")
    band = f"[{one.low:.3f}, {one.high:.3f}]"
    if one.error is None:
        lines.append(f'error = "{UNKNOWN}"  # too few rows to hold a shape back')
        lines.append(
            f"band = {band}  # taken wide, not measured" if one.is_guessed else f"band = {band}"
        )
    else:
        lines.append(f"error = {one.error:.3f}  # held back")
        lines.append(f"band = {band}")
    if one.first is not None:
        lines.append(f"band_first = [{one.first[0]:.3f}, {one.first[1]:.3f}]")
    lines.append(f"rows = {one.rows}")
    lines.append(f"shapes = {one.shapes}")
    if one.chips:
        listed = ", ".join(f'"{c}"' for c in one.chips)
        lines.append(f"chips = [{listed}]")
    rest = {"source": one.source, "digest": one.digest, "date": one.date}
    return lines + [f'{name} = "{value}"' for name, value in rest.items() if value]


def _short(value: float) -> str:
    return f"{value:.4g}" if 1e-3 <= value < 1e5 else f"{value:.3e}"


def _set(entry: Mapping[str, Any], where: str) -> ParameterSet:
    try:
        law = form(str(entry.get("form", "")))
    except UnknownNameError as error:
        raise SpecError(f"{where}: {error.message}", hint=error.hint) from error
    fields = {n: str(entry.get(n, "")) for n in ("framework", "dtype", "family", "kernel")}
    key = Key(law.name, **fields | {"dtype": _named(fields["dtype"])})
    where = f"{where} ({key.text()})"
    given = entry.get("parameters")
    wanted = [p.name for p in law.parameters]
    if not isinstance(given, dict):
        hint = f"write parameters = {{ {' = …, '.join(wanted)} = … }}"
        raise SpecError(f"{where}: no table of parameters", hint=hint)
    given = {p.name: p.absent for p in law.parameters if p.absent is not None} | given
    for word, names in (("lacks", set(wanted) - set(given)), ("has", set(given) - set(wanted))):
        if names:
            listed = ", ".join(sorted(names))
            raise SpecError(
                f"{where}: {word} the parameter{'s' * (len(names) > 1)} {listed}",
                hint=f"a set of {law.name} has {', '.join(wanted)}",
            )
    values = tuple(_positive(given[name], name, where) for name in wanted)
    low, high = _ends(entry.get("band", WIDE), "band", where)
    first = _ends(entry["band_first"], "band_first", where) if "band_first" in entry else None
    texts = {n: str(entry.get(n, "")) for n in ("source", "digest", "date")}
    rows, shapes = (_count(entry.get(n, 0), n, where) for n in ("rows", "shapes"))
    stated = entry.get("error", UNKNOWN)
    off = None if stated == UNKNOWN else _count(stated, "error", where)
    chips = tuple(entry.get("chips", ()))
    return ParameterSet(
        key, values, off, low, high, int(rows), int(shapes), **texts, chips=chips, first=first
    )


def _named(dtype: str) -> str:
    """Return a scheme as it is looked up: ``bf16/bf16`` is what rows call ``bfloat16/bfloat16``."""
    return "/".join("bfloat16" if part == "bf16" else part for part in dtype.split("/"))


def _ends(edges: object, name: str, where: str) -> tuple[float, float]:
    if not isinstance(edges, (list, tuple)) or len(edges) != 2:
        raise SpecError(f"{where}: {name} is {edges!r}", hint=f"write {name} = [low, high]")
    low, high = (_positive(v, name, where) for v in edges)
    if low > high:
        hint = "the lower one comes first"
        raise SpecError(f"{where}: {name} is [{low:g}, {high:g}]", hint=hint)
    return low, high


def _positive(value: object, name: str, where: str) -> float:
    if _count(value, name, where) == 0:
        raise SpecError(f"{where}: {name} is {value!r}", hint="a number above 0")
    return float(value)  # type: ignore[arg-type]


def _count(value: object, name: str, where: str) -> float:
    number = not isinstance(value, bool) and isinstance(value, (int, float))
    if not number or not 0 <= value < math.inf:  # type: ignore[operator]
        raise SpecError(f"{where}: {name} is {value!r}", hint="a finite number, not negative")
    return float(value)  # type: ignore[arg-type]


@cache
def bundled(name: str) -> Calibration | None:
    """Return the calibration that ships for a chip or family; None when there is none."""
    path = files("mansard.backends.calibrated").joinpath(f"{name}.toml")
    if not path.is_file():
        return None
    return Calibration.from_toml(path.read_text(encoding="utf-8"), where=f"{name}.toml")

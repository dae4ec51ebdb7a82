"""Finding chips: the bundled ones by name, a user's own by path, ``:4x8`` of either."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError, unknown_name

_FOLDER = Path(__file__).parent / "hardware"
_LARGEST = 1_000_000
_MOST_DEVICES = 1_000_000
_DIGITS = re.compile(r"[0-9]+")
_VENDORS = ("nvidia", "amd", "intel", "google")
"""Words that benchmarks write before a chip's name."""


@cache
def bundled() -> tuple[str, ...]:
    """List the ids of the bundled chips, sorted; reads no file."""
    names = (name for name in os.listdir(_FOLDER) if name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in names))


@cache
def _bundled_chip(chip: str) -> Hardware:
    file = _FOLDER / f"{chip}.toml"
    return Hardware.from_toml(file.read_text(encoding="utf-8"), where=f"{chip}.toml")


@cache
def _spellings() -> dict[str, str]:
    """Every alias and display name of a bundled chip, folded -> its id."""
    chips = [_bundled_chip(chip) for chip in bundled()]
    return {_fold(name): c.id for c in chips for name in (c.name, *c.aliases)}


def _fold(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def find(name: str) -> str:
    """Return the id of the bundled chip called ``name``: its id, an alias or its full name.

    Case, spaces and underscores do not matter, nor its vendor before it. A name that several chips
    share is none of theirs: an A100 has 40 GB or 80 GB.

    Raises:
        UnknownNameError: no chip is called that; the hint offers the near ones.

    >>> find("H100 SXM"), find("rtx_a6000"), find("AMD MI250")
    ('h100-sxm', 'rtx-a6000', 'mi250')
    """
    folded = _fold(name)
    vendor, _, rest = folded.partition("-")
    for one in (folded, rest) if vendor in _VENDORS else (folded,):
        chip = one if one in bundled() else _spellings().get(one)
        if chip is not None:
            return chip
    asked = rest if rest and vendor in _VENDORS else name
    raise unknown_name("hardware", asked, bundled(), see="(mansard hardware list)")


def load(name: str | Path) -> Hardware:
    """Load a chip: a bundled one by name, or a user's ``.toml`` by path.

    Raises:
        MansardError: no such chip or file, or the file does not describe a chip.
    """
    text = str(name)
    if isinstance(name, Path) or text.lower().endswith(".toml") or "/" in text or "\\" in text:
        return Hardware.from_toml(_read(Path(name)), where=text)
    return _bundled_chip(find(text))


def _read(path: Path) -> str:
    hint = "give the path of a TOML file that describes one chip"
    try:
        if path.is_dir():
            raise SpecError(f"{path}: is a directory", hint=hint)
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"{path}: cannot be read: {reason}", hint=hint) from error
    if len(data) > _LARGEST:
        raise SpecError(f"{path}: larger than 1 MB, so not a chip", hint=hint)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not text in UTF-8", hint=hint) from error


def parse_target(text: str) -> tuple[str, int, int]:
    """Split ``h100-sxm:4x8`` into the chip, the nodes and the devices per node.

    Raises:
        SpecError: the count is not ``N`` or ``NODESxDEVICES`` of positive whole numbers.

    >>> parse_target("h100-sxm"), parse_target("h100-sxm:8"), parse_target("h100-sxm:4x8")
    (('h100-sxm', 1, 1), ('h100-sxm', 1, 8), ('h100-sxm', 4, 8))
    """
    name, colon, count = text.rpartition(":")
    if not colon or _is_path(text, count):
        name, count = text, "1"
    hint = "write h100-sxm:8 for eight devices, h100-sxm:4x8 for four nodes of eight"
    if not name.strip():
        raise SpecError(f"{text!r} names no hardware", hint=hint)
    parts = [p.strip() for p in count.lower().split("x")]
    if len(parts) > 2 or not all(_DIGITS.fullmatch(p) and len(p) < 9 for p in parts):
        raise SpecError(f"{count!r} in {text!r} is not a number of devices", hint=hint)
    nodes, per_node = map(int, parts if len(parts) == 2 else ["1", *parts])
    if nodes * per_node == 0:
        raise SpecError(f"{text!r} asks for no devices", hint=hint)
    if nodes * per_node > _MOST_DEVICES:
        raise SpecError(f"{text!r} asks for more than {_MOST_DEVICES:,} devices", hint=hint)
    return name.strip(), nodes, per_node


def _is_path(text: str, count: str) -> bool:
    """Whether the last colon belongs to a path (a Windows drive), not to a count."""
    return text.lower().endswith(".toml") or "/" in count or "\\" in count

"""Settings as they are written: how the value of each is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mansard.core import units
from mansard.core.errors import SpecError
from mansard.query.lengths import is_spread


def _tokens(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(units.parse(str(value), "tokens", bare=True))


def _length(value: object) -> int | str:
    """Read a number of tokens, or keep the text of a distribution of them."""
    return value.strip() if isinstance(value, str) and is_spread(value) else _tokens(value)


def dollars(value: object) -> float:
    """Read the price of a device and hour.

    Raises:
        SpecError: it is no price, or negative.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < 0:
            raise SpecError(f"a price cannot be negative: {value!r}", hint="write 2.50")
        return float(value)
    return float(units.parse(str(value), "dollars/h", bare=True))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"text is wanted, got {value!r}", hint='write it in quotes: "…"')
    return value.strip()


def _techniques(value: object) -> tuple[str, ...]:
    """Read pipeline text, a list of it, or tables ``{name = "quantize", weights = "int4"}``."""
    many = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_technique(each) for each in many)


def _technique(value: object) -> str:
    if not isinstance(value, Mapping):
        return _text(value)
    if "name" not in value:
        raise SpecError(
            "a technique has no name", hint='write {name = "quantize", weights = "int4"}'
        )
    options = " ".join(f"{k}={_written(v)}" for k, v in value.items() if k != "name")
    return f"{_text(value['name'])}{{{options}}}"


def _written(value: object) -> str:
    """Return an option's value as pipelines write it."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{' '.join(map(_written, value))}]"
        case str():
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{quoted}"' if any(c in value for c in ' ,{}[]=:"\\') or not value else value
        case int() | float():
            return str(value)
    raise SpecError(f"{value!r} is no value of an option", hint="a number, a text, true or false")


def _overrides(value: object) -> dict[str, str]:
    """Read ``{"model.num_hidden_layers" = 40}``, or the same as nested tables."""
    if not isinstance(value, Mapping):
        raise SpecError(f"set is a table, got {value!r}", hint="write [set] and KEY = VALUE lines")
    return dict(_flat(value, ""))


def _flat(table: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{at}.{key}" if at else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name, ("true" if value else "false") if isinstance(value, bool) else str(value)


READERS: dict[str, Callable[[object], Any]] = {
    "model": _text, "on": _text, "batch": _tokens, "prompt": _length, "output": _length,
    "context": _tokens, "phase": _text, "techniques": _techniques, "level": _text,
    "estimate": _text, "price": dollars, "set": _overrides,
}  # fmt: skip
"""Setting → how its written value is read."""

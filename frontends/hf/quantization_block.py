"""Reading the keys of a ``quantization_config``: numbers, lists of modules, element formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mansard.core.errors import SpecError
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.quantization import ROW, Quantization

MOST = 2**20
"""Elements that share a scale: the longest rows of published models are shorter."""
Block = Mapping[str, Any]
Found = tuple[Quantization, tuple[str, ...]]
"""What was read, and what of it is not counted."""

_SKIPS = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules",
          "llm_int8_skip_modules")  # fmt: skip


def format_of(args: object) -> str:
    """Return the format of ``{num_bits, type, group_size}``; empty where there is none."""
    if not isinstance(args, Mapping):
        return ""
    match args.get("type"), args.get("num_bits"), args.get("group_size"):
        case "int", int(bits), _ if bits in (2, 3, 4, 5, 6, 8):
            return f"int{bits}"
        case "float", 8, _:
            return "fp8"
        case "float", 4, 16:
            return "nvfp4"
        case "float", 4, 32:
            return "mxfp4"
    return ""


def whole(
    block: Block, keys: tuple[str, ...], here: str, allowed: tuple[int, ...], default: int
) -> int:
    """Return the first of the keys that is stated; ``allowed`` are its only values if not empty."""
    for key in keys:
        value = block.get(key)
        if value is None:
            continue
        if type(value) is not int or value > MOST or (allowed and value not in allowed):
            hint = "write a whole number" if type(value) is not int else f"at most {MOST}"
            hint = f"one of {', '.join(map(str, allowed))}" if allowed else hint
            raise SpecError(f"{here}.{key} is {show(value)}", hint=hint)
        return value
    return default


def group_size(block: Block, here: str, *keys: str) -> int:
    """Return how many elements share a scale, 128 where nothing says so; -1 is a whole row."""
    size = whole(block, keys, here, (), 128)
    if size < 1 and size != -1:
        key = next(key for key in keys if block.get(key) is not None)
        hint = f"a whole number from 1 to {MOST}, or -1 for one scale a channel"
        raise SpecError(f"{here}.{key} is {size}", hint=hint)
    return ROW if size == -1 else size


def block_shape(block: Block, here: str, key: str = "weight_block_size") -> tuple[int, ...]:
    """Return the rows and columns one scale serves."""
    sizes = block.get(key)
    good = isinstance(sizes, list) and len(sizes) == 2
    if not good or any(type(n) is not int or not 1 <= n <= MOST for n in sizes or ()):
        raise SpecError(f"{here}.{key} is {show(sizes)}", hint="for example [128, 128]")
    return tuple(sizes or ())


def skipped(block: Block, here: str) -> tuple[str, ...]:
    """Return the modules that are left, by whichever key the library lists them."""
    found: list[str] = []
    for key in _SKIPS:
        names = block.get(key) or []
        if not isinstance(names, list):
            raise SpecError(f"{here}.{key} is {show(names)}", hint="write a list of module names")
        for at, name in enumerate(names):
            if not isinstance(name, str):
                raise SpecError(
                    f"{here}.{key} holds {_json(name)} at {at}, where a module's name belongs",
                    hint="leave it out, or write the module's name",
                )
        found += names
    return tuple(dict.fromkeys(found))


def flat(names: object) -> tuple[str, ...]:
    """Return the names in a list of lists of them."""
    if isinstance(names, str):
        return (names,)
    return tuple(n for part in names for n in flat(part)) if isinstance(names, list) else ()


def _json(value: object) -> str:
    """Return a value as its file spells it."""
    return "null" if value is None else show(value)

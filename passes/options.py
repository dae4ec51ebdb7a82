"""Options of passes: dataclass fields, described where declared and checked where set."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from typing import TYPE_CHECKING, Any, get_type_hints

from mansard.core import units
from mansard.core.errors import SpecError, unknown_name

if TYPE_CHECKING:
    from mansard.passes.technique import Pass

Value = str | int | float | bool | tuple[Any, ...]
_PLAIN = re.compile(r"[^\s,{}\[\]:=\"]+")
_OTHER = re.compile(r"true|false|[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""What a bare word would be read as instead of as text."""


def option(
    default: Any, help: str, *, choices: tuple[str, ...] = (), least: float | None = None,  # noqa: A002
    most: float | None = None, unit: str = "", program: bool = False,
) -> Any:  # fmt: skip
    """Declare an option: its default and what is said of it.

    Args:
        default: its value; the type of the field is what values are read as.
        help: one phrase.
        choices: the only values allowed.
        least: the smallest number allowed.
        most: the largest number allowed.
        unit: a dimension of ``core.units``. Numbers of ``tokens`` may be written ``8k``; any other
            dimension needs its unit, ``20ms``, unless the number is 0.
        program: whether a name stands for a Program, which the roof loads before the pass runs.
    """
    described = {"help": help, "choices": choices, "least": least, "most": most, "unit": unit}
    described["program"] = program
    return field(default=default, metadata=described)


def spelled(name: str) -> str:
    """Return a field's name as users write it: ``skip_masked`` → ``skip-masked``."""
    return name.replace("_", "-")


def options(cls: type[Pass]) -> dict[str, Field[Any]]:
    """Return the options of a pass class by the name users write."""
    return {spelled(f.name): f for f in fields(cls)}


def _types(cls: type[Pass]) -> dict[str, Any]:
    return get_type_hints(cls)


def build(cls: type[Pass], given: Mapping[str, Value]) -> Pass:
    """Return a pass with its options read from what a user wrote.

    Raises:
        UnknownNameError: an option the pass does not have.
        SpecError: a value of the wrong type, or out of range.
    """
    known = options(cls)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if spelled(name) not in known:
            raise unknown_name(f"option of {cls.name}", name, known)
        declared = known[spelled(name)]
        values[declared.name] = read(cls, declared, value)
    missing = [n for n, f in known.items() if f.default is MISSING and f.name not in values]
    if missing:
        raise SpecError(f"{cls.name} needs {', '.join(missing)}", hint=f"write {missing[0]}=…")
    return cls(**values)


def check(made: Pass) -> None:
    """Raise unless every option of a pass made in Python is of its type and in range."""
    for declared in fields(made):
        value = getattr(made, declared.name)
        if value is not declared.default:
            _check_type(made, declared, value)
        _check(type(made), declared, value)


def _check_type(made: Pass, declared: Field[Any], value: Any) -> None:
    wanted = _types(type(made))[declared.name]
    if not _fits(value, wanted):
        where = f"{made.name}: {spelled(declared.name)}"
        hint = f"give {_WORDS.get(wanted, 'a tuple of names')}"
        raise SpecError(f"{where} is {value!r}", hint=hint)


_WORDS: dict[Any, str] = {bool: "True or False", int: "an int", float: "a number", str: "a str"}


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a value given in Python is of an option's type, where that is one texts can write."""
    if getattr(wanted, "__origin__", None) is tuple:
        return isinstance(value, tuple) and all(isinstance(v, str) for v in value)
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return wanted not in (bool, str) or isinstance(value, wanted)


def read(cls: type[Pass], declared: Field[Any], value: Value) -> Any:
    """Return what a user wrote as a value of an option.

    Raises:
        SpecError: of the wrong type, or out of range.
    """
    wanted = _types(cls)[declared.name]
    where = f"{cls.name}: {spelled(declared.name)}"
    result: Any = value
    if wanted is bool:
        result = _flag(value, where)
    elif wanted is int or wanted is float:
        result = _number(value, wanted, declared.metadata.get("unit", ""), where)
    elif wanted is str or declared.metadata.get("program"):
        if isinstance(value, tuple):
            raise SpecError(f"{where} takes one value, not a list: {value!r}", hint="write a name")
        result = str(value).lower() if isinstance(value, bool) else str(value)
    elif getattr(wanted, "__origin__", None) is tuple:
        result = tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)
    _check(cls, declared, result)
    return result


def _flag(value: Value, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise SpecError(f"{where} is {value!r}", hint="write true or false")


COUNTS = ("", "number", "tokens")
"""Dimensions whose numbers need no unit."""


def _number(value: Value, wanted: type, unit: str, where: str) -> int | float:
    number: Any = value
    if isinstance(value, str):
        try:
            number = units.parse(value, unit or "number", bare=unit in COUNTS)
        except SpecError as error:
            if wanted is int and not unit:
                hint = "write a whole number, such as 16"
                raise SpecError(f"{where} is {value!r}, not a whole number", hint=hint) from error
            raise SpecError(f"{where}: {error.message}", hint=error.hint) from error
    elif unit not in COUNTS and not isinstance(value, (bool, tuple)) and value:
        hint = f"write it like {units.EXAMPLE[unit]}"
        raise SpecError(f"{where}: {value!r} has no unit: {unit} needs one", hint=hint)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise SpecError(f"{where} is {value!r}, not a number", hint="write a number")
    if not math.isfinite(number):
        raise SpecError(f"{where} is {value!r}, not a finite number", hint="write a smaller one")
    if wanted is int and number != int(number):
        raise SpecError(f"{where} is {value!r}, not a whole number", hint="write a whole number")
    return int(number) if wanted is int else float(number)


def _check(cls: type[Pass], declared: Field[Any], value: Any) -> None:
    about = declared.metadata
    where = f"{cls.name}: {spelled(declared.name)}"
    if (
        about.get("choices")
        and not about.get("program")
        and value not in about["choices"]
        and value != declared.default
    ):
        error = unknown_name(spelled(declared.name), str(value), about["choices"])
        raise SpecError(f"{cls.name}: {error.message}", hint=error.hint)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        least, most = about.get("least"), about.get("most")
        if math.isnan(value):
            raise SpecError(f"{where} is {value}, not a number", hint="write a number")
        if least is not None and value < least:
            raise SpecError(f"{where} is {value}, below {least:g}", hint=f"at least {least:g}")
        if most is not None and value > most:
            raise SpecError(f"{where} is {value}, above {most:g}", hint=f"at most {most:g}")


def written(value: Any, unit: str = "") -> str:
    """Return an option's value as pipeline text; it reads back equal.

    Args:
        value: of the option.
        unit: the dimension it was declared with.
    """
    if unit not in COUNTS and isinstance(value, (int, float)) and value:
        return f"{value}{units.BASE[unit]}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{' '.join(map(written, value))}]"
    if hasattr(value, "origin"):  # a Program: by the name it was loaded under
        value = value.origin.name
    text = str(value)
    if _PLAIN.fullmatch(text) and not (isinstance(value, str) and _OTHER.fullmatch(text)):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

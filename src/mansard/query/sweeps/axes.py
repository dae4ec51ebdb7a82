"""Axes of a sweep: what may vary, and the values it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mansard.backends.cluster import FIELDS
from mansard.core import units
from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.query.overrides import DIMENSIONS
from mansard.query.scenario import check_size
from mansard.query.sweeps.spans import AMOUNTS, BATCHES, SIZES, WORDS, Amount, Kind, expand

if TYPE_CHECKING:
    from mansard.query.techniques import Spec

SCENARIO = ("batch", "prompt", "output", "context")
WHOLE = ("model", "on", "network")
SECTIONS = ("hardware", "network", "model", "input")
STATED = ("hardware", "network")
"""Sections whose keys are quantities of the devices."""
NAMES = ("id", "name", "aliases", "vendor", "year", "confidence", "notes")
"""Keys of a chip's file that no figure follows from."""


@dataclass(frozen=True)
class Axis:
    """Something that varies.

    Args:
        name: ``batch``, ``on``, ``hardware.memory.bandwidth``, ``input.images``, …
        kind: size, model, on, network, hardware, config or technique.
        values: in the order given, none twice.
    """

    name: str
    kind: str
    values: Sequence[Any]

    @property
    def is_size(self) -> bool:
        """Whether the engine evaluates all its values at once."""
        return self.kind == "size"

    def shown(self, index: int) -> Any:
        """Return a value as a result has it: a number in SI base units, or a name."""
        value = self.values[index]
        return value.value if isinstance(value, Amount) else value


def read_axes(given: Mapping[str, object]) -> tuple[Axis, ...]:
    """Return the axes that names and their values describe.

    Args:
        given: name → text such as ``1..512x2``, or an iterable of values.

    Raises:
        MansardError: an axis nothing is called, or values that cannot be read.
    """
    return tuple(read_axis(name, values) for name, values in given.items())


def read_axis(name: str, values: object) -> Axis:
    """Return one axis.

    Raises:
        UnknownNameError: nothing is called so; the nearest names are the hint.
        SpecError: no values, or one that cannot be read.
    """
    kind = _kind(name)
    try:
        found = _values(kind, values, BATCHES if name == "batch" else SIZES)
    except SpecError as error:
        raise type(error)(f"axis {name}: {error.message}", hint=error.hint) from error
    if not len(found):
        raise SpecError(f"axis {name} has no values", hint=f"write {name}=1,2,4")
    if kind == "hardware":
        _check_amounts(name, found)
    if kind == "size" and not isinstance(found, range):
        for value in found:
            check_size(name, value)
    return Axis(name, kind, found)


def _kind(name: str) -> str:
    if name in SCENARIO:
        return "size"
    if name in WHOLE:
        return name
    section, dot, rest = name.partition(".")
    if dot and rest and section in SECTIONS:
        return "hardware" if section in STATED else "config"
    if dot and rest:
        _check_option(section, rest)
        return "technique"
    raise unknown_name("axis", name, _known(), see="(an axis is batch, prompt, output, context, on,"
                       " model, hardware.KEY, network.KEY, model.KEY, input.KEY or"
                       " TECHNIQUE.OPTION)",
                       )  # fmt: skip


def _check_amounts(name: str, values: Sequence[Any]) -> None:
    """Raise where a value of a field whose dimension is known is of another."""
    key = name.removeprefix("hardware.")
    if key in NAMES:
        raise SpecError(f"axis {name}: it is what a chip is called, and changes no figure",
                        hint="vary on=NAME,NAME for other chips")  # fmt: skip
    dimension = _dimension(name)
    for value in values:
        if dimension and isinstance(value, (str, Amount)):
            try:
                units.parse(str(value), dimension)
            except SpecError as error:
                raise SpecError(f"axis {name}: {error.message}", hint=error.hint) from error


def _known() -> list[str]:
    from mansard.query.techniques import known_passes

    return [*SCENARIO, *WHOLE, "hardware.memory.bandwidth", *known_passes()]


def _check_option(technique: str, name: str) -> None:
    from mansard.passes.options import options, spelled
    from mansard.query.techniques import known_passes

    known = known_passes()
    if technique not in known:
        raise unknown_name("axis", f"{technique}.{name}", [*_known(), *known])
    declared = options(known[technique])
    if spelled(name) not in declared:
        raise unknown_name(f"option of {technique}", name, declared)


def _values(kind: str, given: object, sizes: Kind) -> Sequence[Any]:
    if isinstance(given, str):
        match kind:
            case "size":
                return expand(given, sizes)
            case "hardware":
                return expand(given, AMOUNTS)
            case "technique" | "config":
                return expand(given, WORDS)
            case _:
                return named(given)
    if isinstance(given, range):
        if kind != "size" or len(given) == 0 or given.step > 0:
            return given if kind == "size" else tuple(given)
        raise SpecError(f"the range {given} runs backwards", hint="begin with the smaller end")
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        return (given,)
    values = [v.item() if hasattr(v, "item") else v for v in given]
    if kind == "size":
        values = [sizes.one(v) if isinstance(v, str) else v for v in values]
    if kind == "hardware":
        return tuple(AMOUNTS.one(v) if isinstance(v, str) else v for v in values)
    return tuple(dict.fromkeys(values)) if kind != "model" else tuple(values)


def named(text: str) -> tuple[str, ...]:
    """Split a list of names.

    Raises:
        SpecError: an empty one.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise SpecError(f"{text[:60]!r} has an empty name", hint="write A,B,C")
    return tuple(dict.fromkeys(parts))


def dimension_of(axis: Axis) -> str | None:
    """Return what the values of a field of the chip are measured in; None of any other axis."""
    if axis.kind != "hardware":
        return None
    if written := next((v for v in axis.values if isinstance(v, Amount)), None):
        return written.dimension
    return _dimension(axis.name)


def _dimension(name: str) -> str | None:
    """Return the dimension of a field of the devices, where it is known."""
    section, _, key = name.partition(".")
    if section == "network":
        return FIELDS[key][1] if key in FIELDS else None
    return DIMENSIONS.get(key, "flop/s" if key.startswith("peak.") else None)


def placed(techniques: Sequence[Spec], chosen: Mapping[str, Mapping[str, Any]]) -> tuple[Spec, ...]:
    """Return the pipeline with options set, passes inserted where they are missing.

    A pass that is missing goes last, or before the first that it cannot follow.

    Raises:
        MansardError: a value that is none of the option's, or a pass that occurs twice.
    """
    from dataclasses import replace

    from mansard.passes.options import build, options, read, spelled
    from mansard.query.techniques import known_passes, read_techniques

    known = known_passes()
    passes = list(read_techniques(techniques))
    for name, given in chosen.items():
        at = [k for k, p in enumerate(passes) if p.name == name]
        if len(at) > 1:
            raise SpecError(
                f"{name} is {len(at)} times in the pipeline: which of them varies?",
                hint=f"keep one {name}",
            )
        if at:
            cls = known[name]
            declared = {options(cls)[spelled(key)]: value for key, value in given.items()}
            changed = {f.name: read(cls, f, value) for f, value in declared.items()}
            passes[at[0]] = replace(passes[at[0]], **changed)
            continue
        made = build(known[name], given)
        where = next((k for k, p in enumerate(passes) if p.name in made.conflicts), len(passes))
        passes.insert(where, made)
    return tuple(passes)

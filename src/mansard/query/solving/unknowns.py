"""What may be asked for: a size of the scenario, a field of the chip, devices, an option."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mansard.backends.cluster import FIELDS as NETWORK_FIELDS
from mansard.backends.hardware import Hardware
from mansard.core import units
from mansard.core.errors import MansardError, SpecError, unknown_name
from mansard.core.lists import listed
from mansard.ir.occurring import occurring
from mansard.query.overrides import DIMENSIONS, NETWORK
from mansard.query.scenario import LARGEST
from mansard.query.solving.question import Question
from mansard.query.techniques import known_passes

SIZES = ("batch", "prompt", "output", "context")
DEVICES = "devices"
HARDWARE = "hardware."
SPREAD = 1000
"""A rate is looked for between a thousandth of today's and a thousand times it."""
MOST_VALUES = 512
"""Values of an option or of devices that are tried, each one a program of its own."""
FEW = 64


@dataclass(frozen=True)
class Unknown:
    """What is looked for, and where.

    Args:
        name: as the user wrote it.
        kind: size, field, devices or option.
        key: scenario symbol, field of the chip's file, or ``pass.option``.
        whole: whether only whole numbers count.
        low: the least value looked at.
        high: the greatest.
        values: of an option or of devices, every value tried, in order.
        today: of a field, its present value.
        dimension: of its values, for reading and printing.
        given: whether the user set the range.
    """

    name: str
    kind: str
    key: str
    whole: bool
    low: Fraction = Fraction(1)
    high: Fraction = Fraction(LARGEST)
    values: tuple[Any, ...] = ()
    today: Fraction = Fraction(0)
    dimension: str = "number"
    given: bool = False

    @property
    def is_rate(self) -> bool:
        """Whether times fall as one over it."""
        return self.kind == "field" and self.dimension in ("bytes/s", "flop/s")


def read_unknown(question: Question, name: str, within: str | None = None) -> Unknown:
    """Return what ``name`` stands for in a question.

    Args:
        question: it is asked of.
        name: batch, prompt, output, context, devices, ``hardware.FIELD`` or ``pass.option``.
        within: ``low..high``, or values with commas between them.

    Raises:
        MansardError: nothing of that name, or a range that is none.
    """
    if within is not None and not isinstance(within, str):
        raise SpecError(f"within is {within!r:.60}, no text", hint='write it like "1..4096"')
    if within is not None and not within.strip():
        raise SpecError("--within is empty", hint="write it like 1..4096, or leave it out")
    if name in SIZES:
        if question.study.scenario.single_step and name in ("prompt", "output"):
            raise SpecError(f"{name} does not occur: one step over cached tokens is asked for",
                            hint="find context instead")  # fmt: skip
        key = "prompt" if name == "context" else name
        if key not in occurring(question.estimate.program):
            raise SpecError(f"{name} does not occur in this model: none of its sizes depends on it",
                            hint="find another size, or a field of the hardware")  # fmt: skip
        counted = "sequences" if name == "batch" else "tokens"
        low, high = _range(within, counted) if within else (Fraction(1), Fraction(LARGEST))
        if low < 1 or high > LARGEST or low.denominator > 1 or high.denominator > 1:
            raise SpecError(f"--within {within}: {name} is a whole number from 1 to {LARGEST:,}",
                            hint="write it like 1..4k")  # fmt: skip
        return Unknown(name, "size", key, True, low, high, dimension="tokens", given=bool(within))
    if name == DEVICES:
        if not isinstance(question.study.on, str):
            raise SpecError("devices are found of a chip that is named, like h100-sxm",
                            hint='give on="NAME"')  # fmt: skip
        return Unknown(name, DEVICES, name, True, values=_devices(within))
    if name.startswith(HARDWARE):
        return _field(question, name, within)
    technique, dot, option = name.partition(".")
    if technique == NETWORK and option in (*NETWORK_FIELDS, ""):
        varied = f"{name}=25GB/s,50GB/s" if option == "per_direction" else f"{name}=…"
        raise SpecError(f"{name} cannot be solved for: a network is an axis of a sweep",
                        hint=f"mansard sweep --vary {varied}")  # fmt: skip
    if dot and technique in known_passes():
        return _option(technique, option, within)
    fields = [HARDWARE + f for f in _fields(question.estimate.chip)]
    passes = [f"{p}." for p in known_passes()]
    if options := _options_called(name):
        raise SpecError(f"no unknown called {name!r}, but an option of a technique",
                        hint=f"write {' or '.join(options)}")  # fmt: skip
    see = ("(sizes: batch, prompt, output, context; devices; hardware.memory.bandwidth and the"
           " other fields of `mansard hardware show`; an option of a pass is written like"
           " quantize.weights: `mansard techniques list`)")  # fmt: skip
    raise unknown_name("unknown", name, [*SIZES, DEVICES, *fields, *passes], see=see)


def _range(within: str, dimension: str) -> tuple[Fraction, Fraction]:
    ends = [part.strip() for part in within.split("..")]
    if len(ends) != 2 or not all(ends):
        raise SpecError(f"--within {within[:60]!r} is no range", hint="write it like 1..4096")
    try:
        low, high = (Fraction(units.parse(part, dimension, bare=True)) for part in ends)
    except SpecError as error:
        raise SpecError(f"--within {within[:60]!r}: {error.message}", hint=error.hint) from error
    if low > high:
        raise SpecError(f"--within {within[:60]!r} is reversed", hint=f"write {ends[1]}..{ends[0]}")
    return low, high


# Fields of the chip.

STATED = {
    "memory.bandwidth": "bandwidth_bytes_per_s", "memory.capacity": "capacity_bytes",
    "memory.reserve": "reserve_bytes", "link.per_direction": "link_bytes_per_s",
    "link.host": "host_link_bytes_per_s", "link.storage": "storage_link_bytes_per_s",
    "link.latency": "link_latency_s",
}  # fmt: skip


def _fields(chip: Hardware) -> dict[str, Fraction]:
    """Return the fields of a chip that may be asked for, with their present values."""
    found = {key: getattr(chip, name) for key, name in STATED.items()}
    for (unit, dtype, structure), rate in chip.peaks.items():
        middle = "" if structure == "dense" else f"{structure}."
        found[f"peak.{unit}.{middle}{dtype}"] = rate
    return {k: Fraction(v) for k, v in found.items() if v is not None}


def _field(question: Question, name: str, within: str | None) -> Unknown:
    key = name.removeprefix(HARDWARE)
    chip = question.estimate.chip
    known = _fields(chip)
    if key not in known:
        if key in STATED:
            raise SpecError(f"{chip.id} does not state {key}, so nothing can be scaled from it",
                            hint=f"add --set {name}=… to start from")  # fmt: skip
        raise unknown_name(f"number of {chip.id} to solve for", name, [HARDWARE + k for k in known])
    priced = question.priced
    rates = set(priced.fields) if priced is not None else set(known)
    idle = key.partition(".")[0] in ("peak", "link") and key not in rates
    if idle and not (key == "link.latency" and "link.per_direction" in rates):
        used = ", ".join(HARDWARE + f for f in sorted(rates))
        raise SpecError(f"{name} does not occur: no operator here is timed by it",
                        hint=f"these occur: {used}")  # fmt: skip
    dimension = DIMENSIONS.get(key, "flop/s")
    today = known[key]
    if within:
        low, high = _range(within, dimension)
    elif key in ("memory.reserve", "link.latency"):
        low, high = Fraction(0), max(today, Fraction(1, 1000)) * SPREAD
    else:
        low, high = today / SPREAD, today * SPREAD
    return Unknown(name, "field", key, False, low, high, (), today, dimension, bool(within))


# Devices and options.


def _devices(within: str | None) -> tuple[int, ...]:
    if within is None:
        return tuple(2**k for k in range(7))
    counts = _listed(within, True)
    if not counts or not all(str(c).isascii() and str(c).isdigit() and int(c) for c in counts):
        raise SpecError(f"--within {within[:60]!r}: devices are counted from 1",
                        hint="write it like 1,2,4 or 1..8")  # fmt: skip
    return tuple(map(int, counts))


def _listed(within: str, whole: bool) -> tuple[Any, ...]:
    """Return the values of a range, or of a list with commas."""
    if ".." in within:
        low, high = _range(within, "number")
        if high - low >= MOST_VALUES:
            raise SpecError(
                f"--within {within[:60]!r} has {float(high - low) + 1:,.0f} values, each a program"
                " of its own",
                hint=f"at most {MOST_VALUES}",
            )
        if whole or (low.denominator == 1 and high.denominator == 1):
            return tuple(range(-(-low // 1), high // 1 + 1))
        return _hundredths(float(low), float(high))
    return tuple(listed(within))


def _hundredths(low: float, high: float) -> tuple[float, ...]:
    return tuple(round(low + (high - low) * k / 100, 12) for k in range(101))


def _options_called(name: str) -> list[str]:
    """Return the options of techniques that are called so: ``gamma`` of speculative-decode."""
    from mansard.passes.options import options

    return [f"{of}.{name}" for of, cls in known_passes().items() if name in options(cls)]


def _option(technique: str, option: str, within: str | None) -> Unknown:
    from mansard.passes.options import options, read

    cls = known_passes()[technique]
    known = options(cls)
    if option not in known:
        raise unknown_name(f"option of {technique}", option, known)
    declared, about = known[option], known[option].metadata
    kind = type(declared.default)
    key = f"{technique}.{option}"
    if within is not None:
        values = _listed(within, kind is int)
        for value in values if kind in (str, int, float) else ():
            read(cls, declared, value)  # what is no value of it is refused by name
    elif kind is int:
        least = int(about["least"] or 0)
        most = int(about["most"] if about["most"] is not None else least + FEW)
        values = tuple(range(least, min(most, least + MOST_VALUES) + 1))
    elif kind is float and about["least"] is not None and about["most"] is not None:
        values = _hundredths(about["least"], about["most"])
    elif about["choices"]:
        values = _bybits(about["choices"])
    elif kind is bool:
        values = (False, True)
    else:
        raise SpecError(f"{key} has no end", hint="add --within low..high, or values: a,b,c")
    return Unknown(key, "option", key, kind is int, values=values, given=within is not None)


def _bybits(choices: tuple[str, ...]) -> tuple[str, ...]:
    """Return formats by their bits, the narrowest first; other names as they come."""
    try:
        return tuple(sorted(choices, key=lambda c: (bits(c), c)))
    except MansardError:
        return choices


def bits(name: str) -> float:
    """Return the bits an element takes in a format.

    Raises:
        MansardError: no such format.
    """
    from mansard.core.dtypes import stored

    return float(stored(name, "bf16").bits)

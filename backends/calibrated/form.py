"""What a calibrated form is: a physical law of one kind of kernel, with parameters to fit.

A form says how long a kernel takes from its sizes, the chip and a handful of parameters. The
same code serves one kernel in plain floats and a column of measurements in numpy: it is written
against a namespace of a few functions, ``math`` behind one, ``numpy`` itself behind the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Number: TypeAlias = Any
"""A float, or a numpy array of them."""
Sizes: TypeAlias = Mapping[str, Number]
"""The sizes of a kernel: counts, bytes per element, the peak its dtype has."""


SNAP = 1.0 - 1e-12
"""A wave or a tile filled less than this much is none: only rounding put something in it."""


class Plain:
    """The functions forms use, on floats, under numpy's names."""

    log2 = staticmethod(math.log2)
    maximum = staticmethod(max)
    minimum = staticmethod(min)
    power = staticmethod(pow)
    sqrt = staticmethod(math.sqrt)
    any = staticmethod(bool)

    @staticmethod
    def ceil(value: float) -> int:
        """Round up."""
        return math.ceil(value * SNAP)

    @staticmethod
    def knee(ratio: float, sharp: float) -> float:
        """Return ``(1 + r^p)^(1/p)``."""
        return float((1.0 + ratio**sharp) ** (1.0 / sharp))

    @staticmethod
    def where(condition: bool, yes: float, no: float) -> float:
        """Choose one of two numbers."""
        return yes if condition else no


PLAIN: Any = Plain()


@dataclass(frozen=True)
class ChipFacts:
    """What forms know of a chip.

    Args:
        bytes_per_s: of its memory.
        sms: units that work side by side.
        cache_bytes: of the last level on chip.
        link_bytes_per_s: to other chips, one direction.
        level_bytes_per_s: of the last level on chip.
    """

    bytes_per_s: float
    sms: float
    cache_bytes: float
    link_bytes_per_s: float
    level_bytes_per_s: float = float("inf")


@dataclass(frozen=True)
class Parameter:
    """A physical parameter of a form.

    Args:
        start: what fitting starts from, and leans to where data are thin.
        low, high: what is physically possible.
        spread: standard deviation of its logarithm over chips and kernels.
        meaning: with its unit.
        absent: its value in a set written before the form had it; None where every set has it.
    """

    name: str
    start: float
    low: float
    high: float
    spread: float
    meaning: str
    absent: float | None = None


Seconds: TypeAlias = Callable[[Any, Sizes, ChipFacts, Any], Number]
Sides: TypeAlias = Callable[[Any, Sizes, ChipFacts, Any], Mapping[str, Number]]


@dataclass(frozen=True)
class Form:
    """A law with parameters.

    Args:
        name: gemm, attention_decode …
        sizes: names it reads.
        parameters: in the order in which ``seconds`` takes them.
        seconds: (parameters, sizes, chip, namespace) → time [s].
        work: (sizes, chip, namespace) → (FLOP, bytes moved), for the bound.
        family: sizes → which group of kernels serves them; sets are fitted per family.
        shape: sizes that make a model's shape; rows of one shape are held back together.
        sides: (parameters, sizes, chip, namespace) → resource → the time it asks for [s], of the
            terms a smooth maximum is taken of; None where there is no such choice.
    """

    name: str
    sizes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    seconds: Seconds
    work: Callable[[Sizes, ChipFacts, Any], tuple[Number, Number]]
    shape: tuple[str, ...]
    family: Callable[[Mapping[str, float]], str] = lambda sizes: ""
    sides: Sides | None = None

    def bound_s(self, sizes: Sizes, chip: ChipFacts, xp: Any = PLAIN) -> Number:
        """Return the roofline of the same kernel [s]."""
        flops, moved = self.work(sizes, chip, xp)
        return xp.maximum(flops / sizes["peak"], moved / chip.bytes_per_s)


def smooth_max(a: Number, b: Number, p: float, xp: Any) -> Number:
    """``(a^p + b^p)^(1/p)``: the sum at p = 1, the maximum as p grows; no overflow.

    >>> smooth_max(3.0, 4.0, 2.0, PLAIN)
    5.0
    """
    top = xp.maximum(a, b)
    low = xp.minimum(a, b)
    return top * xp.knee(low / top, p)


def smooth_min(a: Number, b: Number, p: float, xp: Any) -> Number:
    """``(a^-p + b^-p)^(-1/p)``: the cheaper of two ways, its knee rounded."""
    top = xp.maximum(a, b)
    low = xp.minimum(a, b)
    return low / xp.knee(low / top, p)


def cached(seconds: Number, moved: Number, speedup: float, chip: ChipFacts) -> Number:
    """Shorten a memory time by ``speedup`` where what moves fits the last level on chip."""
    square = (moved / chip.cache_bytes) * (moved / chip.cache_bytes)
    fits = 1.0 / (1.0 + square * square)
    return seconds * (1.0 - fits + fits / speedup)

"""Predict how long kernels take, each with its band and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mansard.backends.calibrated.carry import carried
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.form import PLAIN, ChipFacts, Number, Parameter
from mansard.backends.calibrated.lookup import Found, family_of, find
from mansard.backends.calibrated.parameters import Calibration, Key
from mansard.backends.calibrated.registry import form
from mansard.backends.chips import load
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError


@dataclass(frozen=True)
class Figures:
    """What a prediction needs of one kernel.

    Args:
        form: gemm, attention_decode … (``registry.FORMS``).
        sizes: the form's sizes, floats or arrays of one length.
        dtype: scheme of the kernel, as calibrations name it.
        framework, kernel: that runs it; empty for any.
        floor_s: the bound; a prediction is never below it.
        share: of the measured kernel that this one is.
    """

    form: str
    sizes: Mapping[str, Number]
    dtype: str = ""
    framework: str = ""
    kernel: str = ""
    floor_s: Number = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class Fit:
    """What was fitted, as it stands for one chip.

    Args:
        found: the set, and how much wider its band is here.
        values: of the form's parameters, carried to the chip.
    """

    found: Found
    values: tuple[float, ...]

    @property
    def parameters(self) -> Iterator[tuple[Parameter, float]]:
        """Each parameter with its value."""
        return zip(form(self.found.one.key.form).parameters, self.values, strict=True)

    @property
    def band(self) -> tuple[float, float]:
        """Between which multiples of its time four of five measurements are expected."""
        return self.found.band()


@dataclass(frozen=True)
class Prediction:
    """Seconds with the band that held 80 % of the shapes held back.

    Args:
        kind: the form; errors of one kind go the same way.
        basis: the set it rests on, in words.
        fit: the set itself; None where nothing was fitted.
        slower: than this the kernel runs in an engine.
        widen_s: one operation on each element of the cache and for each query head, where the chip
            lacks the dtype the cache is stored in.
    """

    median_s: Number
    low_s: Number
    high_s: Number
    kind: str
    basis: str
    fit: Fit | None = None
    slower: Number = 1.0
    widen_s: Number = 0.0

    def times(self, count: Number) -> Prediction:
        """Return ``count`` of the same."""
        low, high = self.low_s * count, self.high_s * count
        return replace(self, median_s=self.median_s * count, low_s=low, high_s=high)


class Predictor:
    """Calibrated estimates of one chip.

    Args:
        chip: with its datasheet.
        own: a user's calibration of it, asked before the bundled ones.
    """

    def __init__(self, chip: Hardware, own: Calibration | None = None) -> None:
        self.chip = chip
        self.facts: ChipFacts = facts(chip)
        self.family = family_of(chip)
        self.own = own
        self._found: dict[tuple[str, str, str, str, str], Fit] = {}

    @property
    def asked(self) -> tuple[tuple[str, str], ...]:
        """(form, dtype) of the kernels that were predicted so far, each once."""
        return tuple(dict.fromkeys((form, dtype) for form, _, dtype, *_ in self._found))

    @property
    def uses_own(self) -> bool:
        """Whether a set of the user's calibration served one of them."""
        own = self.own
        return own is not None and any(fit.found.one in own.sets for fit in self._found.values())

    def predict(self, figures: Figures, xp: Any = PLAIN, bands: bool = True) -> Prediction:
        """Return the time of a kernel; with ``columns.COLUMNS``, sizes may be arrays.

        Args:
            figures: of the kernel.
            xp: the functions of forms.
            bands: whether its band counts; without, both ends are the time.

        Raises:
            UnknownNameError: there is no such form.
            SpecError: a size is missing.
        """
        law, z, fit = form(figures.form), figures.sizes, self._fit(figures, xp)
        found, values = fit.found, fit.values
        median = law.seconds(values, z, self.facts, xp) * figures.share
        median = xp.maximum(median, figures.floor_s)
        if not bands:
            return Prediction(median, median, median, law.name, found.basis, fit)
        below, above = found.band()
        low, high = xp.maximum(median * below, figures.floor_s), median * above
        return Prediction(median, low, high, law.name, found.basis, fit)

    def sides(self, figures: Figures, xp: Any = PLAIN) -> Mapping[str, Number] | None:
        """Return what each resource asks for [s], of the terms whose smooth maximum the time has.

        None where the form takes no maximum.

        Raises:
            UnknownNameError, SpecError: as ``predict``.
        """
        law = form(figures.form)
        if law.sides is None:
            return None
        return law.sides(self._fit(figures, xp).values, figures.sizes, self.facts, xp)

    def _fit(self, figures: Figures, xp: Any) -> Fit:
        """Return the set that serves a kernel, its parameters carried to the chip."""
        law = form(figures.form)
        z = figures.sizes
        if not all(name in z for name in law.sizes):
            lacking = ", ".join(name for name in law.sizes if name not in z)
            raise SpecError(f"a {law.name} kernel without {lacking} cannot be predicted")
        group = law.family(z if xp is PLAIN else _first(z))
        asked = (law.name, figures.framework, figures.dtype, group, figures.kernel)
        if asked not in self._found:
            found = find(Key(*asked), self.chip.id, self.family, self.own)
            measured_on = [facts(load(chip)) for chip in found.one.chips if chip != self.chip.id]
            values = carried(law, found.one.values, measured_on, self.facts)
            self._found[asked] = Fit(found, values)
        return self._found[asked]


def _first(sizes: Mapping[str, Number]) -> dict[str, float]:
    """Return the first point: one kernel serves a sweep."""
    return {n: float(v.flat[0]) if hasattr(v, "flat") else v for n, v in sizes.items()}


def combine(parts: Iterable[Prediction]) -> Prediction:
    """Return the sum of kernels with its band.

    Errors of one kind are taken to go the same way, those of different kinds to be independent:
    half-widths add within a kind and in squares over kinds.

    >>> one = Prediction(1.0, 0.9, 1.3, "gemm", "a")
    >>> combine([one, one]).high_s
    2.6
    """
    kinds: dict[str, tuple[float, float]] = {}
    total = 0.0
    for part in parts:
        down, up = kinds.get(part.kind, (0.0, 0.0))
        down, up = down + part.median_s - part.low_s, up + part.high_s - part.median_s
        kinds[part.kind] = (down, up)
        total += part.median_s
    down = math.sqrt(sum(d * d for d, _ in kinds.values()))
    up = math.sqrt(sum(u * u for _, u in kinds.values()))
    return Prediction(total, total - down, total + up, "total", f"{len(kinds)} kinds of kernel")

"""Figures of a compiled program as exact functions of one unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

from mansard.backends.engine.lowered import Segment
from mansard.backends.estimate import DECODE, ENCODE, PREFILL, called_once
from mansard.backends.inverse.broken import ZERO, Broken, line, summed
from mansard.backends.inverse.envelope import greatest
from mansard.backends.inverse.forms import Bound, NotAffineError
from mansard.backends.inverse.sections import Priced
from mansard.backends.inverse.stored import alive, storages
from mansard.backends.inverse.sums import Sums
from mansard.backends.quantity import Terms
from mansard.core.symbols import SCENARIO, Symbol

KINDS = ("weights", "kv_cache", "activations")
CAPACITY, RESERVE = "memory.capacity", "memory.reserve"


Each: TypeAlias = "Sequence[tuple[Curves, Fraction]]"
"""Curves of several lengths with the share of each; of one length, one with all of it."""


class Curves:
    """Each figure as a ``Broken``, made when it is asked for.

    Args:
        priced: the program on its chip.
        scenario: batch, prompt and output; the value of the unknown is not read.
        unknown: a scenario symbol by name, or a field of the chip.
        low: the least value of the unknown (of a rate: of its slowness, see ``Sums``).
        high: its greatest.
    """

    def __init__(
        self, priced: Priced, scenario: Mapping[str, float], unknown: str,
        low: Fraction | int, high: Fraction | int,
    ) -> None:  # fmt: skip
        self.priced, self.unknown = priced, unknown
        self.low, self.high = Fraction(low), Fraction(high)
        env: dict[Symbol, float] = {SCENARIO[k]: v for k, v in scenario.items() if k != unknown}
        self.bound = Bound(priced.space, env, SCENARIO.get(unknown), self.low, self.high)
        self._scenario = scenario
        self._known: dict[str, Broken] = {}
        self._seconds: dict[str, Broken] = {}

    @property
    def each(self) -> Each:
        """Itself, with all of the weight."""
        return ((self, Fraction(1)),)

    @property
    def is_field(self) -> bool:
        """Whether the unknown is a field of the chip."""
        return self.unknown not in SCENARIO

    @cached_property
    def sums(self) -> Sums:
        """The seconds of rows and phases."""
        return Sums(self.bound, self.unknown if self.is_field else "")

    def seconds(self, phase: str) -> Broken | None:
        """Return the seconds of a phase; None where it is not asked for.

        Raises:
            NotAffineError: one of its rows is not affine in the unknown.
        """
        if phase not in self.priced.phases:
            return None
        if phase not in self._seconds:
            parts = [self.sums.section(section) for section in self.priced.of_phase(phase)]
            self._seconds[phase] = summed(parts) if parts else self._number(0)
        return self._seconds[phase]

    @cached_property
    def tokens(self) -> Mapping[str, Fraction]:
        """Tokens of a sequence that each phase makes."""
        found: dict[str, Fraction] = {}
        for made in self.priced.lowered.yields:
            product = Fraction(1)
            for factor in made.factors:
                product *= max(self.bound.value(factor), ZERO)
            found[made.phase] = found.get(made.phase, ZERO) + product
        return found

    def figure(self, name: str) -> Broken | None:
        """Return a figure; None where the program has none of that name.

        Raises:
            NotAffineError: it is not piecewise affine in the unknown.
        """
        if name not in self._known:
            found = self._figure(name)
            if found is None:
                return None
            self._known[name] = found
        return self._known[name]

    def _figure(self, name: str) -> Broken | None:
        if name in SCENARIO:
            if name == self.unknown:
                return line(0, 1, self.low, self.high)
            return self._number(self._scenario[name])
        makers: Mapping[str, Callable[[], Broken | None]] = {
            "ttft": self._first_token,
            "prefill": lambda: self._mean("prefill"),
            "decode": lambda: self._mean("decode"),
            "tpot": lambda: self._mean("decode") if "decode" in self.tokens else None,
            "latency": self._latency,
            "period": self._period,
            "memory": self._memory,
            "overhead": self._overhead,
            "capacity": self._capacity,
        }
        if name in makers:
            return makers[name]()
        return self._stored(name) if name in KINDS else None

    def _number(self, value: Fraction | int | float) -> Broken:
        return line(Fraction(value), 0, self.low, self.high)

    def _mean(self, phase: str) -> Broken | None:
        """Return the mean step of a phase that makes tokens, else all of it."""
        seconds, made = self.seconds(phase), self.tokens.get(phase)
        if seconds is None or made is None:
            return seconds
        return seconds.scaled(1 / made) if made > 0 else None

    def _period(self) -> Broken | None:
        """Return the time from one batch to the next; None where there is no latency."""
        found = [self.seconds(phase) for phase in self.priced.phases]
        if self._latency() is None:
            return None
        return summed([f for f in found if f is not None])

    def _first_token(self) -> Broken | None:
        """Return the prefill, and what is encoded before it."""
        prefill, encode = self.seconds(PREFILL), self.seconds(ENCODE)
        return prefill if prefill is None or encode is None else summed([encode, prefill])

    def _latency(self) -> Broken | None:
        if called_once(self.priced.phases):
            found = [self.seconds(phase) for phase in self.priced.phases]
            return summed([f for f in found if f is not None])
        ttft, tpot = self.figure("ttft"), self.figure("tpot")
        if self.unknown == "output":
            raise NotAffineError("output times the mean step")
        rest = Fraction(self._scenario["output"]) - 1
        if ttft is None or (tpot is None and rest):
            return None
        named = (ENCODE, PREFILL, DECODE)
        between = [self.seconds(p) for p in self.priced.phases if p not in named]
        others = [s for s in between if s is not None]
        steps = [tpot.scaled(rest)] if tpot is not None and rest else []
        return summed([ttft, *others, *steps])

    # Memory.

    def _memory(self) -> Broken:
        return summed([*(self._stored(kind) for kind in KINDS), self._overhead()])

    def _overhead(self) -> Broken:
        if self.unknown == RESERVE:
            return line(0, 1, self.low, self.high)
        return self._number(self.priced.cluster.chip.reserve_bytes)

    def _capacity(self) -> Broken | None:
        if self.unknown == CAPACITY:
            return line(0, 1, self.low, self.high)
        capacity = self.priced.cluster.chip.capacity_bytes
        return None if capacity is None else self._number(capacity)

    def _stored(self, kind: str) -> Broken:
        footprints = self.priced.footprints
        if kind == "activations":
            sums = [
                size for segment, terms in alive(footprints) for size in self._ends(segment, terms)
            ]
            return greatest(sums) if sums else self._number(0)
        held = [self._number(0)]
        for of, count, variants in storages(footprints):
            if of == kind:
                sizes = [s for segment, terms in variants for s in self._ends(segment, terms)]
                held += [greatest(sizes).scaled(count)] if sizes else []
        return summed(held)

    def _ends(self, segment: Segment, terms: Terms) -> list[Broken]:
        """Return a size in the first call of a segment and in the last; nothing if it never is."""
        if any(self.bound.value(factor) <= 0 for factor in segment.factors):
            return []
        steps = {0}
        if segment.index is not None and segment.times is not None:
            whole, part = self.sums.trips(segment)
            last = whole - 1 + (part > 0)
            steps = {0, last} if last >= 0 else set()
        forms = {self.bound.form(terms, segment.index, (t, t)): t for t in steps}
        return [form.at(t, self.low, self.high) for form, t in forms.items()]

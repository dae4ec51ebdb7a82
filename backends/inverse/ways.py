"""Which way each figure of a compiled program goes as a scenario symbol grows."""

from __future__ import annotations

from mansard.backends.engine.lowered import Segment
from mansard.backends.estimate import ENCODE, PREFILL
from mansard.backends.inverse.covered import competing
from mansard.backends.inverse.direction import STILL, UP, Directions, Way, together, turned
from mansard.backends.inverse.sections import Priced, Section
from mansard.backends.inverse.stored import alive, storages
from mansard.backends.quantity import Terms
from mansard.core.symbols import SCENARIO, Symbol

KINDS = ("weights", "kv_cache", "activations")


class Ways:
    """Certificates of monotony, figure by figure.

    Of rows side by side the longest stream counts, each the sum of its rows: it goes the way in
    which all of them go, as a sum does.

    Args:
        priced: the program on its chip.
        unknown: the symbol that grows.
    """

    def __init__(self, priced: Priced, unknown: Symbol) -> None:
        self.priced, self.unknown = priced, unknown
        self._directions = Directions(priced.space)
        self._competing: dict[int, list[Terms]] = {}

    def figure(self, name: str) -> Way:
        """Return which way a figure goes; None when there is no certificate."""
        if name in SCENARIO:
            return UP if SCENARIO[name] == self.unknown else STILL
        match name:
            case "ttft":
                return together([self._phase(ENCODE), self._phase(PREFILL)])
            case "tpot" | "decode" | "prefill":
                return self._mean("decode" if name == "tpot" else name)
            case "latency":
                return self._latency()
            case "period":
                return together(self._phase(p) for p in self.priced.phases)
            case "throughput":
                return self._throughput()
            case "tokens_per_s_per_user":
                return turned(self._mean("decode"))
            case "memory":
                return together(self._held(kind) for kind in KINDS)
            case "weights" | "kv_cache" | "activations":
                return self._held(name)
            case _:
                return STILL

    # Time.

    def _phase(self, phase: str) -> Way:
        return together(self._section(section) for section in self.priced.beside(phase))

    def _section(self, section: Section) -> Way:
        return together([self._step(section), *self._repeats(section.segment)])

    def _step(self, section: Section, symbol: Symbol | None = None) -> Way:
        """Return which way the time of a row in one step goes."""
        rows, along = self._rows(section), symbol or self.unknown
        if along == SCENARIO["batch"]:  # any number of sequences, beside any lengths
            return together(self._directions.of_cost(t, along) for t in rows)
        return together(self._directions.of(t, along) for t in rows)

    def _rows(self, section: Section) -> list[Terms]:
        """Return the seconds of each resource of a row that may be its slowest."""
        if id(section) not in self._competing:
            kept = list(section.kept.values())
            self._competing[id(section)] = competing(self.priced.space, kept)
        return self._competing[id(section)]

    def _repeats(self, segment: Segment) -> list[Way]:
        counts = [*segment.factors, *([segment.times] if segment.times is not None else [])]
        return [self._directions.of(c, self.unknown) for c in counts]

    def _mean(self, phase: str) -> Way:
        """Return which way the mean step goes.

        Where the unknown sets how many steps there are and is in none of them, the mean grows
        with it if each step takes at least as long as the one before.
        """
        made = [y for y in self.priced.lowered.yields if y.phase == phase]
        tokens = together(self._directions.of(f, self.unknown) for y in made for f in y.factors)
        if tokens == STILL:
            return self._phase(phase)
        sections = list(self.priced.beside(phase))
        alike = {(id(s.segment.index), str(s.segment.times)) for s in sections}
        if len(alike) != 1 or any(s.segment.index is None for s in sections):
            return None
        inside = [self._step(s) for s in sections]
        factors = [
            self._directions.of(f, self.unknown) for s in sections for f in s.segment.factors
        ]
        along = [self._step(s, s.segment.index) for s in sections]
        if set(inside) | set(factors) != {STILL} or tokens != UP:
            return None
        return together(along)

    def _latency(self) -> Way:
        return together(self._phase(p) for p in self.priced.phases)

    def _throughput(self) -> Way:
        """Return which way tokens per second go: up when no time grows faster than the unknown."""
        if self.unknown == SCENARIO["prompt"]:
            return turned(together(self._phase(p) for p in self.priced.phases))
        if self.unknown != SCENARIO["batch"]:
            return None
        per = [
            self._directions.per(terms, self.unknown)
            for phase in self.priced.phases
            for section in self.priced.beside(phase)
            for terms in self._rows(section)
        ]
        repeats = [
            w
            for p in self.priced.phases
            for s in self.priced.beside(p)
            for w in self._repeats(s.segment)
        ]
        return turned(together(per)) if set(repeats) <= {STILL} else None

    # Memory.

    def _held(self, kind: str) -> Way:
        footprints = self.priced.footprints
        if kind == "activations":
            sizes = list(alive(footprints))
        else:
            sizes = [
                pair for of, _, variants in storages(footprints) if of == kind for pair in variants
            ]
        ways = [self._directions.of(terms, self.unknown) for _, terms in sizes]
        for segment, terms in sizes:
            later = together(self._repeats(segment))
            if later != STILL:  # the last step is another one
                along: Way = STILL
                if segment.index is not None:
                    along = self._directions.of(terms, segment.index)
                ways += [later, along]
        return together(ways)

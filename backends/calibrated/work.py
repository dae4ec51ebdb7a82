"""Tables and calibrated prices of one program: kernels as measured, the engine around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mansard.backends.calibrated.band import Band
from mansard.backends.calibrated.engine import slowing
from mansard.backends.calibrated.form import PLAIN, Number
from mansard.backends.calibrated.knots import around, chords
from mansard.backends.calibrated.lookup import Found
from mansard.backends.calibrated.predict import Fit, Predictor
from mansard.backends.calibrated.pricing import Kernel, calibrated, routing_of
from mansard.backends.calibrated.row_total import CalibratedTotal
from mansard.backends.calibrated.said import (
    at_the_bound,
    engine_words,
    medians,
    own_without_engine,
    own_without_use,
    unreliable,
)
from mansard.backends.calibrated.scales import lie_in_blocks
from mansard.backends.calls import CallEnvironment
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import PREFILL, Phase, Row
from mansard.backends.phases import PhaseSum
from mansard.backends.quantity import Tape
from mansard.backends.rates import price
from mansard.backends.roofline import Work
from mansard.backends.schedule import Stretch
from mansard.backends.sums import Piece, pieces
from mansard.backends.table import TableRow
from mansard.core.notes import Note
from mansard.core.symbols import B, P
from mansard.ir.program import Program

ROUTED = "moe-routing"
"""The pass that says how uneven ranks are."""
OVERHEAD_ROW = "engine"
WORTH_NAMING = 0.01
"""Share of a phase from which a row that comes out at its bound is named."""

DENSE = ("gemm", "attention_prefill", "attention_decode", "stream", "collective")
"""Forms of the networks that engines were measured with."""
UNSURE = ("was not measured", "no measured link")
"""Words of a basis that stands in for another."""
FOREIGN, PLAIN_DTYPE = "all measured chips", "bfloat16"
"""Words of a basis of other chips' kernels, and of the dtype engines were measured in on them."""
MIXERS = ("attention", "values", "partial_values", "state_space_dual", "selective_scan",
          "gated_delta")  # fmt: skip
"""Kinds of row of which a layer has one; scores that only choose keys are none."""


@dataclass(frozen=True)
class Basis:
    """A set that predictions rest on.

    Args:
        set: which, in words: chip or family, framework, dtype, rows, error held back.
        form: of kernels it predicts; ``engine`` of what is around them and slows them.
        rows: of the cost table that it served.
        time_s: of theirs, over all phases.
        fit: the set itself; None where nothing was fitted.
    """

    set: str
    form: str
    rows: int
    time_s: float
    fit: Fit | None = None


class CalibratedWork(Work):
    """Tables and calibrated prices of one program."""

    def __init__(
        self,
        program: Program,
        cluster: Cluster,
        predictor: Predictor,
        framework: str = "",
        engine: Found | None = None,
    ) -> None:
        super().__init__(program, cluster)
        self.predictor, self.framework, self.engine = predictor, framework, engine
        self.bands: dict[str, Band] = {}
        self.widen_s = 0.0
        self.is_judged_whole = True
        self._phase = ""
        self._rows: tuple[TableRow, ...] = ()
        self._uneven = False
        self._bases: dict[tuple[str, str], Basis] = {}
        self._at_bound: dict[str, None] = {}
        self._several = several_ranks(cluster)

    def phase(self, name: str, stretches: list[Stretch], tokens: float | None) -> Phase:
        """Sum the stretches of a phase."""
        self._phase = name
        return super().phase(name, stretches, tokens)

    def total(self, row: TableRow) -> CalibratedTotal:
        """Return a row's sum, empty, at the calibrated price."""
        values = self.engine.one.values if self.engine else None
        slower = slowing(values, self._phase, row.kind)
        bound = price(row, self.cluster)
        routing = routing_of(row, self._rows)
        blocks = lie_in_blocks(row, self._rows)
        kernel = Kernel(row, bound, self.predictor, self.framework, slower, routing, blocks)
        return CalibratedTotal(row, calibrated(kernel))

    def summary(self, name: str, steps: float, done: PhaseSum) -> Phase:
        """Return a phase from its sums, and keep its band."""
        phase = super().summary(name, steps, done)
        halves: dict[str, tuple[float, float]] = {}
        bound_s = slowed_s = 0.0
        for row in done.rows.values():
            assert isinstance(row, CalibratedTotal)
            time_s = sum(row.won.values())
            down, up = halves.get(row.form, (0.0, 0.0))
            halves[row.form] = (down + time_s - row.low_s, up + row.high_s - time_s)
            bound_s += row.bound_s
            self.widen_s += row.widen_s
            alone_s = time_s / max(row.slower, 1.0)
            self._rests(row.basis, row.form, alone_s, row.fit)
            self._uneven |= any(why.startswith(ROUTED) for why in row.row.because)
            slowed_s += time_s - alone_s
            if time_s <= row.bound_s * 1.000001 and time_s > WORTH_NAMING * phase.total_s:
                self._at_bound.setdefault(row.row.name)
        if self.engine is not None:
            _, each_s = done.waits.get(OVERHEAD_ROW, (0.0, 0.0))
            fit = Fit(self.engine, self.engine.one.values)
            self._rests(engine_words(self.engine), "engine", slowed_s + each_s, fit)
        rests = [(r.form, r.basis) for r in done.rows.values() if isinstance(r, CalibratedTotal)]
        own = self.predictor.own is not None
        whole = is_judged_whole(self.engine, self.framework, own, rests)
        self.is_judged_whole &= whole
        around = self.engine.band(name == PREFILL) if self.engine else None
        low, high = phase_band(phase.total_s, halves, bound_s, around, whole)
        self.bands[name] = Band(low / steps, high / steps)
        return replace(phase, ops=tuple(self._shown(row) for row in phase.ops))

    def bases(self, often: Mapping[str, float] | None = None) -> tuple[Basis, ...]:
        """Return the sets used, the one with most of the time first.

        Args:
            often: phase → how often what was summed of it occurs; once unless given.
        """
        found: dict[str, Basis] = {}
        for (phase, words), basis in self._bases.items():
            time_s = basis.time_s * (often or {}).get(phase, 1.0)
            before = found.get(words, replace(basis, rows=0, time_s=0.0))
            rows = before.rows + basis.rows
            found[words] = replace(before, rows=rows, time_s=before.time_s + time_s)
        return tuple(sorted(found.values(), key=lambda b: -b.time_s))

    def said(self, phases: Iterable[str]) -> list[Note]:
        """Return what a reader should know of what the answer rests on."""
        bases = self.bases()
        notes = [*medians(((b.set, b.form, b.time_s) for b in bases), self.cluster.chip.id)]
        own, engine = self.predictor.own, self.engine
        if own is not None:
            applies = self.predictor.uses_own or (engine is not None and engine.one in own.sets)
            notes += own_without_use(own, self.predictor.asked) if not applies else ()
            notes += own_without_engine(own, engine) if applies and engine is not None else ()
            used = (b.fit.found.one for b in bases if b.fit is not None)
            notes += unreliable(one for one in used if one in own.sets)
        notes += at_the_bound(tuple(self._at_bound))
        if any(b.form == "moe" for b in bases):
            said = "experts are taken as evenly loaded; skewed routing makes the busiest rank wait"
            uneven = "experts of a rank are taken as evenly loaded, ranks as moe-routing says"
            notes.append(Note("M082", uneven if self._uneven else said))
        if "prefill" in phases:
            said = "time to first token is one prefill alone; under load it is mostly queueing"
            notes.append(Note("M081", f"{said}, which no estimate here includes"))
        return notes

    def _rests(self, basis: str, form: str, time_s: float, fit: Fit | None) -> None:
        key = self._phase, basis
        before = self._bases.get(key, Basis(basis, form, 0, 0.0, fit))
        self._bases[key] = replace(before, rows=before.rows + 1, time_s=before.time_s + time_s)

    def _shown(self, row: Row) -> Row:
        if self.engine is None:
            return row
        if row.kind != "wait" or row.name != OVERHEAD_ROW:
            return replace(row, basis=f"{row.basis}; engine: {engine_words(self.engine)}")
        low, high = self.engine.band(self._phase == PREFILL)
        return replace(row, kind="overhead", ideal_s=0.0, basis=engine_words(self.engine),
                       low_s=row.time_s * low, high_s=row.time_s * high)  # fmt: skip

    def _stretch(self, stretch: Stretch, done: PhaseSum) -> None:
        assert stretch.call is not None
        self._rows = self._table(stretch.call.graph, stretch.call.wants).rows
        super()._stretch(stretch, done)
        if self.engine is not None and not stretch.waits:
            each = self._overhead_s(stretch)
            times = stretch.weight * stretch.steps
            done.wait(OVERHEAD_ROW, times, each * times)
            done.times.append((stretch.branch, each * times))
            done.trip(stretch, each * times, (each, each))

    def _pieces(self, tape: Tape, stretch: Stretch, env: CallEnvironment) -> Iterable[Piece]:
        """Cut a loop at contexts that are the same for every loop: predictions bend."""
        at, first, last = env.on(tape), stretch.first, stretch.last
        if stretch.index is None:
            return super()._pieces(tape, stretch, env)
        here, there = env.at(first), env.at(last if last > first else first + 1)
        begins, ends = (float(sizes.get(P, 0)) for sizes in (here, there))
        slope = (ends - begins) / max(last - first, 1)
        alone = slope != 0 and all(v == there[s] for s, v in here.items() if s != P)
        nodes = around(begins, slope, first, last, alone)
        return chords(pieces(tape, at, nodes[0], nodes[-1]), nodes, first, last, at)

    def _overhead_s(self, stretch: Stretch) -> float:
        """Return the time of one call outside its kernels [s]."""
        call, engine = stretch.call, self.engine
        assert call is not None
        assert engine is not None
        step_s, layer_s, ranks_s, sequence_s, *_ = engine.one.values
        table = self._table(call.graph, call.wants)
        env = CallEnvironment(stretch, self._program.graph(call.graph).defaults)
        values = env.on(table.tape)(stretch.first)
        counts = [(row.kind, float(values[row.count])) for row in table.rows]
        mixers = sum(n for kind, n in counts if kind in MIXERS)
        layers = mixers or max((n for _, n in counts), default=0.0)
        layer = layer_s + (ranks_s if self._several else 0.0)
        return step_s + layers * layer + float(env.at(stretch.first)[B]) * sequence_s


def several_ranks(cluster: Cluster) -> bool:
    """Say whether ranks share a layer."""
    return any(n > 1 for axis, n in cluster.mesh.items() if axis.partition("@")[0] == "tp")


def is_judged_whole(
    engine: Found | None, framework: str, own: bool, rests: Iterable[tuple[str, str]]
) -> bool:
    """Return whether whole networks like this one were held back on this chip and engine.

    Their band then has the errors of kernels in it; else those of both add, in squares.

    Args:
        engine: the set of the engine.
        framework: that is asked for.
        own: whether a user's calibration is in use.
        rests: (form, basis) of each kernel.
    """
    if engine is None or engine.one.chips or own or engine.one.key.framework != framework:
        return False
    return all(form in DENSE and not _is_unsure(form, basis) for form, basis in rests)


def _is_unsure(form: str, basis: str) -> bool:
    """Say whether no engine was fitted on such kernels.

    On a chip whose kernels nobody measured, those of others stand in; so they did where its engine
    was fitted, in one dtype.
    """
    dtype = {"gemm": PLAIN_DTYPE, "attention_prefill": f"{PLAIN_DTYPE}/{PLAIN_DTYPE}"}
    dtype["attention_decode"] = dtype["attention_prefill"]
    foreign = FOREIGN in basis and f", {dtype.get(form, '')}" not in basis
    return foreign or any(words in basis for words in UNSURE)


def phase_band(
    total_s: Number, halves: Mapping[str, tuple[Number, Number]], bound_s: Number,
    engine: tuple[float, float] | None, judged_whole: bool, xp: Any = PLAIN,
) -> tuple[Number, Number]:  # fmt: skip
    """Return the band around the time of a phase [s].

    Args:
        total_s: of the phase.
        halves: form → half-widths of its kernels; they add in squares over forms.
        bound_s: nothing is faster.
        engine: the band of the engine in this phase, as multiples of the time.
        judged_whole: whether it has the errors of kernels in it.
        xp: the functions of forms.
    """
    down, up = (xp.sqrt(sum(half[k] * half[k] for half in halves.values())) for k in (0, 1))
    if engine is not None:
        low, high = engine
        below, above = total_s - total_s * low, total_s * high - total_s
        down = below if judged_whole else xp.sqrt(down * down + below * below)
        up = above if judged_whole else xp.sqrt(up * up + above * above)
    floor = xp.minimum(bound_s, total_s)
    return xp.maximum(total_s - down, floor), total_s + up

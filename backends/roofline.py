"""The roofline backend: the bound no measurement beats, kernel by kernel and phase by phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

import sympy as sp

from mansard.backends.calls import CallEnvironment
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import (
    DECODE,
    ENCODE,
    PREFILL,
    Memory,
    Metrics,
    Phase,
    called_once,
)
from mansard.backends.hardware import Hardware
from mansard.backends.memory import memory
from mansard.backends.phases import PhaseSum as PhaseSum
from mansard.backends.phases import step_s, summary
from mansard.backends.quantity import Tape
from mansard.backends.rates import price
from mansard.backends.schedule import Branch, Stretch, elapsed, timeline
from mansard.backends.streams import overlapped_s
from mansard.backends.sums import Piece, pieces
from mansard.backends.table import Table, TableRow, tabulate
from mansard.backends.totals import RowTotal
from mansard.core.facts import ModelFacts
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import SCENARIO
from mansard.ir.footprint import model_facts
from mansard.ir.program import Program


@dataclass(frozen=True)
class Answer:
    """Everything a backend says of a program on a chip.

    Args:
        figures: what it says besides, by a name that ends in its unit (``matrix_energy_j``).
        assumes: sentences, what the figures rest on that the question did not say: rates, devices,
            what is not counted. They are printed with the answer; the bound itself has a line of
            its own.
    """

    model: ModelFacts
    phases: Mapping[str, Phase]
    memory: Memory
    metrics: Metrics
    notes: tuple[Note, ...]
    figures: Mapping[str, float] = field(default_factory=dict)
    assumes: tuple[str, ...] = ()


def estimate(
    program: Program,
    on: Hardware | Cluster,
    scenario: Mapping[str, int],
    phases: Iterable[str] = (),
) -> Answer:
    """Return the roofline bound of a program.

    Args:
        program: after its passes.
        on: one device, or several.
        scenario: ``batch``, ``prompt``, ``output`` by name.
        phases: to report; every phase of the schedule unless given.

    Raises:
        MansardError: a symbol is unbound, or a resource has no price.
    """
    cluster = on if isinstance(on, Cluster) else Cluster(on)
    return answer(program, scenario, phases, Work(program, cluster))


def answer(
    program: Program, scenario: Mapping[str, int], phases: Iterable[str], work: Work
) -> Answer:
    """Return what ``work`` makes of a program: the bound, unless it prices otherwise."""
    env = {SCENARIO[k]: sp.Integer(v) for k, v in scenario.items() if k in SCENARIO}
    line = timeline(program.schedule, env)
    wanted = wanted_phases(tuple(phases), line.phases)
    found = {
        name: work.phase(
            name, [s for s in line.stretches if s.phase == name], line.yields.get(name)
        )
        for name in line.phases
        if name in wanted
    }
    calls = [s for s in line.stretches if s.call is not None and not s.waits]
    return Answer(
        model=model_facts(program),
        phases=found,
        memory=memory(program, calls, work.cluster.chip),
        metrics=_metrics(found, scenario, line.yields, elapsed(work.times)),
        notes=tuple(dict.fromkeys((*program.origin.notes, *work.notes))),
    )


def wanted_phases(asked: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the phases to report: all unless some are asked for, and what their prefill awaits."""
    return tuple(p for p in known if not asked or p in asked or (p == ENCODE and PREFILL in asked))


class Work:
    """Tables and prices of one program, shared by its phases."""

    def __init__(self, program: Program, cluster: Cluster):
        self._program, self.cluster = program, cluster
        self._tables: dict[tuple[str, tuple[str, ...]], Table] = {}
        self.notes: list[Note] = []
        self.times: list[tuple[Branch, float]] = []

    def phase(self, name: str, stretches: list[Stretch], tokens: float | None) -> Phase:
        """Sum the stretches of a phase; figures are of one token's step where it makes tokens."""
        done = PhaseSum()
        for stretch in stretches:
            if stretch.call is None:
                time_s = stretch.wait_s * stretch.weight
                done.wait(stretch.waits, stretch.weight, time_s)
                done.times.append((stretch.branch, time_s))
                done.trip(stretch, time_s, None)
            else:
                self._stretch(stretch, done)
        self.notes += [n for row in done.rows.values() for n in row.priced.notes]
        self.times += done.times
        return self.summary(name, tokens or 1.0, done)

    def summary(self, name: str, steps: float, done: PhaseSum) -> Phase:
        """Return a phase from its sums."""
        return summary(name, steps, done, self.cluster.chip)

    def total(self, row: TableRow) -> RowTotal:
        """Return a row's sum, empty."""
        return RowTotal(row, price(row, self.cluster))

    def _table(self, graph: str, wants: tuple[str, ...]) -> Table:
        if (graph, wants) not in self._tables:
            wanted = self._program.graph(graph).wanting(wants)
            self._tables[graph, wants] = tabulate(wanted, graph)
        return self._tables[graph, wants]

    def _pieces(self, tape: Tape, stretch: Stretch, env: CallEnvironment) -> Iterable[Piece]:
        """Return the parts of a stretch over which a row's time is taken as affine."""
        return pieces(tape, env.on(tape), stretch.first, stretch.last)

    def _stretch(self, stretch: Stretch, done: PhaseSum) -> None:
        call = stretch.call
        assert call is not None
        table = self._table(call.graph, call.wants)
        rows = [
            done.rows.setdefault((call.graph, call.wants, k, stretch.waits), self.total(row))
            for k, row in enumerate(table.rows)
        ]
        env = CallEnvironment(stretch, self._program.graph(call.graph).defaults)
        time_s = 0.0
        cut = list(self._pieces(table.tape, stretch, env))
        for piece in cut:
            side_by_side: dict[int, list[RowTotal]] = {}
            for row in rows:
                taken = row.take(piece, stretch.weight)
                if row.row.group:
                    side_by_side.setdefault(row.row.group, []).append(row)
                else:
                    time_s += taken
            for members in side_by_side.values():
                time_s += overlapped_s(members, piece) * stretch.weight
        done.times.append((stretch.branch, time_s))
        if stretch.waits:
            done.wait(stretch.waits, stretch.weight * stretch.steps, time_s)
            for k in range(len(table.rows)):
                del done.rows[call.graph, call.wants, k, stretch.waits]
        done.trip(stretch, time_s, (step_s(rows, cut[0], 0), step_s(rows, cut[-1], -1)))


def _metrics(
    phases: Mapping[str, Phase], scenario: Mapping[str, int], yields: Mapping[str, float],
    period_s: float,
) -> Metrics:  # fmt: skip
    """Return what users steer by.

    The first token waits for what is encoded before the prefill. A sequence passes through the
    phases one after the other; the next batch follows a period later, which is shorter where pools
    work side by side on successive batches. What makes no tokens takes the total of its phases,
    and its throughput is a batch's sequences over that.
    """
    if called_once(phases):
        total_s = sum(phase.total_s for phase in phases.values())
        known = period_s and "batch" in scenario
        rate = scenario["batch"] / period_s if known else None
        return Metrics(latency_s=total_s, throughput_tok_s=rate)
    prefill, decode = phases.get(PREFILL), phases.get(DECODE)
    ttft = prefill.total_s if prefill else None
    if ttft is not None and ENCODE in phases:
        ttft += phases[ENCODE].total_s
    tpot = decode.time_s if decode and yields.get("decode") else None
    latency = throughput = None
    if ttft is not None and (tpot is not None or scenario.get("output") == 1):
        between = sum(p.total_s for n, p in phases.items() if n not in (ENCODE, PREFILL, DECODE))
        latency = ttft + between + (scenario["output"] - 1) * (tpot or 0.0)
        throughput = scenario["batch"] * scenario["output"] / period_s
    return Metrics(
        ttft_s=ttft,
        tpot_s=tpot,
        latency_s=latency,
        throughput_tok_s=throughput,
        tokens_per_s_per_user=1.0 / tpot if tpot else None,
    )

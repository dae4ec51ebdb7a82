"""Parallelism: what one device of many holds, computes and sends."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.ir.graph import Graph
from mansard.ir.ops import Collective, Embedding, GroupedLinear, Linear
from mansard.ir.program import TARGET, Program, calls
from mansard.passes.low_rank import LowRank
from mansard.passes.options import option
from mansard.passes.parallel.context import with_sequence_dealt
from mansard.passes.parallel.experts import AXIS, Spread, with_experts_spread
from mansard.passes.parallel.overlapped import with_runs_overlapped
from mansard.passes.parallel.sharder import Sharder
from mansard.passes.parallel.stages import Stage, busiest
from mansard.passes.parallel.steps import Sharing, shared
from mansard.passes.parallel.walk import Walk
from mansard.passes.technique import EVERY, Outcome, Pass, variant

AXES = ("tp", "cp", "dp", "pp")
"""Axes of the mesh, innermost first: tensor ranks sit closest together."""


@dataclass(frozen=True)
class Parallel(Pass):
    """Divide a model over ``tp·cp·dp·pp`` devices; the graph is that of one, of the busiest stage.

    tp: a product of a whole operand is divided by rows, one of a divided operand by columns, with
    an all-reduce of ``T·h`` behind it: two a layer [Shoeybi 2019, §3]. Heads, their caches, the
    width of feed-forward blocks and of experts follow; KV heads are held by several ranks when
    there are more ranks than heads; head and embedding are divided by vocabulary. What an op
    needs whole - routers, low-rank projections, positions - stays whole on every rank.
    ep: ``E/ep`` experts a rank of the ``tp·dp`` devices; rows travel by all-to-all where data
    ranks meet, ``T·k·h`` there and back, and ``1 - (1 - k/E)^n`` of the experts are read for the
    ``n`` tokens of the whole group [Rajbhandari 2022, §3].
    dp: a rank has ``batch/dp`` sequences, rounded up. cp: tokens and attention are dealt to ranks
    that exchange heads by all-to-all [Jacobs 2023, §3]. pp: ``layers/pp`` layers a stage; a step is
    cut in microbatches and waits while the pipeline fills [Narayanan 2021, §2.2].
    overlap: a run of layers takes the longest of its streams - kernels, and the messages of each
    axis - which two half batches that take turns reach at best; embedding and head are waited for.
    """

    name = "parallel"
    example = "tp=2"
    identity = "tp=1"
    divides = True
    noun = "op"
    source = "[Shoeybi 2019, §3]"
    assumes = (
        "the busiest rank is waited for; an uneven batch gives it one sequence more",
        "collectives wait for arithmetic and it for them, unless overlap is asked for",
        "a vocabulary is padded to a multiple of tp, as engines store it",
        "every rank is handed all logits",
        "the last stage has as many layers as any, and the head",
    )
    omits = (
        "norms over a divided width gather it; kernels that add up only their statistics send less",
        "the token that the last stage sends to the first",
    )

    tp: int = option(1, "ranks that divide products, heads and caches", least=1, most=4096)
    pp: int = option(1, "stages of a pipeline", least=1, most=4096)
    ep: int = option(1, "ranks that hold different experts; it divides tp·dp", least=1, most=4096)
    dp: int = option(1, "ranks that the batch is dealt to", least=1, most=65536)
    cp: int = option(1, "ranks that a sequence is dealt to", least=1, most=4096)
    overlap: bool = option(False, "collectives of a run of layers travel beside its arithmetic")
    microbatches: int = option(0, "parts of a step in a pipeline; 0: as many as stages", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tp * self.dp % self.ep:
            raise SpecError(
                f"parallel: ep={self.ep} does not divide tp·dp = {self.tp * self.dp}",
                hint="experts are spread over the tp·dp devices: raise dp, or lower ep",
            )
        if self.microbatches and self.pp == 1:
            raise SpecError("parallel: microbatches without stages", hint="add pp=…")
        if self.on == EVERY and max(self.dp, self.pp, self.cp) > 1:
            raise SpecError(
                "parallel: on=* divides products alone", hint="use on=target, or tp and ep alone"
            )

    @property
    def devices(self) -> int:
        """Devices of one model."""
        return self.tp * self.cp * self.dp * self.pp

    def run(self, program: Program) -> Outcome:
        """Divide graphs, then the schedule; one device is the input.

        Raises:
            SpecError: a degree that does not divide a size, or a graph already divided.
        """
        if self.devices == 1:
            return Outcome(program, 1)
        if any(call.pool for call in calls(program.schedule)):
            raise SpecError(
                "parallel: the program already runs on several pools of devices",
                hint="put parallel before disaggregate: each pool has replicas of what it makes",
            )
        mesh = self._mesh(program)
        names = self._names(program)
        stages: dict[str, Stage] = {}
        made = program
        notes: list[Note] = []
        for name in names:
            before = made.graph(name)
            if _divided(before):
                raise SpecError(
                    f"parallel: {name!r} is already divided", hint="give every degree in one pass"
                )
            graph, again = self._of_one(before)
            notes += self._copied(graph, name, again)
            if self.pp > 1:
                because = _why("one stage of a pipeline [Narayanan 2021, §2.2]")
                called = f"{self.on}@{self.phase}" if self.phase else name
                stages[called] = busiest(graph, self.pp, self._axis("pp"), because)
                graph = stages[called].graph
            if self.overlap:
                graph, runs = with_runs_overlapped(graph, _why("messages beside arithmetic"))
                if not runs:
                    text = f"parallel: no run of layers of {name!r} sends anything to overlap"
                    notes.append(Note("M022", text))
            made = self._put(made, name, graph)
        if self.on in (TARGET, EVERY):
            made = self._schedule(made, stages)
        made = replace(made, mesh=mesh)
        return Outcome(made, 1, self._said(), tuple(dict.fromkeys(notes)))

    # The mesh.

    def _axis(self, name: str) -> str:
        return f"{name}@{self.phase}" if self.phase else name

    def _mesh(self, program: Program) -> dict[str, int]:
        """Return the mesh with this pass's axes, innermost first.

        Raises:
            SpecError: an axis was divided before, or has another degree for another graph.
        """
        wanted = {self._axis(a): n for a in AXES if (n := int(getattr(self, a))) > 1}
        again = {a for a in program.mesh for b in wanted if _overlap(a, b)}
        differs = any(program.mesh.get(axis, size) != size for axis, size in wanted.items())
        if again and (self.on in (TARGET, EVERY) or differs):
            axis = min(again)
            raise SpecError(
                f"parallel: {axis}={program.mesh[axis]} was already asked for",
                hint="give every degree in one pass; a draft (on=…) uses those of its target",
            )
        both = {**program.mesh, **wanted}
        ranked = {name: at for at, name in enumerate(AXES)}
        order = sorted(both, key=lambda axis: ranked.get(axis.partition("@")[0], len(AXES)))
        return {axis: both[axis] for axis in order}

    # Graphs.

    def _names(self, program: Program) -> tuple[str, ...]:
        if not self.phase:
            return self._graphs(program)
        program.graph(self.on)
        return (self._variant(program),)

    def _variant(self, program: Program) -> str:
        name = f"{self.on}@{self.phase}"
        return name if name in program.graphs else self.on

    def _put(self, program: Program, name: str, graph: Graph) -> Program:
        if self.phase and name == self.on:
            return variant(program, self.on, self.phase, graph)
        return program.with_graph(name, graph)

    def _of_one(self, graph: Graph) -> tuple[Graph, tuple[str, ...]]:
        """Return the graph of one rank, and the products of which ranks hold the same part."""
        again: tuple[str, ...] = ()
        spread = Spread(self.ep, self.tp, self.dp)
        because = _why("experts over ranks [Rajbhandari 2022, §3]")
        graph = with_experts_spread(graph, spread, self._axis(AXIS), because)
        if self.tp > 1:
            because = _why("divided over tensor ranks [Shoeybi 2019, §3]")
            sharder = Sharder(self.tp, self._axis("tp"), because, spread.width)
            graph, again = Walk(sharder).run(graph), sharder.held_again
        if self.cp > 1:
            because = _why("attention dealt to ranks [Jacobs 2023, §3]")
            graph = with_sequence_dealt(graph, self.cp, self._axis("cp"), because)
        return graph, again

    def _schedule(self, program: Program, stages: dict[str, Stage]) -> Program:
        stage = next(iter(stages.values()), None)
        sharing = Sharing(self.dp, self.cp, self.pp, self.microbatches or self.pp)
        if stage is not None:
            sharing = replace(sharing, slots=stage.slots)
        return shared(program, sharing, self.phase, tuple(stages))

    # What it says.

    def _copied(self, graph: Graph, name: str, again: tuple[str, ...]) -> list[Note]:
        """Name the products that every tensor rank holds whole, and those held in part again."""
        if self.tp == 1:
            return []
        kept = dict.fromkeys(
            op.name.partition("~")[0]
            for op, _ in graph.walk()
            if isinstance(op, (Linear, GroupedLinear, Embedding)) and not _is_divided(op)
        )
        where = "" if name == TARGET else f" of {name}"
        said = {f"whole on every rank of tp{where}": kept, f"held by several ranks{where}": again}
        texts = [f"parallel: {k}: {', '.join(v)}" for k, v in said.items() if v]
        if any(k.endswith(LowRank.inner) for k in kept):
            hint = f"put {LowRank.name} after parallel, and each rank factors what it holds"
            texts[0] += f"; to divide the factors, {hint}"
        return [Note("M021", text) for text in texts]

    def _said(self) -> str:
        degrees = [f"{a}={n}" for a in (*AXES, "ep") if (n := getattr(self, a)) > 1]
        beside = "; messages of layers beside their arithmetic" if self.overlap else ""
        return f"{self.devices} devices: {', '.join(degrees)}{beside}"


def _why(reason: str) -> str:
    return f"{Parallel.name}: {reason}"


def _overlap(a: str, b: str) -> bool:
    """Whether two axes are one kind, of one phase or of every."""
    (kind, _, phase), (other, _, when) = a.partition("@"), b.partition("@")
    return kind == other and (phase == when or not phase or not when)


def _divided(graph: Graph) -> bool:
    return any(isinstance(op, Collective) for op, _ in graph.walk())


def _is_divided(op: Linear | GroupedLinear | Embedding) -> bool:
    return any(reason.startswith(f"{Parallel.name}:") for reason in op.because)

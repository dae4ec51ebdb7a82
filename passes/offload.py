"""Offloading: weights, caches and activations of some layers lie off the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, S
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.kernel import relabel
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append, Copy, Dequantize, Join, Reshape
from mansard.ir.program import Program
from mansard.ir.region import Overlap, Repeat
from mansard.ir.rewrite import Rewritten, everywhere, rebuild, retype
from mansard.ir.value import MEMORY, TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass

WEIGHTS, KV, ACTIVATIONS = "weights", "kv", "activations"
REASON = "off the device, copied when needed [Sheng 2023, §3]"


@dataclass(frozen=True)
class Offload(Pass):
    """Keep a share of the layers' weights, caches or activations in host memory or on storage.

    The first layers are offloaded, the others stay: a run of layers becomes two. Each step copies
    a layer's weights in, its cache in before attention (new rows are written through), and the
    hidden state out and in again after the layer. With ``overlap`` the copies of a run hide behind
    its arithmetic, ``t = max(compute, in, out)``; without, times add [Sheng 2023, §4.3]. Of
    experts only those that some token chose are copied. Memory falls by what moved; the layer in
    use is resident as a buffer.
    """

    name = "offload"
    example = "weights=0.5"
    identity = "weights=0"
    noun = "copy"
    source = "[Sheng 2023, §3]"
    assumes = (
        "host and storage are large enough",
        "embedding, head and states of constant size stay on the device",
        "storage reaches the device at one rate, whatever it passes through",
    )
    omits = (
        "the buffer of the next layer, which is fetched while one computes",
        "several batches per load of a layer: raise the batch instead",
        "attention computed by the host",
    )

    weights: float = option(0.0, "share of the layers whose weights are elsewhere", least=0, most=1)
    kv: float = option(0.0, "share of the layers whose cache is", least=0, most=1)
    activations: float = option(
        0.0, "share of the layers whose hidden state is, between layers", least=0, most=1
    )
    to: str = option("host", "where", choices=("host", "storage"))
    overlap: bool = option(True, "copies run beside the arithmetic of their run of layers")

    def run(self, program: Program) -> Outcome:
        """Split runs of layers, and say what was rounded."""
        if not any(self._shares.values()):
            said = "no share is elsewhere; give weights=…, kv=… or activations=…"
            return Outcome(program, 1, notes=(Note("M022", f"{self.name}: {said}"),))
        outcome = super().run(program)
        notes = [Note("M021", text) for text in dict.fromkeys(self._rounded(program))]
        return replace(outcome, notes=(*outcome.notes, *notes))

    @property
    def _shares(self) -> dict[str, float]:
        return {WEIGHTS: self.weights, KV: self.kv, ACTIVATIONS: self.activations}

    def _layers(self, trips: int) -> dict[str, int]:
        return {what: round(share * trips) for what, share in self._shares.items()}

    def _rounded(self, program: Program) -> Iterator[str]:
        for name in self._graphs(program):
            for op in filter(_is_run, program.graph(name).ops):
                trips = int(getattr(op, "trips", 0))
                for what, n in self._layers(trips).items():
                    if abs(self._shares[what] * trips - n) > 1e-9:
                        said = f"{what}={self._shares[what]:g} of {trips} layers is taken as {n}"
                        yield f"{self.name}: {said}"

    def describe(self, before: Graph, after: Graph) -> str:
        """Count layers by what is offloaded of them."""
        runs = [int(getattr(op, "trips", 0)) for op in before.ops if _is_run(op)]
        said = []
        for what in self._shares:
            n = sum(self._layers(trips)[what] for trips in runs)
            said += [f"{what} of {n} of {sum(runs)} layers"] if n else []
        return f"{' and '.join(said)} in {self.to}"

    # The runs.

    def transform(self, graph: Graph) -> Rewritten:
        """Replace each run of layers by one a combination of what is offloaded."""
        if any(leaf.place == self.to for leaf in graph.leaves):
            raise SpecError(f"the graph has values in {self.to} already", hint="offload once")
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        edits: dict[Op, list[Op]] = {}
        for op in graph.ops:
            if isinstance(op, Repeat) and _is_run(op) and (runs := list(self._runs(op, taken))):
                edits[op] = runs
        return Rewritten(verify(rebuild(graph, edits=edits)) if edits else graph, len(edits))

    def _runs(self, op: Repeat, taken: set[str]) -> Iterator[Op]:
        trips = int(op.trips)
        layers = self._layers(trips)
        cuts = sorted({0, trips, *layers.values()})
        if len(cuts) == 2 and not any(layers.values()):
            return
        ins = op.ins
        for low, high in pairwise(cuts):
            moved = {what for what, n in layers.items() if low < n}
            run = replace(op, ins=ins, trips=sp.Integer(high - low), outs=())
            if moved:
                body = self._offloaded(op, moved, f"{low}-{high}")
                run = replace(run, body=body)
            run = self._named(run, op, fresh_name(op.out.name, taken), high == trips)
            made: Op = run
            if moved and self.overlap:
                made = self._overlapping(run)
            yield made.explained(f"{self.name}: {REASON}") if moved else made
            ins = (*made.outs, *op.ins[len(made.outs) :])

    def _named(self, run: Repeat, old: Repeat, name: str, last: bool) -> Repeat:
        outs = finish(run, name).outs
        return replace(run, outs=old.outs if last else outs)

    def _overlapping(self, run: Repeat) -> Op:
        inputs = tuple(Value(v.name, v.type) for v in run.body.inputs)
        inner = finish(replace(run, ins=inputs, outs=()), f"{run.out.name}.run")
        body = Graph(inputs, (inner,), inner.outs)
        return Overlap(body, run.ins, outs=run.outs, name=run.name)

    # A layer.

    def _offloaded(self, op: Repeat, moved: set[str], layers: str) -> Graph:
        """Return the body with leaves elsewhere and copies in front of what reads them.

        These layers' storages get a name of their own: the others keep theirs.
        """
        places = {"weight": WEIGHTS, "cache": KV}

        def away(leaf: Value) -> TensorType:
            if leaf.storage in op.shared:
                return leaf.type
            place = self.to if places.get(leaf.role) in moved else leaf.place
            return replace(leaf.type, place=place, storage=f"{leaf.storage}@{layers}")

        body = everywhere(retype(op.body, away), self._copied)
        return self._handed_on(body) if ACTIVATIONS in moved else body

    def _copied(self, body: Graph) -> Graph:
        taken = {v.name for v in (*body.inputs, *body.producers)}
        copies: list[Op] = []
        here: dict[Value, Value] = {}
        edits: dict[Op, list[Op]] = {}
        swapped: dict[Value, Value] = {}
        for op in body.ops:
            leaves = [v for v in op.operands if v.place == self.to and v not in body.producers]
            for leaf in leaves:
                if leaf.role == "weight" and leaf not in here:
                    copies.append(self._copy(leaf, op.name, taken, _share(op)))
                    here[leaf] = copies[-1].out
            new = op.with_operands({v: here[v] for v in leaves if v in here})
            if isinstance(new, Append) and new.cache in leaves:
                edits[op], swapped[op.out] = self._written_through(new, taken)
            elif new is not op:
                edits[op] = [new]
        if copies:
            first = body.ops[0]
            edits[first] = [*copies, *edits.get(first, [first])]
        return rebuild(body, edits=edits, swapped=swapped) if edits else body

    def _copy(self, value: Value, reader: str, taken: set[str], share: Expr = sp.S.One) -> Op:
        name = fresh_name(f"{value.name}.copy", taken)
        return finish(Copy(value, MEMORY, share, name=f"{reader}.copy_in"), name)

    def _written_through(self, op: Append, taken: set[str]) -> tuple[list[Op], Value]:
        """Append to a cache elsewhere; what was in it is copied in, and seen with the new rows."""
        b, heads, _, d = op.cache.shape
        old, name = self._copy(op.cache, op.name, taken), op.out.name
        written = finish(replace(op, outs=()), fresh_name(f"{name}.away", taken))
        rows = finish(Reshape(op.x, (b, heads, S, d)), fresh_name(f"{name}.new", taken))
        seen = finish(Join((old.out, rows.out), 2), fresh_name(f"{name}.seen", taken))
        views = [relabel(view, op.kernel) for view in (rows, seen)]
        return [old, replace(written, name=op.name), *views], seen.out

    def _handed_on(self, body: Graph) -> Graph:
        """Send what a trip hands to the next one out and in again."""
        taken = {v.name for v in (*body.inputs, *body.producers)}
        ops, outputs = list(body.ops), []
        for value in body.outputs:
            out = finish(
                Copy(value, self.to, name="hidden.copy_out"), fresh_name(f"{value.name}.out", taken)
            )
            back = self._copy(out.out, "hidden", taken)
            ops += [out, back]
            outputs.append(back.out)
        return replace(body, ops=tuple(ops), outputs=tuple(outputs))


def _is_run(op: Op) -> bool:
    return isinstance(op, Repeat) and bool(op.trips.is_Integer) and B not in op.trips.free_symbols


def _share(op: Op) -> Expr:
    """Return the share of a weight that an op needs in a step."""
    return op.share if isinstance(op, Dequantize) else op.weights_read()

"""What an encoder leaves for a decoder: keys and values for each layer that attends to it."""

from __future__ import annotations

from mansard.frontends.hf.lower.cross import cross_of, kept
from mansard.frontends.hf.lower.layer import LAYERS
from mansard.frontends.hf.lower.runs import Run, runs
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.lower.stack import rolled
from mansard.frontends.hf.mixers import Cross
from mansard.ir.builder import Builder
from mansard.ir.value import Value


def remembered(reader: Scope, memory: Value) -> None:
    """Append what each layer of ``reader`` reads of a memory ``[T, width]``."""
    reads = [cross_of(layer) for layer in reader.arch.layers]
    for run in runs(reads):
        memory = _run(reader, memory, run, reads[run.first : run.first + run.period])


def _run(reader: Scope, memory: Value, run: Run, reads: list[Cross | None]) -> Value:
    def fill(build: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        for k, read in enumerate(reads):
            if read is not None:
                kept(Scope(reader.arch, build, LAYERS, run.index(k)), given[0], read)
        return given

    if run.trips == 1:
        return fill(reader.build, (memory,))[0]
    return rolled(reader, run.trips, (memory,), fill, "memory") if any(reads) else memory

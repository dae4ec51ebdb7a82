"""Chunked prefill: the prompt in pieces, so that decoding sequences need not wait for all of it."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, R, Symbol, T, ceil_div, symbol
from mansard.ir.program import Call, Loop, Program, Step
from mansard.passes.options import option
from mansard.passes.schedules import is_prefill, replace_steps, resized, sizes, without_logits
from mansard.passes.technique import Outcome, Pass

CHUNK: Symbol = symbol("chunk", "count")


@dataclass(frozen=True)
class ChunkPrefill(Pass):
    """Prefill ``size`` tokens of each prompt a step; only the last chunk yields logits.

    Weights are read once a chunk instead of once, ``N/C`` times, and a chunk's queries read the
    keys of all chunks before it, ``(N/2)·(N/C - 1)`` keys more; the pairs computed are the same.
    ``decoding`` sequences may ride along, one token each, over ``context`` cached tokens: the step
    is ragged, weights are read once for all ``T = C·b + d`` tokens, and what a rider costs is the
    difference to the step without it.
    """

    name = "chunk-prefill"
    example = "size=64"
    removes = "masked pairs of whole rectangles, of keys later than a chunk's own"
    noun = "prefill"
    source = "[Agrawal 2023, §4]"
    assumes = ("every prompt of the batch is chunked alike", "a rider's context does not grow")
    omits = ("the tokens that riders make: they belong to other requests",)

    size: int = option(512, "tokens of each prompt a step", least=1, unit="tokens")
    decoding: int = option(0, "sequences that decode one token in every chunk's step", least=0)
    context: int = option(1024, "tokens each of them has cached", least=1, unit="tokens")

    def run(self, program: Program) -> Outcome:
        """Replace each prefill call by a loop over chunks and the last one."""

        def change(step: Step, phase: str) -> tuple[Step, ...] | None:
            if not is_prefill(step, phase, self.on):
                return None
            b, new, past = sizes(step)
            whole = ceil_div(new, sp.Integer(self.size)) - 1
            chunk = resized(step, b, self.size, past + self.size * CHUNK)
            chunk = replace(chunk, wants=without_logits(program.graph(step.graph)))
            done = self.size * whole
            last = resized(step, b, new - done, past + done)
            rows = b if "logits" in step.wants else sp.S.Zero
            return (
                Loop((self._with_decoding(chunk, sp.S.Zero),), whole, CHUNK, phase=phase),
                self._with_decoding(last, rows),
            )

        program.graph(self.on)
        made, found = replace_steps(program, change)
        if not found:
            return Outcome(program, 0, notes=self.nothing(0))
        riders = f", {self.decoding} sequences decoding beside them" if self.decoding else ""
        return Outcome(made, found, f"chunks of {self.size} tokens{riders}")

    def _with_decoding(self, call: Call, rows: Expr) -> Call:
        """Add the decoding sequences to a chunk's step."""
        if not self.decoding:
            return call
        b, new, past = sizes(call)
        d = sp.Integer(self.decoding)
        bind = {**call.bind, B: b + d, T: b * new + d, R: rows + d}
        groups = ((b, new, past), (d, sp.S.One, sp.Integer(self.context)))
        return replace(call, bind=bind, groups=groups, wants=("logits",))

"""Lookahead decoding: many guesses a step, made and checked by the model itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mansard as ms
from mansard.ir.program import Loop, Step
from mansard.passes.schedules import replace_steps, resized, single_decode, sizes
from mansard.passes.written_numbers import exact


@dataclass(frozen=True)
class LookaheadDecode(ms.Pass):
    """Decode ``(window + guesses)·(ngram - 1)`` positions a step, accepting ``accepted`` of them.

    A step guesses ``window`` n-grams by Jacobi iteration and checks ``guesses`` found before, all
    in one call: weights are read once for all positions, and there are ``accepted`` times fewer
    steps. Nothing else proposes, so no draft is resident [Fu 2024, §3]. With ``guesses=0``,
    ``ngram=2`` it is Jacobi decoding of ``window`` tokens [Santilli 2023].
    """

    name = "lookahead-decode"
    noun = "loop"
    source = "[Fu 2024, §3; Santilli 2023]"
    example = "window=5 guesses=5 ngram=3"
    identity = "window=1 guesses=0 ngram=2 accepted=1"
    removes = "what a step repeats however many tokens it makes, as expanding cached latents"
    assumes = (
        "every step accepts the expected number of tokens",
        "positions attend as a chain does: a few pairs more than the mask of lookahead has",
    )
    omits = ("the pool of n-grams, which lies with the host",)

    window: int = ms.option(15, "n-grams guessed a step", least=1)
    guesses: int = ms.option(15, "n-grams checked a step", least=0)
    ngram: int = ms.option(5, "tokens of an n-gram", least=2)
    accepted: float = ms.option(2.0, "tokens a step yields, measured 1.9-2.1 [Zhou 2024, tbl. 5]",
                                least=1)  # fmt: skip

    def run(self, program: ms.Program) -> ms.Outcome:
        """Widen the steps of the decode loop, and take fewer."""
        n = (self.window + self.guesses) * (self.ngram - 1)
        if n == 1 and self.accepted == 1:
            return ms.Outcome(program, 0)
        program.graph(self.on)
        tokens = exact(self.accepted)

        def widened(step: Step, phase: str) -> tuple[Step, ...] | None:
            call = single_decode(step, self.on)
            if call is None or phase != "decode" or not isinstance(step, Loop) or not step.index:
                return None
            b, _, past = sizes(call)
            past = past.xreplace({step.index: step.index * tokens})
            wide = resized(call, b, n, past, rows=b * n)
            times, yields = step.times / tokens, step.yields * tokens
            return (replace(step, steps=(wide,), times=times, yields=yields),)

        made, found = replace_steps(program, widened)
        said = f"{n} positions a step for {self.accepted:g} tokens"
        taken = f"a step is taken to yield {self.accepted:g} tokens (accepted=)"
        rests = ms.Note("M141", f"{self.name}: {taken}; 1.9-2.1 are measured [Zhou 2024, tbl. 5]")
        return ms.Outcome(made, found, said if found else "", self.nothing(found) or (rests,))

"""Several answers to each prompt: parallel sampling, self-consistency, best of n."""

from __future__ import annotations

from dataclasses import dataclass

import mansard as ms
from mansard.ir.program import Call, Loop, Step
from mansard.passes.schedules import each_call, replace_steps, resized, sizes


@dataclass(frozen=True)
class SampleAnswers(ms.Pass):
    """Decode ``answers`` sequences for each prompt, which is read once.

    Every decode step has ``answers·B`` sequences: weights are read once for all of them, caches
    for each. Throughput counts one answer a prompt, the one that is kept [Wang 2022].
    """

    name = "sample-answers"
    noun = "loop"
    source = "[Wang 2022; Kwon 2023, §4.4]"
    example = "answers=4"
    identity = "answers=1"
    assumes = ("answers are equally long", "each has a copy of the prompt's cache")
    omits = ("choosing among answers", "a prompt's cache that answers store once")

    answers: int = ms.option(1, "sequences that continue each prompt", least=1)

    def run(self, program: ms.Program) -> ms.Outcome:
        """Widen the decode loops."""
        if self.answers == 1:
            return ms.Outcome(program, 0)
        program.graph(self.on)

        def widened(step: Step, phase: str) -> tuple[Step, ...] | None:
            if phase != "decode" or not isinstance(step, Loop):
                return None

            def wide(call: Call) -> Call:
                b, new, past = sizes(call)
                return resized(call, b * self.answers, new, past)

            return (each_call(step, wide),)

        made, found = replace_steps(program, widened)
        said = f"{self.answers} answers to each prompt"
        return ms.Outcome(made, found, said if found else "", self.nothing(found))

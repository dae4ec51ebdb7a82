"""Branches: an outline first, then its points side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.symbols import least, output, prompt, symbol
from mansard.ir.program import Call, Loop, Step
from mansard.passes.schedules import replace_steps, resized, single_decode, sizes

POINT = symbol("point", "count")


@dataclass(frozen=True)
class BranchDecode(ms.Pass):
    """Write ``skeleton`` tokens one by one, the rest as ``branches`` sequences at a time.

    ``output`` tokens take ``skeleton + (output - skeleton)/branches`` steps instead of ``output``;
    those of the branches decode ``branches·B`` sequences. Each branch reads the prompt and the
    outline again, as separate requests do (skeleton-of-thought), or finds both in the cache it was
    forked from (APAR, SGLang), which is then counted for each of them.
    """

    name = "branch-decode"
    noun = "loop"
    source = "[Ning 2023; Liu 2024 APAR; Zhou 2024, §4.2]"
    example = "skeleton=3 branches=3"
    identity = "branches=1"
    removes = "attention of a branch to the others"
    assumes = ("branches are equally long", "the outline says how many there are")
    omits = ("answers that have no outline", "a prefix that branches store once")

    skeleton: int = ms.option(32, "tokens of the outline", least=1, unit="tokens")
    branches: int = ms.option(4, "points written side by side", least=1)
    fork: bool = ms.option(False, "branches continue on copies of the cache, reading nothing again")

    def run(self, program: ms.Program) -> ms.Outcome:
        """Split the decode loop in two."""
        if self.branches == 1:
            return ms.Outcome(program, 0)
        program.graph(self.on)

        def split(step: Step, phase: str) -> tuple[Step, ...] | None:
            call = single_decode(step, self.on)
            if call is None or phase != "decode" or not isinstance(step, Loop):
                return None
            return self._split(step, call)

        made, found = replace_steps(program, split)
        said = f"{self.skeleton} tokens, then {self.branches} sequences side by side"
        return ms.Outcome(made, found, said if found else "", self.nothing(found))

    def _split(self, step: Loop, call: Call) -> tuple[Step, ...]:
        """Return the outline's loop, what branches read again, and theirs."""
        many = sizes(call)[0] * self.branches
        first = least(sp.Integer(self.skeleton), output)
        outline = replace(step, times=first - 1, phase="decode")
        each = (output - first) / sp.Integer(self.branches)
        told = prompt + first
        tokens = sp.Integer(self.branches)
        if self.fork:  # the last token of the outline is not in the cache yet
            writing = resized(call, many, 1, told - 1 + POINT)
            return outline, Loop((writing,), each, POINT, yields=tokens, phase="decode")
        begun = least(each, sp.S.One)  # reading makes the first token of each point
        again = Loop((resized(call, many, told, 0),), begun, yields=tokens, phase="decode")
        writing = resized(call, many, 1, told + POINT)
        rest = Loop((writing,), each - begun, POINT, yields=tokens, phase="decode")
        return outline, again, rest

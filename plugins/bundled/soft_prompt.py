"""Soft prompts: a few learned vectors in the place of many tokens."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

import mansard as ms
from mansard.core.symbols import batch, prompt
from mansard.ir.program import Call, binding
from mansard.passes.schedules import without_logits
from mansard.plugins.bundled.prompts import before_prefill, with_prompt


@dataclass(frozen=True)
class SoftPrompt(ms.Pass):
    """Let ``tokens`` vectors stand for the first ``prefix`` tokens: ``N - prefix + tokens`` remain.

    Made beforehand they cost nothing (gist tokens of an instruction); ``online`` they are made of
    each prompt: the model itself, with adapters that are small beside it, reads the prefix and the
    slots once (ICAE, AutoCompressors).
    """

    name = "soft-prompt"
    noun = "prompt"
    source = "[Mu 2023; Ge 2023; Zhou 2024, §4.1.3]"
    example = "prefix=64 tokens=4"
    identity = "prefix=0"
    removes = "the prefill of the tokens that vectors stand for"
    assumes = ("every prompt has the prefix", "adapters of an encoder are small beside it")
    omits = ("what the model forgets of the prefix",)

    prefix: int = ms.option(0, "tokens of each prompt that vectors stand for", least=0,
                            unit="tokens")  # fmt: skip
    tokens: int = ms.option(1, "vectors that stand for them", least=1)
    online: bool = ms.option(False, "made when the prompt comes, by a pass over the prefix")

    def run(self, program: ms.Program) -> ms.Outcome:
        """Shorten the prompt, and encode the prefix where that is done online."""
        if not self.prefix:
            return ms.Outcome(program, 0)
        made = with_prompt(program, prompt - self.prefix + self.tokens)
        if self.online:
            read = binding(batch, sp.Integer(self.prefix + self.tokens), 0)
            wants = without_logits(program.graph(self.on))
            made = before_prefill(made, (Call(self.on, read, wants, phase="prefill"),))
        said = f"{self.tokens} vectors for {self.prefix} tokens of each prompt"
        return ms.Outcome(made, 1, said)

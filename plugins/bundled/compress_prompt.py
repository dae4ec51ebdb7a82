"""Prompt compression: a smaller model decides which tokens of a prompt the target reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import mansard as ms
from mansard.core.symbols import Expr, batch, ceil_div, prompt, symbol
from mansard.ir.program import Call, Loop, Step, binding
from mansard.passes.schedules import without_logits
from mansard.passes.written_numbers import exact
from mansard.plugins.bundled.prompts import before_prefill, with_guest, with_prompt

NONE, COMPRESSOR = "none", "compressor"
STEP = symbol("summary", "count")


@dataclass(frozen=True)
class CompressPrompt(ms.Pass):
    """Read ``⌈N/ratio⌉`` tokens in place of a prompt of ``N``, after a compressor read all of them.

    The target's prefill, its cache and every decode step have the shorter prompt. The compressor
    runs once over ``N``, ``2·P_c·N`` FLOP and its weights, before the first token; one that writes
    a summary generates the ``⌈N/ratio⌉`` tokens one by one as well. It pays when what prefill and
    decoding save is more than what it takes.
    """

    name = "compress-prompt"
    noun = "prompt"
    source = "[Jiang 2023 LLMLingua; Zhou 2024, §4.1]"
    example = "ratio=4"
    identity = "ratio=1"
    removes = "the prefill of tokens that are dropped"
    assumes = ("every prompt of the batch is compressed alike",)
    omits = ("what dropped tokens do to the model's answers", "tokenizing the prompt again")

    ratio: float = ms.option(2.0, "tokens of the prompt for each one kept", least=1)
    compressor: str | ms.Program = ms.option(
        NONE, "the model that compresses; none where that costs nothing", choices=(NONE,),
        program=True,
    )  # fmt: skip
    summary: bool = ms.option(False, "it generates a summary, token by token")

    COMPRESSOR: ClassVar[str] = COMPRESSOR

    @property
    def kept(self) -> Expr:
        """Tokens the target reads."""
        ratio = exact(self.ratio)
        return ceil_div(prompt * ratio.q, ratio.p)

    def run(self, program: ms.Program) -> ms.Outcome:
        """Shorten the prompt, and put the compressor in front."""
        if self.ratio == 1 and isinstance(self.compressor, str):
            return ms.Outcome(program, 0)
        made = program if self.ratio == 1 else with_prompt(program, self.kept)
        said = f"prompts {self.ratio:g} times as short"
        if isinstance(self.compressor, ms.Program):
            made = with_guest(made, self.compressor, COMPRESSOR)
            made = before_prefill(made, tuple(self._compressing(made)))
            said += f", compressed by {self.compressor.origin.name or 'a model'}"
        return ms.Outcome(made, 1, said)

    def _compressing(self, program: ms.Program) -> list[Step]:
        read = Call(COMPRESSOR, binding(batch, prompt, 0), phase="prefill")
        if not self.summary:
            return [replace(read, wants=without_logits(program.graph(COMPRESSOR)))]
        write = Call(COMPRESSOR, binding(batch, 1, prompt + STEP), phase="prefill")
        return [read, Loop((write,), self.kept - 1, STEP, phase="prefill")]

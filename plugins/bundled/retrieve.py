"""Retrieval: passages that a search finds are read before the question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.symbols import B, Expr, batch, ceil_div, output, prompt, symbol
from mansard.ir.ops import Linear
from mansard.ir.program import Call, Loop, Step, Wait, binding
from mansard.plugins.bundled.prompts import before_prefill, with_prompt

SEARCH = "search"
ROUND = symbol("round", "count")


@dataclass(frozen=True)
class Retrieve(ms.Pass):
    """Put ``chunks`` passages of ``size`` tokens before each question: ``N + chunks·size`` tokens.

    The search reads an index of ``documents`` vectors of ``width`` numbers once for the batch,
    ``2·B·documents·width`` FLOP, where it is exact; ``latency`` is the time of any other, or of
    what surrounds it. With ``every`` the model asks again after each so many tokens and reads
    everything anew, ``N + chunks·size`` tokens and what it wrote so far (FLARE).
    """

    name = "retrieve"
    noun = "prompt"
    source = "[Lewis 2020; Jiang 2023 FLARE; Zhou 2024, §4.1.4]"
    example = "chunks=2 size=64 documents=10000"
    identity = "chunks=0"
    assumes = ("every question gets as many passages", "the prompt is the question alone")
    omits = ("embedding the question", "picking the nearest vectors of all scores")

    chunks: int = ms.option(4, "passages of each question", least=0)
    size: int = ms.option(256, "tokens of a passage", least=1, unit="tokens")
    documents: int = ms.option(0, "vectors of an index searched exactly; 0: none is", least=0)
    width: int = ms.option(1024, "numbers of a vector", least=1)
    latency: float = ms.option(0.0, "time of a search besides", least=0, unit="time")
    every: int = ms.option(0, "tokens after which it searches again; 0: never", least=0,
                           unit="tokens")  # fmt: skip

    @property
    def read(self) -> Expr:
        """Tokens of a prompt with its passages."""
        return prompt + self.chunks * self.size

    def run(self, program: ms.Program) -> ms.Outcome:
        """Lengthen the prompt, and search in front of it."""
        if not self.chunks:
            return ms.Outcome(program, 0)
        program.graph(self.on)
        made = with_prompt(program, self.read)
        if self.documents:
            made = made.with_graph(SEARCH, self._search())
        made = before_prefill(made, tuple(self._searching("prefill")))
        said = f"{self.chunks} passages of {self.size} tokens before each prompt"
        if self.every:
            again = ceil_div(output - 1, sp.Integer(self.every)) - 1
            anew = binding(batch, self.read + self.every * ROUND, 0)
            steps = (*self._searching("decode"), Call(self.on, anew, phase="decode"))
            loop = Loop(steps, again, ROUND, start=sp.S.One, phase="decode")
            made = replace(made, schedule=(*made.schedule, loop))
            said += f", and again every {self.every} tokens"
        return ms.Outcome(made, 1, said)

    def _search(self) -> ms.Graph:
        b = ms.Builder()
        asked = b.input("question", B, self.width)
        index = b.leaf("search/index", self.documents, self.width, role="table")
        return b.done(b(Linear(asked, index), "search.scores"))

    def _searching(self, phase: str) -> Iterator[Step]:
        if self.documents:
            yield Call(SEARCH, binding(batch, 1, 0), ("search.scores",), phase=phase)
        if self.latency:
            yield Wait(sp.Float(self.latency), name="retrieval", phase=phase)

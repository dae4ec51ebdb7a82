"""Routing: a prompt goes to the small model or to the large one, never to both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mansard as ms
from mansard.passes.written_numbers import exact
from mansard.plugins.bundled.cascade import SMALL, asked, loaded, with_share
from mansard.plugins.bundled.prompts import with_guest


@dataclass(frozen=True)
class Route(ms.Pass):
    """Send a share ``away`` of the prompts to ``small``: ``E = away·cost_small + (1-away)·cost``.

    Both models are resident. What decides is a classifier, small beside either.
    """

    name = "route"
    noun = "answer"
    source = "[Ong 2024; Zhou 2024, §4.3]"
    example = "small=gpt2 away=0.5"
    removes = "the model's own answers to prompts that go to the small one"
    assumes = ("both models write answers of the same length", "deciding costs nothing")
    omits = ("batches that fall apart: each model runs whole batches",)

    small: str | ms.Program = ms.option("gpt2", "the model that gets the easy ones", program=True)
    away: float = ms.option(0.5, "share of the prompts that go to it", least=0, most=1)

    def run(self, program: ms.Program) -> ms.Outcome:
        """Run each model's steps with its share as probability."""
        small = loaded(self.small, self.name)
        made = with_guest(program, small, SMALL)
        share = exact(self.away)
        other = replace(made, schedule=asked(made, self.on, SMALL, self.name))
        steps = (*with_share(other, share), *with_share(program, 1 - share))
        said = f"{self.away:.0%} of the prompts go to {small.origin.name or 'the small model'}"
        return ms.Outcome(replace(made, schedule=steps), 1, said)

"""One replica at every batch: what it serves in the steady state, and what its users see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mansard.backends.engine.rowwise import CHUNK
from mansard.backends.expected import expected_phases
from mansard.core.errors import SpecError
from mansard.query import tables
from mansard.query.calibration import CALIBRATED
from mansard.query.planning.layouts import Layout
from mansard.query.solving.question import MOST_LENGTHS, Question
from mansard.query.study import Study

FIGURES = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user", "memory", "capacity")
BANDS = ("ttft_low", "ttft_high", "tpot_low", "tpot_high")
"""What a calibrated estimate has beside."""
STEADY = "batch-continuously"
APART, TRANSFER = "disaggregate", "transfer"


@dataclass(frozen=True, eq=False)
class Replica:
    """A model on the devices of one layout.

    Args:
        study: the question on one device, with the user's techniques alone.
        layout: how the devices share the model.
        variant: further techniques, as pipeline text.
        named: the question as it was asked, its model by name.
    """

    study: Study
    layout: Layout
    variant: str
    named: Study

    @cached_property
    def batches(self) -> np.ndarray:
        """Every batch that is tried, of the replica."""
        step = self.layout.dp
        return np.arange(step, CHUNK * step + 1, step, dtype=float)

    @cached_property
    def steady(self) -> Mapping[str, np.ndarray]:
        """Figures at each batch with prompts admitted as others end."""
        admitted = f"{STEADY}{{admitted={self.layout.dp}}}"
        return self._figures(admitted, self.layout.pipeline)

    @cached_property
    def static(self) -> Mapping[str, np.ndarray]:
        """Figures at each batch when every sequence is prefilled, then all are decoded."""
        return self._figures(self.layout.pipeline)

    @cached_property
    def transfer_s(self) -> float:
        """Time to hand one prompt's cache to another replica, expected over prompts [s].

        Raises:
            SpecError: the model keeps no cache, no link is known, or prompts are too many.
        """
        named = self._asked(2 * self.layout.devices, self.layout.pipeline, APART, of=self.named)
        sizes = (self.layout.dp, named.scenario.prompt, named.scenario.output)
        return tables.number(named, (TRANSFER, *sizes), self._transfer_s)

    def _transfer_s(self) -> float:
        asked = self._asked(2 * self.layout.devices, self.layout.pipeline, APART)
        ready, sizes = asked.prepared, Question(asked).sizes
        prompts: dict[float, float] = {}
        for each, weight in Question(asked).each:
            prompts[each["prompt"]] = prompts.get(each["prompt"], 0.0) + weight
        if len(prompts) > MOST_LENGTHS:
            raise SpecError(f"{len(prompts):,} prompts are too many to hand over one by one",
                            hint="round them to fewer")  # fmt: skip
        one = {"batch": float(self.layout.dp), "output": sizes["output"]}
        lengths = [({**one, "prompt": prompt}, weight) for prompt, weight in prompts.items()]
        found = expected_phases(ready.program, ready.cluster, lengths, (TRANSFER,))
        if TRANSFER not in found:
            raise SpecError("nothing is handed over", hint="the model keeps no cache")
        bound_s = found[TRANSFER].total_s
        if self.study.kind != CALIBRATED:
            return bound_s
        from mansard.backends.calibrated.pricing import UNMEASURED

        return bound_s * UNMEASURED

    def _asked(self, devices: int, *pipelines: str, of: Study | None = None) -> Study:
        study = of or self.study
        on = f"{study.on}:{devices}" if devices > 1 else study.on
        more = tuple(text for text in (self.variant, *pipelines) if text)
        return replace(study, on=on, techniques=(*study.techniques, *more))

    def _figures(self, *pipelines: str) -> Mapping[str, np.ndarray]:
        asked = self._asked(self.layout.devices, *pipelines)
        lengths = float(asked.scenario.prompt), float(asked.scenario.output)
        named = self._asked(self.layout.devices, *pipelines, of=self.named)
        if (table := tables.recall(named)) is not None:
            return table.figures(self.batches, *lengths, names=FIGURES)
        engine, calibrated = Question(asked).engine, asked.kind == CALIBRATED
        if calibrated and engine.method != "compiled":
            raise SpecError("its calibrated estimate is evaluated step by step",
                            hint="plan with the bound")  # fmt: skip
        names = (*FIGURES, *BANDS) if calibrated else FIGURES
        found = engine.figures(self.batches, *lengths, names)
        tables.keep(named, engine, asked.prepared)
        return {name: np.asarray(values) for name, values in found.items()}

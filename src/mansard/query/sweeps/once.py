"""Points of models that are called once: their totals, and the prompt they read where none is said.

A model without prefill and decode has no time to a first token nor between tokens. Its latency is
the total of its phases, and its throughput the batch over that, of what it makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mansard.core.records import dataclass
from mansard.ir.program import Program

if TYPE_CHECKING:
    from mansard.backends.cluster import Cluster
    from mansard.query.engines import Engine
    from mansard.query.lengths import Averaged
    from mansard.query.sweeps.fields import OneByOne

TOTALS = ("latency", "throughput")


@dataclass(frozen=True)
class Once:
    """An engine of a model that is called once.

    Args:
        engine: of the program.
        most: the prompt it reads where none was said; None where the prompt is as it was asked.
        generates: whether it makes tokens, so that its own figures are what users steer by.
    """

    engine: Engine | OneByOne | Averaged
    most: int | None
    generates: bool

    @property
    def cluster(self) -> Cluster:
        """The devices."""
        return self.engine.cluster

    @property
    def method(self) -> str:
        """How its engine evaluates."""
        return self.engine.method

    def figures(
        self, batch: Any, prompt: Any, output: Any, names: Sequence[str], *fields: Any
    ) -> dict[str, Any]:
        """Return each figure at every point."""
        prompt = prompt if self.most is None else np.minimum(prompt, self.most)
        totals = [] if self.generates else [name for name in TOTALS if name in names]
        asked = dict.fromkeys((*names, "total")) if totals else names
        found: Mapping[str, Any] = cast(Any, self.engine).figures(
            batch, prompt, output, tuple(asked), *fields
        )
        values = {name: found[name] for name in names}
        for name in totals:
            total = found["total"]
            values[name] = total if name == "latency" else np.asarray(batch, float) / total
        return values

    def grid(self, axes: object, names: Sequence[str], *, fast: bool = False) -> None:
        """Return nothing: its points are evaluated as lists."""


def priced(engine: object, price: float | None) -> float | None:
    """Return the price of a device and hour; None where a model makes no tokens to pay for."""
    return None if isinstance(engine, Once) and not engine.generates else price


def generates(program: Program) -> bool:
    """Say whether a program makes tokens one by one."""
    return bool({"prefill", "decode"} & set(_phases(program.schedule)))


def _phases(steps: Iterable[Any]) -> Iterator[str]:
    """Yield the phases of steps, those that run side by side too."""
    for step in steps:
        yield getattr(step, "phase", "")
        yield from _phases(getattr(step, "steps", ()))

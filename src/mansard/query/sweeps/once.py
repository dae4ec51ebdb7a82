"""Points of models that are called once: the prompt they read where none is said, no tokens."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.backends.cluster import Cluster
    from mansard.query.engines import Engine
    from mansard.query.lengths import Averaged
    from mansard.query.sweeps.fields import OneByOne

TOKENS = "tokens"


@dataclass(frozen=True)
class Once:
    """An engine of a model that is called once.

    Args:
        engine: of the program.
        most: the prompt it reads where none was said; None where the prompt is as it was asked.
        makes: what its throughput counts.
        sizes: of batch, prompt and output those it has.
    """

    engine: Engine | OneByOne | Averaged
    most: int | None
    makes: str
    sizes: Set[str]

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
        found: dict[str, Any] = cast(Any, self.engine).figures(
            batch, prompt, output, tuple(names), *fields
        )
        return found

    def grid(self, axes: object, names: Sequence[str], *, fast: bool = False) -> None:
        """Return nothing: its points are evaluated as lists."""


def made_by(engine: object) -> str:
    """Return what throughput counts."""
    return engine.makes if isinstance(engine, Once) else TOKENS


def makes_tokens(engine: object) -> bool:
    """Say whether there are tokens to pay for."""
    return made_by(engine) == TOKENS

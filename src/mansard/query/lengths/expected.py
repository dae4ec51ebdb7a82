"""Figures that are expectations over lengths, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mansard.backends.estimate import Metrics
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query.lengths.mix import Mix

if TYPE_CHECKING:
    from mansard.backends.cluster import Cluster
    from mansard.backends.engine.compiled import Compiled
    from mansard.backends.engine.stepwise import Stepwise


@dataclass(frozen=True)
class Averaged:
    """An engine whose figures are expectations over lengths, whatever lengths it is given.

    Args:
        engine: of one length at a time.
        mix: the lengths.
    """

    engine: Compiled | Stepwise
    mix: Mix

    @property
    def cluster(self) -> Cluster:
        """The devices."""
        return self.engine.cluster

    def figures(self, batch: Any, prompt: Any, output: Any, names: Sequence[str]) -> dict[str, Any]:
        """Return the expectation of each figure, one a batch size."""
        return self.mix.expected(self.engine, batch, tuple(names))

    def grid(self, axes: object, names: Sequence[str], *, fast: bool = False) -> None:
        """Return nothing: expectations are taken of lists."""


def metrics_of(
    engine: Compiled | Stepwise, mix: Mix, batch: int
) -> tuple[Metrics, float]:  # fmt: skip
    """Return the expectation of the metrics, and the expected tokens of a request."""
    names = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user")
    found = mix.expected(engine, batch, names)
    known = {n: None if v[0] != v[0] else float(v[0]) for n, v in found.items()}
    tokens = math.fsum(n * w for n, w in zip(mix.outputs, mix.weights, strict=True))
    return Metrics(
        ttft_s=known["ttft"], tpot_s=known["tpot"], latency_s=known["latency"],
        throughput_tok_s=known["throughput"],
        tokens_per_s_per_user=known["tokens_per_s_per_user"],
    ), tokens  # fmt: skip


def expectations(mix: Mix) -> Note:
    """Return the note of figures that are expectations over lengths."""
    words = f"{mix.text}: metrics are expectations over {len(mix.weights):,} lengths"
    return Note("M073", f"{words}, each batch of one length")


def said(mix: Mix, max_context: int | None) -> Note:
    """Return the note of an answer over lengths, whose rows are of the mean ones."""
    p, n = mix.mean
    words = f"{expectations(mix).message}; rows and memory are those of {p:,} and {n:,} tokens"
    beyond = mix.beyond(max_context) if max_context else 0.0
    if beyond > 0.001 and max_context:
        words += f"; {beyond:.1%} of requests are longer than the model's {max_context:,}"
    return Note("M073", words)

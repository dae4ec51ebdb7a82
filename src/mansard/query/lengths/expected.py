"""Figures that are expectations over lengths, and what is said of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mansard.backends.estimate import Memory, Metrics
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query.beside import FIGURES_BESIDE, METRICS_BESIDE
from mansard.query.lengths.mix import Mix
from mansard.query.metrics import METRICS

if TYPE_CHECKING:
    from mansard.backends.cluster import Cluster
    from mansard.backends.hardware import Hardware
    from mansard.query.engines import Engine


@dataclass(frozen=True)
class Averaged:
    """An engine whose figures are expectations over lengths, whatever lengths it is given.

    Args:
        engine: of one length at a time.
        mix: the lengths.
    """

    engine: Engine
    mix: Mix

    @property
    def cluster(self) -> Cluster:
        """The devices."""
        return self.engine.cluster

    def figures(self, batch: Any, prompt: Any, output: Any, names: Sequence[str]) -> dict[str, Any]:
        """Return the expectation of each figure, one a point; a size that is spread is its own."""
        return self.mix.expected(self.engine, batch, tuple(names), prompt, output)

    def on(self, cluster: Hardware | Cluster) -> Averaged:
        """Return the same on other hardware."""
        return Averaged(self.engine.on(cluster), self.mix)

    @property
    def method(self) -> str:
        """How its engine evaluates."""
        return self.engine.method

    def grid(self, axes: object, names: Sequence[str], *, fast: bool = False) -> None:
        """Return nothing: expectations are taken of lists."""


ROWS = r"; rows are those of [0-9,]+ and [0-9,]+ tokens"
"""What is said of rows that are of the mean lengths."""
TIMES = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user")
HELD = ("weights", "kv_cache", "activations")


def metrics_of(
    engine: Engine, mix: Mix, batch: int, memory: Memory
) -> tuple[Metrics, float, Memory]:
    """Return the expectation of the metrics, of a request's tokens, and of the memory.

    Pools of devices keep the memory of the mean lengths, which ``memory`` is.
    """
    found = mix.expected(engine, batch, (*TIMES, *HELD))
    known = {n: None if v[0] != v[0] else float(v[0]) for n, v in found.items()}
    metrics = Metrics(
        ttft_s=known["ttft"], tpot_s=known["tpot"], latency_s=known["latency"],
        throughput_tok_s=known["throughput"],
        tokens_per_s_per_user=known["tokens_per_s_per_user"],
    )  # fmt: skip
    if not memory.pools:
        weights, cached, alive = (float(found[name][0]) for name in HELD)
        memory = replace(memory, weights=weights, kv_cache=cached, activations=alive)
    return metrics, mix.means[1], memory


def beside_of(engine: Engine, mix: Mix, batch: int) -> dict[str, dict[str, float]]:
    """Return, of each metric there is, the expectation with its bound and its band.

    The keys are JSON names, their values ``value ideal low high``.
    """
    found = mix.expected(engine, batch, (*METRICS_BESIDE, *FIGURES_BESIDE))
    known = {
        METRICS[name].field: {
            part: float(found[f"{name}_{part}" if part != "value" else name][0])
            for part in ("value", "ideal", "low", "high")
        }
        for name in METRICS_BESIDE
    }
    return {name: values for name, values in known.items() if values["value"] == values["value"]}


def expectations(mix: Mix) -> Note:
    """Return the note of figures that are expectations over lengths."""
    words = f"{mix.text}: metrics are expectations over {len(mix.weights):,} lengths"
    return Note("M073", f"{words}, each batch of one length")


def said(mix: Mix, max_context: int | None, *, mean_rows: bool = True) -> Note:
    """Return the note of an answer over lengths; rows are of the mean ones, or expectations too."""
    p, n = mix.mean
    words = expectations(mix).message
    if mean_rows:
        words += f"; rows are those of {p:,} and {n:,} tokens"
    beyond = mix.beyond(max_context) if max_context else 0.0
    if beyond > 0.001 and max_context:
        words += f"; {beyond:.1%} of requests are longer than the model's {max_context:,}"
    return Note("M073", words)


def of_the_whole(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Return notes of an answer that shows no rows of the mean lengths, without what is of them."""
    return tuple(
        replace(n, message=re.sub(ROWS, "", n.message)) if n.code == "M073" else n for n in notes
    )


def is_expected(notes: Iterable[Note]) -> bool:
    """Say whether figures that carry such notes are expectations."""
    return any(note.code == "M073" for note in notes)

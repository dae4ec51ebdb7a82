"""What a peer is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from harness.shapes import Shape
from peer.agreement import Agreement


class Peer(Protocol):
    """Another predictor, loaded into this process.

    Attributes:
        name: as lines have it.
        folder: its checkout.
        limits: how many times as fast as it mansard must be, by what is asked.
    """

    name: str
    folder: Path
    limits: Mapping[str, float]

    def refuses(self, shape: Shape) -> str:
        """Return why it cannot be asked about a shape; "" where it can."""

    def asks(self, shape: Shape) -> Shape:
        """Return what both are asked instead of a shape, where it knows less."""

    def point(self, shape: Shape) -> Callable[[], object]:
        """Return what answers one question: 16 sequences of 8192 tokens, a prefill and a step."""

    def generation(self, shape: Shape) -> Callable[[], object] | None:
        """Return what totals 1024 generated tokens; None where nothing does."""

    def tpot(self, shape: Shape, prompt: int) -> Callable[[int], float]:
        """Return the time of the step after a prompt as a function of the batch [s]."""

    def cold(self, shape: Shape, scratch: Path) -> list[str] | str:
        """Return the command of a whole process, run in its folder; why there is none."""

    def agreements(self, shape: Shape) -> Iterator[Agreement]:
        """Yield its figures beside ours."""

    def times(self, shape: Shape) -> dict[str, tuple[float, float]]:
        """Return its time and ours by phase [s]."""

"""Lowerings: one function per operator, which appends ops and says what its results are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mansard.core.records import dataclass
from mansard.frontends.onnx.graph import Node

if TYPE_CHECKING:
    from mansard.frontends.onnx.lower.scope import Scope

Lowering = Callable[["Scope", Node], None]
F = TypeVar("F", bound=Lowering)


@dataclass(frozen=True)
class Entry:
    """A lowering and the inputs whose elements it uses: the first ``reads``, or all."""

    lower: Lowering
    reads: int | None = None


ENTRIES: dict[str, Entry] = {}
"""Operator → lowering; ONNX's and onnxruntime's operators share their names."""


def lowers(*ops: str, reads: int | None = None) -> Callable[[F], F]:
    """Register a function as the lowering of operators."""

    def register(function: F) -> F:
        ENTRIES.update(dict.fromkeys(ops, Entry(function, reads)))
        return function

    return register


@dataclass(frozen=True)
class Raised:
    """A pattern found in a graph.

    Args:
        reads: the names it needs.
        lower: appends the ops that stand for the whole pattern, at its last node.
    """

    reads: tuple[str, ...]
    lower: Lowering

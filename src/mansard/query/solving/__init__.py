"""Inverse questions: the largest batch within limits, where ops flip, what a metric rests on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mansard.query.solving.crossing import crossovers as crossovers
    from mansard.query.solving.elasticity import sensitivity as sensitivity
    from mansard.query.solving.explaining import explain as explain
    from mansard.query.solving.finding import solve as solve
    from mansard.query.solving.many import solve_many as solve_many
    from mansard.query.solving.question import Question as Question

_NAMES = {"Question": "question", "solve": "finding", "solve_many": "many",
          "crossovers": "crossing", "sensitivity": "elasticity",
          "explain": "explaining"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"mansard.query.solving.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Predict what LLM inference costs: frontends, a symbolic operator IR, passes, a roofline."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mansard import passes as passes
    from mansard.backends.hardware import Hardware as Hardware
    from mansard.core.errors import MansardError as MansardError
    from mansard.core.notes import Note as Note
    from mansard.ir.program import Program as Program
    from mansard.query.analyze import analyze as analyze
    from mansard.query.comparing import compare as compare
    from mansard.query.estimate import Estimate as Estimate
    from mansard.query.scenario import Scenario as Scenario
    from mansard.query.source import load as load
    from mansard.query.study import Study as Study
    from mansard.query.study import study as study
    from mansard.query.target import load_hardware as load_hardware

    __version__: str

_NAMES = {
    "Estimate": "mansard.query.estimate",
    "Hardware": "mansard.backends.hardware",
    "MansardError": "mansard.core.errors",
    "Note": "mansard.core.notes",
    "Program": "mansard.ir.program",
    "Scenario": "mansard.query.scenario",
    "Study": "mansard.query.study",
    "analyze": "mansard.query.analyze",
    "compare": "mansard.query.comparing",
    "load": "mansard.query.source",
    "load_hardware": "mansard.query.target",
    "study": "mansard.query.study",
}
"""Public name → the module that has it; nothing is imported before it is asked for."""

_MODULES = ("backends", "core", "frontends", "ir", "passes", "plugins")

__all__ = [
    "Estimate", "Hardware", "MansardError", "Note", "Program", "Scenario", "Study",
    "__version__", "analyze", "compare", "load", "load_hardware", "passes", "study",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _MODULES:
        return import_module(f"mansard.{name}")
    if name == "__version__":
        return import_module("importlib.metadata").version("mansard")
    raise AttributeError(f"module 'mansard' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})

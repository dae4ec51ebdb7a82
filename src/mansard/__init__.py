"""Predict what LLM inference costs: frontends, a symbolic operator IR, passes, a roofline."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mansard import passes as passes
    from mansard.backends.hardware import Hardware as Hardware
    from mansard.core.errors import MansardError as MansardError
    from mansard.core.hooks import hookimpl as hookimpl
    from mansard.core.notes import Note as Note
    from mansard.ir import Builder as Builder
    from mansard.ir import Cost as Cost
    from mansard.ir import Graph as Graph
    from mansard.ir import Mask as Mask
    from mansard.ir import Op as Op
    from mansard.ir import P as P
    from mansard.ir import Rule as Rule
    from mansard.ir import TensorType as TensorType
    from mansard.ir import Value as Value
    from mansard.ir.program import Program as Program
    from mansard.passes.options import option as option
    from mansard.passes.technique import Outcome as Outcome
    from mansard.passes.technique import Pass as Pass
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
    "Builder": "mansard.ir",
    "Cost": "mansard.ir",
    "Estimate": "mansard.query.estimate",
    "Graph": "mansard.ir",
    "Hardware": "mansard.backends.hardware",
    "MansardError": "mansard.core.errors",
    "Mask": "mansard.ir",
    "Note": "mansard.core.notes",
    "Op": "mansard.ir",
    "Outcome": "mansard.passes.technique",
    "P": "mansard.ir",
    "Pass": "mansard.passes.technique",
    "Program": "mansard.ir.program",
    "Rule": "mansard.ir",
    "Scenario": "mansard.query.scenario",
    "Study": "mansard.query.study",
    "TensorType": "mansard.ir",
    "Value": "mansard.ir",
    "analyze": "mansard.query.analyze",
    "compare": "mansard.query.comparing",
    "hookimpl": "mansard.core.hooks",
    "load": "mansard.query.source",
    "load_hardware": "mansard.query.target",
    "option": "mansard.passes.options",
    "study": "mansard.query.study",
}
"""Public name → the module that has it; nothing is imported before it is asked for."""

_MODULES = ("backends", "core", "frontends", "ir", "passes", "plugins")

__all__ = [
    "Builder", "Cost", "Estimate", "Graph", "Hardware", "MansardError", "Mask", "Note", "Op",
    "Outcome", "P", "Pass", "Program", "Rule", "Scenario", "Study", "TensorType", "Value",
    "__version__", "analyze", "compare", "hookimpl", "load", "load_hardware", "option", "passes",
    "study",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _MODULES:
        return import_module(f"mansard.{name}")
    if name == "__version__":
        return import_module("mansard.plugins.installed").version("mansard")
    raise AttributeError(f"module 'mansard' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})

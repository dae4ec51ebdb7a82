"""The paper's set-up: a chip at the paper's rates, and one call at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mansard.backends.chips import load
from mansard.backends.estimate import Phase
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import estimate
from mansard.core.symbols import Symbol
from mansard.ir.graph import Graph
from mansard.ir.program import TARGET, Call, Program

Run = Callable[[Graph, Mapping[Symbol, object]], Phase]


@pytest.fixture(scope="session")
def a6000() -> Hardware:
    """Yuan 2024 (arXiv:2402.16363), §3.2: 768 GB/s, 154.84 TFLOP/s fp16.

    Its tool writes the rate as half of 309.677e12.
    """
    chip = load("rtx-a6000").override("peak.matrix.fp16", "154.8385 TFLOPS")
    return chip.override("memory.bandwidth", "768 GB/s")


@pytest.fixture(scope="session")
def run(a6000: Hardware) -> Run:
    """Return the phase that one call of a graph is."""

    def once(graph: Graph, bind: Mapping[Symbol, object]) -> Phase:
        program = Program({TARGET: graph}, (Call(TARGET, bind, phase="step"),))
        return estimate(program, a6000, {}).phases["step"]

    return once

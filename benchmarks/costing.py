"""How long the steps of an answer take for an 80-layer model, warm, against what is allowed.

Usage: ``python benchmarks/costing.py [RUNS]``; exits with 1 when a limit is passed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from harness.lines import Line, report
from harness.timing import cpu_s
from mansard.backends.chips import load as load_chip
from mansard.backends.roofline import estimate
from mansard.frontends.hf.load import load
from mansard.query.techniques import apply_techniques

MODEL, CHIP = "llama-3.1-70b", "h100-sxm"
SCENARIO = {"batch": 16, "prompt": 8192, "output": 256}
LIMIT_MS = 50
"""Of lowering and costing together, as written."""


def lines(runs: int) -> Iterator[Line]:
    """Measure each step."""
    chip, program = load_chip(CHIP), load(MODEL)
    fused, _ = apply_techniques(program, [], "O1")
    steps: dict[str, Callable[[], object]] = {
        "lower": lambda: load(MODEL),
        "cost, as written": lambda: estimate(program, chip, SCENARIO),
        "passes of -O1": lambda: apply_techniques(program, [], "O1"),
        "cost, after -O1": lambda: estimate(fused, chip, SCENARIO),
        "lower and cost": lambda: estimate(load(MODEL), chip, SCENARIO),
    }
    for name, step in steps.items():
        step()
        limit = LIMIT_MS if name == "lower and cost" else None
        yield Line(name, 1e3 * cpu_s(step, runs, collect=False), "ms", limit, shape="dense")


if __name__ == "__main__":
    sys.exit(report(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 10)))

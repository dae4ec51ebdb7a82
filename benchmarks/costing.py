"""How long the steps of an answer take for an 80-layer model, warm, against what is allowed.

Usage: ``python benchmarks/costing.py [RUNS]``; exits with 1 when a limit is passed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from mansard.backends.chips import load as load_chip
from mansard.backends.roofline import estimate
from mansard.frontends.hf.load import load
from mansard.query.techniques import apply_techniques

MODEL, CHIP = "llama-3.1-70b", "h100-sxm"
SCENARIO = {"batch": 16, "prompt": 8192, "output": 256}
LIMIT_S = 0.050
"""Of lowering and costing together."""


def cpu_s(step: Callable[[], object], runs: int) -> float:
    """Return the least CPU time of several runs [s]."""
    found = []
    for _ in range(runs + 1):
        start = time.process_time()
        step()
        found.append(time.process_time() - start)
    return min(found[1:])


def main() -> int:
    """Print each step's time; only lowering and costing as written have a limit."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    chip, program = load_chip(CHIP), load(MODEL)
    fused, _ = apply_techniques(program, [], "O1")

    def lower_and_cost() -> object:
        return estimate(load(MODEL), chip, SCENARIO)

    steps: dict[str, Callable[[], object]] = {
        "lower": lambda: load(MODEL),
        "cost, as written": lambda: estimate(program, chip, SCENARIO),
        "passes of -O1": lambda: apply_techniques(program, [], "O1"),
        "cost, after -O1": lambda: estimate(fused, chip, SCENARIO),
        "lower and cost": lower_and_cost,
    }
    took = {name: cpu_s(step, runs) for name, step in steps.items()}
    for name, seconds in took.items():
        print(f"{1e3 * seconds:6.1f} ms  {name}")
    total = took["lower and cost"]
    print(f"{'SLOW' if total > LIMIT_S else 'ok'}: {MODEL}, of {1e3 * LIMIT_S:.0f} ms allowed")
    return int(total > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())

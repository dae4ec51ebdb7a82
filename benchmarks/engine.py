"""How many points a second the compiled engine evaluates, against a point of the roofline.

Usage: ``python benchmarks/engine.py [POINTS]``; exits with 1 when a list is slower than the limit.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from mansard.backends.chips import load as load_chip
from mansard.backends.engine.compiled import SIZES, TIMES, Compiled
from mansard.backends.roofline import estimate
from mansard.frontends.hf.load import load
from mansard.query.techniques import apply_techniques

SHAPES = ("llama-3.1-70b", "mixtral-8x7b-v0.1", "gemma-2-2b", "deepseek-v3")
LEAST_RATIO = 1000
"""Points of a list in the time of one point of the roofline."""


def main() -> int:
    """Print compile time, points a second and the ratio to the step-by-step backend."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    random = np.random.default_rng(0)
    columns = [random.integers(1, most, count).astype(float) for most in (512, 32768, 2048)]
    chip = load_chip("h100-sxm")
    slowest = float("inf")
    for name in SHAPES:
        program, _ = apply_techniques(load(name), [], "O1")
        begun = time.process_time()
        compiled = Compiled(program, chip)
        compiled.figures(1, 1, 1)
        lowered = time.process_time()
        compiled.figures(*columns, names=("ttft", "tpot", "memory"))
        done = time.process_time()
        scenario = {"batch": 16, "prompt": 8192, "output": 256}
        estimate(program, chip, scenario)
        one = time.process_time() - done
        rate = count / (done - lowered)
        slowest = min(slowest, rate * one)
        print(
            f"{name:20} compile {1e3 * (lowered - begun):6.1f} ms   list {rate / 1e6:6.2f} M/s"
            f"   {rate * one:12,.0f} points in a roofline point's {1e3 * one:.1f} ms"
        )
    print(f"of {', '.join((*TIMES[:2], SIZES[0]))}; at least {LEAST_RATIO:,} are asked for")
    return int(slowest < LEAST_RATIO)


if __name__ == "__main__":
    sys.exit(main())

"""What a calibrated estimate costs beside the bound: a point, lists, a grid, one process.

Usage: ``python benchmarks/calibrated.py [SCALE]``; ``SCALE`` below 1 takes fewer points. Each line
is how many times the CPU time of the bound's a calibrated figure takes, and what it takes. Exits
with 1 when a ratio passes the limit, which lists and grids do today.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from mansard.backends.calibrated.estimate import estimate as calibrated
from mansard.backends.roofline import estimate as roofline
from mansard.query.study import study

SHAPES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "dense 70B, tp8": ("llama-3.1-70b", "h100-sxm:8", ("parallel{tp=8}",)),
    "MoE (Mixtral 8x7B)": ("mixtral-8x7b-v0.1", "h100-sxm", ()),
    "windows (Gemma 2 2B)": ("gemma-2-2b", "h100-sxm", ()),
}
NAMES = ("ttft", "tpot", "memory")
SCENARIO = {"batch": 16, "prompt": 8192, "output": 256}
GATE = 3.0
"""Times the bound's time."""


def cpu_s(step: Callable[[], object], runs: int) -> float:
    """Return the least CPU time of a step over some runs [s]."""
    best = float("inf")
    for _ in range(runs):
        gc.collect()
        begun = time.process_time()
        step()
        best = min(best, time.process_time() - begun)
    return best


def lines(
    model: str, on: str, techniques: tuple[str, ...], scale: float
) -> Iterator[tuple[str, float, float]]:
    """Yield (what, times the bound's, what a figure takes [s])."""
    asked = study(model, on=on, techniques=techniques)
    engine = study(model, on=on, techniques=techniques, estimate="calibrated").compiled
    bound, ready = asked.compiled, asked.prepared
    times = [
        cpu_s(partial(f, ready.program, ready.cluster, SCENARIO), 5) for f in (roofline, calibrated)
    ]
    yield "a point, as analyze evaluates it", times[1] / times[0], times[1]
    random, count = np.random.default_rng(0), int(400_000 * scale)
    b = random.integers(1, 512, count).astype(float)
    for what, p, n in (
        ("a list of random points", random.integers(1, 32768, count),
         random.integers(1, 2048, count)),
        ("a list whose prompts and outputs are 64 each", 512 * random.integers(1, 65, count),
         32 * random.integers(1, 65, count)),
    ):  # fmt: skip
        columns = b, p.astype(float), n.astype(float)
        times = [cpu_s(partial(e.figures, *columns, NAMES), 3) for e in (bound, engine)]
        yield what, times[1] / times[0], times[1] / count
    axes = {
        "batch": np.arange(1, 257.0), "prompt": np.linspace(1024, 32768, 100).round(),
        "output": np.arange(2, 2 + max(50, int(1000 * scale)) * 1.0),
    }  # fmt: skip
    size = float(np.prod([v.size for v in axes.values()]))

    def grid(e: object) -> None:
        found = e.grid(axes, NAMES)  # type: ignore[attr-defined]
        for _ in found.blocks():
            pass

    times = [cpu_s(partial(grid, e), 2) for e in (bound, engine)]
    yield "a grid", times[1] / times[0], times[1] / size


def main(scale: float) -> int:
    """Print every line; return 1 when a limit is passed."""
    missed = False
    for shape, (model, on, techniques) in SHAPES.items():
        print(shape)
        for what, ratio, took in lines(model, on, techniques, scale):
            missed |= ratio > GATE
            verdict = "ok" if ratio <= GATE else "MISS"
            print(f"  {verdict:4} {ratio:6.2f} x <= {GATE:g} {took * 1e9:12.0f} ns  {what}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))

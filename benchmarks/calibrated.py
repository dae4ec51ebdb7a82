"""What a calibrated estimate costs beside the bound: a point, lists, a grid, one process.

Usage: ``python benchmarks/calibrated.py [SCALE]``; ``SCALE`` below 1 takes fewer points. Each line
is how many times the CPU time of the bound's a calibrated figure takes, and what it takes. Exits
with 1 when a ratio passes the limit. The least of several runs counts: the first of a list also
tabulates what depends on its tokens alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import numpy as np

from harness.lines import Line, report
from harness.timing import cpu_s
from mansard.backends.calibrated.estimate import estimate as calibrated
from mansard.backends.roofline import estimate as roofline
from mansard.query.study import study

SHAPES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "dense": ("llama-3.1-70b", "h100-sxm:8", ("parallel{tp=8}",)),
    "MoE": ("mixtral-8x7b-v0.1", "h100-sxm", ()),
    "windows": ("gemma-2-2b", "h100-sxm", ()),
}
NAMES = ("ttft", "tpot", "memory")
SCENARIO = {"batch": 16, "prompt": 8192, "output": 256}
GATE = 3.0
"""Times the bound's time."""


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
    yield "a point of analyze", times[1] / times[0], times[1]
    random, count = np.random.default_rng(0), int(400_000 * scale)
    b = random.integers(1, 512, count).astype(float)
    for what, p, n in (
        ("a list of points", random.integers(1, 32768, count),
         random.integers(1, 2048, count)),
        ("a list of 64 lengths", 512 * random.integers(1, 65, count),
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


def every(scale: float) -> Iterator[Line]:
    """Measure every shape."""
    for shape, (model, on, techniques) in SHAPES.items():
        for what, ratio, took in lines(model, on, techniques, scale):
            yield Line(what, ratio, "x", GATE, shape=shape)
            yield Line(f"{what} takes", took * 1e9, "ns", shape=shape)


if __name__ == "__main__":
    sys.exit(report(every(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)))

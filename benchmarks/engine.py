"""What the engine needs for a point, a list, a grid, a generation: four shapes, one process.

Usage: ``python benchmarks/engine.py [SCALE]``; ``SCALE`` below 1 takes fewer points. Rates are per
second of CPU time of one core. Exits with 1 when a line of a shape misses its limit.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from mansard.backends.chips import load as load_chip
from mansard.backends.cluster import Cluster
from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.lowered import Lowered
from mansard.backends.engine.parameters import Parameter
from mansard.backends.roofline import estimate
from mansard.frontends.hf.load import load
from mansard.query.study import study
from mansard.query.techniques import apply_techniques

CHIP = "h100-sxm"
SHAPES: dict[str, tuple[str, tuple[str, ...], int]] = {
    "dense 70B, tp8": ("llama-3.1-70b", ("parallel{tp=8}",), 8),
    "MoE (Mixtral 8x7B)": ("mixtral-8x7b-v0.1", (), 1),
    "MLA (DeepSeek-V3)": ("deepseek-v3", (), 1),
    "windows (Gemma 2 2B)": ("gemma-2-2b", (), 1),
}
NAMES = ("ttft", "tpot", "memory")
SCENARIO = {"batch": 16, "prompt": 8192, "output": 256}


@dataclass(frozen=True)
class Line:
    """One measurement: what, its value, its unit, its limit and whether more is better."""

    what: str
    value: float
    unit: str
    limit: float
    more: bool

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.value >= self.limit if self.more else self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok" if self.kept else "MISS"
        sign = ">=" if self.more else "<="
        return f"  {verdict:4} {self.value:10.4g} {self.unit:9} {sign} {self.limit:<6g} {self.what}"


def cpu_s(step: Callable[[], object], runs: int = 1) -> float:
    """Return the least CPU time of a step over some runs [s]."""
    best = float("inf")
    for _ in range(runs):
        gc.collect()
        begun = time.process_time()
        step()
        best = min(best, time.process_time() - begun)
    return best


def lines(name: str, specs: tuple[str, ...], devices: int, scale: float) -> Iterator[Line]:
    """Measure one shape."""
    took = float("inf")
    for _ in range(3):
        program, _ = apply_techniques(load(name), specs, "O1")  # a graph keeps its table
        took = min(took, cpu_s(lambda: Lowered(program)))  # noqa: B023 - called here
    cluster = Cluster(load_chip(CHIP), per_node=devices, mesh=program.mesh)
    yield Line("tables of its graph, compiled", 1e3 * took, "ms", 50, False)
    engine = Compiled(program, cluster)
    engine.point(16, 8192, 256, NAMES)

    def points() -> None:
        for _ in range(1000):
            engine.point(16, 8192, 256, NAMES)

    yield Line("a point, plain Python", 1e3 * cpu_s(points, 5), "us", 60, False)
    roofline = cpu_s(lambda: estimate(program, cluster, SCENARIO), 3)
    yield Line("... in the time of one point of the step-by-step roofline",
               roofline / (cpu_s(points, 5) / 1000), "points", 100, True)  # fmt: skip
    random = np.random.default_rng(0)
    count = int(1_000_000 * scale)
    b, p, n = (random.integers(1, m, count).astype(float) for m in (512, 32768, 2048))
    took = cpu_s(lambda: engine.figures(b, p, n, NAMES), 3)
    yield Line("a list of points, numpy", count / took / 1e6, "M/s", 5, True)

    def generations() -> None:
        engine.figures(b, p, n, ("decode",))

    yield Line("the exact total of a generation, vectorised",
               1e6 * cpu_s(generations, 3) / count, "us", 1, False)  # fmt: skip

    def longest() -> None:
        for _ in range(1000):
            engine.point(16, 8192, 1_000_000, ("decode",))

    engine.point(16, 8192, 1_000_000, ("decode",))
    yield Line("the exact total of a generation of a million tokens",
               1e3 * cpu_s(longest, 5), "us", 50, False)  # fmt: skip
    axes = {
        "batch": np.arange(1, 257.0), "prompt": np.linspace(1024, 32768, 100).round(),
        "output": np.arange(2, 2 + max(50, int(1000 * scale)) * 1.0),
    }  # fmt: skip
    size = float(np.prod([v.size for v in axes.values()]))

    def grid(fast: bool) -> None:
        found = engine.grid(axes, NAMES, fast=fast)  # type: ignore[arg-type]
        assert found is not None
        for _ in found.blocks():
            pass

    grid(False)
    yield Line("a grid, numpy", size / cpu_s(lambda: grid(False), 3) / 1e6, "M/s", 20, True)
    yield from fields(engine, scale)
    if find_spec("numba"):
        found = engine.grid(axes, NAMES, fast=True)  # type: ignore[arg-type]
        assert found is not None
        for _ in found.blocks():
            pass  # compiles

        def again() -> None:
            for _ in found.blocks():
                pass

        yield Line("a grid, numba", size / cpu_s(again, 3) / 1e6, "M/s", 200, True)


def fields(engine: Compiled, scale: float) -> Iterator[Line]:
    """Measure a grid over two rates of the chip, beside sizes."""
    ends = {"memory.bandwidth": (1e12, 8e12, "B/s"), "peak.matrix.bf16": (2e14, 2e15, "FLOP/s")}
    chip = engine.cluster.chip
    parameters = [
        Parameter(name, (low, high), (chip.override(name, f"{low!r}{unit}"),
                                      chip.override(name, f"{high!r}{unit}")))
        for name, (low, high, unit) in ends.items()
    ]  # fmt: skip
    open_ = engine.varying(parameters)
    many = max(20, int(100 * scale))
    axes: dict[str, Any] = {name: np.linspace(a, b, many) for name, (a, b, _) in ends.items()}
    axes |= {"prompt": [8192.0], "output": [256.0], "batch": np.arange(1, 1025.0)}
    size = float(np.prod([len(v) for v in axes.values()]))

    def grid() -> None:
        found = open_.grid(axes, NAMES)
        assert found is not None
        for _ in found.blocks():
            pass

    grid()
    yield Line("a grid over bandwidth, peak and batch, numpy", size / cpu_s(grid, 3) / 1e6, "M/s",
               5, True)  # fmt: skip


def unrolled() -> Iterator[Line]:
    """Measure 80 layers of which no two are alike."""
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16",
        "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
        "intermediate_size": [28672 - 64 * k for k in range(80)],
    }  # fmt: skip
    took = float("inf")
    for _ in range(3):
        program, _ = apply_techniques(load(config), [], "O1")  # a graph keeps its table
        took = min(took, cpu_s(lambda: Lowered(program)))  # noqa: B023 - called here
    yield Line("tables of its graph, compiled", 1e3 * took, "ms", 200, False)


def reduced(scale: float) -> Iterator[Line]:
    """Measure a Pareto front of 10**8 points and the memory it takes."""
    asked = study("llama-3.1-8b", on=CHIP)
    asked.sweep({"batch": "1..8"}, pareto="throughput,tpot")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    axes: dict[str, object] = {
        "batch": range(1, 1001),
        "prompt": range(1024, 9024, 8),
        "output": range(2, 2 + int(100 * scale)),
    }
    begun = time.process_time()
    found = asked.sweep(axes, pareto="throughput,tpot", unfit=True, engine="numpy")
    took = time.process_time() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    yield Line(
        f"a Pareto front of {found.points:,} points", found.points / took / 1e6, "M/s", 20, True
    )
    yield Line("... and the memory it adds", grown, "MB", 200, False)


def main() -> int:
    """Print every line beside its limit."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    missed = False
    print("reduced while it streams")  # first: what a process once took it keeps
    for line in reduced(scale):
        missed |= not line.kept
        print(line)
    for title, shape in SHAPES.items():
        print(title)
        for line in lines(*shape, scale):
            missed |= not line.kept
            print(line)
    print("80 layers of which no two are alike")
    for line in unrolled():
        missed |= not line.kept
        print(line)
    if not find_spec("numba"):
        print("numba is not installed: pip install 'mansard[fast]' adds its line")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

"""What the engine needs for a point, a list, a grid, a generation: four shapes, one process.

Usage: ``python benchmarks/engine.py [SCALE]``; ``SCALE`` below 1 takes fewer points. Rates are per
second of CPU time of one core. Exits with 1 when a line of a shape misses its limit.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import numpy as np

from harness.lines import Line, report
from harness.shapes import SHAPES, Shape
from harness.timing import cpu_s, each_s
from mansard.backends.cluster import Cluster
from mansard.backends.engine.compiled import MANY, Compiled
from mansard.backends.engine.lowered import Lowered
from mansard.backends.engine.parameters import Parameter
from mansard.backends.engine.straight import SCALAR
from mansard.backends.roofline import estimate
from mansard.frontends.hf.load import load
from mansard.ir.program import Program
from mansard.query.techniques import apply_techniques

NAMES = ("ttft", "tpot", "memory")
SCENARIO = {"batch": 16, "prompt": 8192, "output": 256}
AT = tuple(SCENARIO.values())
UNLIKE = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16",
    "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
    "intermediate_size": [28672 - 64 * k for k in range(80)],
}  # fmt: skip
"""80 layers of which no two are alike."""


def lines(shape: Shape, scale: float) -> Iterator[Line]:
    """Measure one shape."""

    def line(what: str, value: float, unit: str, limit: float, more: bool = False) -> Line:
        return Line(what, value, unit, limit, more, shape.title)

    yield line("tables of a graph", 1e3 * tables(lambda: passed(shape.model, shape.techniques)),
               "ms", 50)  # fmt: skip
    ready = shape.study(8192, 256, batch=16).prepared
    engine = Compiled(ready.program, ready.cluster)
    engine.point(*AT, NAMES)
    point = each_s(lambda: engine.point(*AT, NAMES), 1000, 5)
    yield line("a point, plain Python", 1e6 * point, "us", 60)
    roofline = cpu_s(lambda: estimate(ready.program, ready.cluster, SCENARIO), 3)
    yield line("points in a roofline's time", roofline / point, "", 100, True)
    random = np.random.default_rng(0)
    count = int(1_000_000 * scale)
    b, p, n = (random.integers(1, m, count).astype(float) for m in (512, 32768, 2048))
    took = cpu_s(lambda: engine.figures(b, p, n, NAMES), 3)
    yield line("a list of points, numpy", count / took / 1e6, "M/s", 5, True)
    took = cpu_s(lambda: engine.figures(b, p, n, ("decode",)), 3) / count
    yield line("a generation, each of many", 1e6 * took, "us", 1)
    engine.point(16, 8192, 1_000_000, ("decode",))
    took = each_s(lambda: engine.point(16, 8192, 1_000_000, ("decode",)), 1000, 5)
    yield line("a generation of 10^6 tokens", 1e6 * took, "us", 50)
    yield from grids(engine, line, scale)
    yield line("executors beside fractions", apart(engine), "", 1e-12)


def passed(source: Any, techniques: tuple[str, ...]) -> Program:
    """Return a model's program after its passes; a graph keeps its table, so each time anew."""
    return apply_techniques(load(source), list(techniques), "O1")[0]


def tables(fresh: Callable[[], Program]) -> float:
    """Return what the tables of a program take, compiled [s]."""
    made = [fresh() for _ in range(3)]
    return min(cpu_s(lambda: Lowered(program)) for program in made)  # noqa: B023 - called here


def grids(engine: Compiled, line: Callable[..., Line], scale: float) -> Iterator[Line]:
    """Measure grids over sizes, over rates of the chip, and as compiled loops."""
    axes = {
        "batch": np.arange(1, 257.0), "prompt": np.linspace(1024, 32768, 100).round(),
        "output": np.arange(2, 2 + max(50, int(1000 * scale)) * 1.0),
    }  # fmt: skip

    def rate(found: Any) -> float:
        for _ in found.blocks():
            pass  # compiles

        def again() -> None:
            for _ in found.blocks():
                pass

        return float(found.size) / cpu_s(again, 3) / 1e6

    yield line("a grid, numpy", rate(engine.grid(axes, NAMES)), "M/s", 20, True)  # type: ignore[arg-type]
    yield line("a grid over rates, numpy", rate(over_rates(engine, scale)), "M/s", 5, True)
    if find_spec("numba"):
        found = engine.grid(axes, NAMES, fast=True)  # type: ignore[arg-type]
        yield line("a grid, numba", rate(found), "M/s", 200, True)


def over_rates(engine: Compiled, scale: float) -> Any:
    """Return a grid over two rates of the chip, beside sizes."""
    ends = {"memory.bandwidth": (1e12, 8e12, "B/s"), "peak.matrix.bf16": (2e14, 2e15, "FLOP/s")}
    here = engine.cluster

    def at(name: str, value: float, unit: str) -> Cluster:
        return replace(here, chip=here.chip.override(name, f"{value!r}{unit}"))

    parameters = [
        Parameter(name, (low, high), (at(name, low, unit), at(name, high, unit)))
        for name, (low, high, unit) in ends.items()
    ]
    many = max(20, int(100 * scale))
    axes: dict[str, Any] = {name: np.linspace(a, b, many) for name, (a, b, _) in ends.items()}
    axes |= {"prompt": [8192.0], "output": [256.0], "batch": np.arange(1, 1025.0)}
    return engine.varying(parameters).grid(axes, NAMES)


def apart(engine: Compiled) -> float:
    """Return how far any executor is from the formulas in fractions, relative, at 60 points.

    What those formulas say is held to every call, in fractions too, by
    ``tests/backends/engine/test_exact.py``.
    """
    axes = {"batch": [1.0, 7.0, 64.0, 333.0, 512.0], "prompt": [1.0, 1000.0, 4096.0, 9001.0],
            "output": [2.0, 9.0, 1024.0]}  # fmt: skip
    points = np.array(np.meshgrid(*axes.values(), indexing="ij")).reshape(3, -1)
    exact = np.array([in_fractions(engine, *map(int, point)) for point in points.T])
    found = [np.array([list(engine.point(*point, NAMES).values()) for point in points.T])]
    many = np.tile(points, MANY // points.shape[1] + 1)
    listed = engine.figures(*many, NAMES)
    found.append(np.stack([listed[name][: points.shape[1]] for name in NAMES], 1))
    for fast in (False, True) if find_spec("numba") else (False,):
        grid = engine.grid(axes, NAMES, fast=fast)
        assert grid is not None
        (block,) = grid.blocks()
        values = [np.broadcast_to(block.values[name], block.shape).ravel() for name in NAMES]
        found.append(np.stack(values, 1))
    return max(float(np.max(np.abs(values / exact - 1))) for values in found)


def in_fractions(engine: Compiled, batch: int, prompt: int, output: int) -> list[float]:
    """Return the figures of a point, evaluated in fractions."""
    line = engine.line()
    assert line is not None
    operations = {**SCALAR, "power": lambda a, n: Fraction(float(a) ** float(n))}
    at = {"batch": Fraction(batch), "prompt": Fraction(prompt), "output": Fraction(output)}
    found = line.run(
        at, operations, NAMES, lambda v: v if isinstance(v, bool) or v != v else Fraction(v)
    )
    return [float(found[name]) for name in NAMES]


def reduced(scale: float) -> Iterator[Line]:
    """Measure a Pareto front of 10**8 points and the memory it takes."""
    asked = Shape("", "llama-3.1-8b").study(8192, 256)
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
    yield Line(f"a Pareto front of {found.points:.0e}", found.points / took / 1e6, "M/s", 20, True)
    yield Line("... and the memory it adds", grown, "MB", 200)


def every(scale: float) -> Iterator[Line]:
    """Measure everything."""
    yield from reduced(scale)  # first: what a process once took it keeps
    yield Line("tables of 80 unlike layers", 1e3 * tables(lambda: passed(UNLIKE, ())), "ms", 200)
    for shape in SHAPES:
        yield from lines(shape, scale)


if __name__ == "__main__":
    if not find_spec("numba"):
        print("numba is not installed: pip install 'mansard[fast]' adds its lines")
    sys.exit(report(every(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)))

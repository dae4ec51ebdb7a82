"""How long exported files take to load, infer, lower and cost, and how much memory that needs.

Usage: ``python benchmarks/onnx_files.py [FILE]``; exits 1 when a limit is passed. FILE is an export
of Llama 3.1 8B; without one that line is left out. The larger graphs are made here: layers of ten
nodes whose weights lie in a file that is not there.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from onnx import TensorProto, helper

from harness.lines import Line, report

LLAMA = (Path(__file__).parents[1] / ".." / "shared" / "data" / "onnx"
         / "mobius__llama31_8b__model.onnx")  # fmt: skip
LIMITS = {"Llama 3.1 8B": (1.5, 250), "10,000 nodes": (5, 1000), "100,000 nodes": (60, 1000)}
"""What → the CPU time [s] and the peak of the process [MB] that are allowed."""
WIDTH, INNER = 64, 128


def layers(nodes: int, path: Path) -> Path:
    """Write a graph of so many nodes, ten a layer: a gated product and shape arithmetic."""
    made, weights, x = [], [], "x"
    for k in range(nodes // 10):
        name = f"model.layers.{k}"
        up, down = (WIDTH, INNER), (INNER, WIDTH)
        weights += [stripped(f"{name}.gate.weight", up), stripped(f"{name}.up.weight", up),
                    stripped(f"{name}.down.weight", down)]  # fmt: skip
        steps = (
            ("MatMul", (x, f"{name}.gate.weight"), "g"), ("MatMul", (x, f"{name}.up.weight"), "u"),
            ("Sigmoid", (f"g{k}",), "s"), ("Mul", (f"g{k}", f"s{k}"), "a"),
            ("Mul", (f"a{k}", f"u{k}"), "z"), ("MatMul", (f"z{k}", f"{name}.down.weight"), "d"),
            ("Add", (x, f"d{k}"), "r"), ("Shape", (f"r{k}",), "h"),
            ("Reshape", (f"r{k}", f"h{k}"), "v"), ("Tanh", (f"v{k}",), "y"),
        )  # fmt: skip
        made += [helper.make_node(op, list(given), [f"{out}{k}"]) for op, given, out in steps]
        x = f"y{k}"
    tokens = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "seq", WIDTH])
    graph = helper.make_graph(
        made, "g", [tokens], [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)], weights
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(proto.SerializeToString())
    return path


def stripped(name: str, shape: tuple[int, ...]) -> TensorProto:
    """Return a weight whose bytes are nowhere."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape,
                         data_location=TensorProto.EXTERNAL)  # fmt: skip
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.stripped"
    return tensor


def measure(path: str, runs: int) -> dict[str, float]:
    """Return the CPU time of the last of several runs [s], step by step, and the peak [MB]."""
    from mansard.frontends.onnx.load import load
    from mansard.frontends.onnx.lower.program import lower
    from mansard.frontends.onnx.resolve import resolve

    took: dict[str, float] = {}
    for _ in range(runs):
        start = time.process_time()
        model = load(path)
        loaded = time.process_time()
        found = resolve(model)
        inferred = time.process_time()
        lower(found)
        done = time.process_time()
        took = {"load": loaded - start, "infer": inferred - loaded,
                "lower and cost": done - inferred, "total": done - start}  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {**took, "peak_mb": peak}


def lines(what: str, path: Path, runs: int) -> Iterator[Line]:
    """Measure in a process of its own."""
    child = [sys.executable, __file__, "--measure", str(path), str(runs)]
    found = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    seconds, megabytes = LIMITS[what]
    for step in ("load", "infer", "lower and cost"):
        yield Line(step, found[step], "s", shape=what)
    yield Line("all of it", found["total"], "s", seconds, shape=what)
    yield Line("peak of the process", found["peak_mb"], "MB", megabytes, shape=what)


def every(llama: Path) -> Iterator[Line]:
    """Measure every graph there is."""
    if llama.is_file():
        yield from lines("Llama 3.1 8B", llama, 3)
    else:
        print(f"left out: there is no {llama.name}")
    with tempfile.TemporaryDirectory() as folder:
        for what, nodes in (("10,000 nodes", 10_000), ("100,000 nodes", 100_000)):
            yield from lines(what, layers(nodes, Path(folder) / "graph.onnx"), 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        sys.exit(report(every(Path(sys.argv[1]) if len(sys.argv) > 1 else LLAMA)))

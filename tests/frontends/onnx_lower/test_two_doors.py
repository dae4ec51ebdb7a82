"""One model, two doors: a file and a config cost the same.

Not compared: logits of every token (the file computes them, a config's call wants one row a
sequence), names of ops, and the order of names in storages.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import sympy as sp

from mansard.core.symbols import B, R, S, T
from mansard.frontends.hf.load import load as load_config
from mansard.frontends.onnx.frontend import OnnxFrontend
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import storages
from mansard.ir.program import Program

FOLDER = Path(__file__).parents[3] / ".." / "shared" / "data" / "onnx"
PAIRS = {
    "mobius__llama31_8b__model": ("llama-3.1-8b", {}),
    "mobius__qwen3_0.6b__model": ("qwen3-0.6b", {}),
    "dynamo__llama32_1b-opdef": ("llama-3.2-1b", {"num_hidden_layers": "2"}),
    "dynamo__llama32_1b-op23": ("llama-3.2-1b", {"num_hidden_layers": "2"}),
}


def facts(program: Program) -> tuple[sp.Expr, sp.Expr, sp.Expr, Counter[str]]:
    """Return matrix FLOP, stored weight and cache elements, and kinds of ops of a layer."""
    graph = program.graph()
    flops = sp.Add(*(v for (unit, *_), v in graph.cost.flops.items() if unit == MATRIX))
    stored = storages(graph).values()
    sizes = [
        sp.expand(sp.Add(*(s.numel for s in stored if s.value.role == role)))
        for role in ("weight", "cache")
    ]
    (layer,) = (op for op in graph.ops if op.bodies)
    kinds = Counter(op.kind for op in layer.bodies[0].ops if not op.is_view)
    return sp.expand(flops.xreplace({R: T}).xreplace({T: B * S})), *sizes, kinds


@pytest.mark.parametrize("name", PAIRS)
def test_a_file_and_a_config_are_the_same_model(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    if not path.is_file():
        pytest.skip("the exported files are not here")
    model, changes = PAIRS[name]
    assert facts(OnnxFrontend().load(path)) == facts(load_config(model, changes))

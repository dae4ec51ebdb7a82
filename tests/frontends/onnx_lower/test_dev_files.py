"""Real exported files, where they are: what they cost, exactly, and the same as their config."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp

from mansard.core.symbols import B, P, R, S, T
from mansard.frontends.onnx.frontend import OnnxFrontend
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts
from mansard.ir.parse import parse_program
from mansard.ir.program import Program

FOLDER = Path(__file__).parents[3] / ".." / "shared" / "data" / "onnx"
FILES = sorted(FOLDER.glob("*.onnx"))
# linear and attention FLOP, counted by hand from the published sizes: 2·(params - embed - norms)
# a token, and 4·layers·heads·head_dim a pair
ANCHORS = {
    "mobius__llama31_8b__model": (15009316864, 524288, 8030261248),
    "mobius__llama31_8b-cuda__model": (15009316864, 524288, 8030261248),
    "mobius__qwen3_0.6b__model": (1191968768, 229376, 596049920),
    "dynamo__llama32_1b-op23": (768606208, 16384, 384313344),
    "dynamo__llama32_1b-opdef": (768606208, 16384, 384313344),
    "dynamo__llama32_1b-opdef-cuda-fp16": (768606208, 16384, 384313344),
}


def load(path: Path, *, raw: bool = False) -> Program:
    if not path.is_file():
        pytest.skip("the exported files are not here")
    return OnnxFrontend().load(path, raw=raw)


def matrix_flops(program: Program) -> sp.Expr:
    flops = program.graph().cost.flops
    found = sp.Add(*(v for (unit, *_), v in flops.items() if unit == MATRIX))
    return sp.expand(found.xreplace({R: T}).xreplace({T: B * S}))


@pytest.mark.parametrize("name", ANCHORS)
def test_a_file_costs_what_its_model_does(name: str) -> None:
    program = load(FOLDER / f"{name}.onnx")
    linear, attention, params = ANCHORS[name]
    wanted = linear * B * S + attention * B * S * (P + S)
    assert sp.expand(matrix_flops(program) - wanted) == 0
    assert model_facts(program).params == params


@pytest.mark.parametrize("raw", [False, True], ids=["raised", "raw"])
@pytest.mark.parametrize("path", FILES or [FOLDER / "none.onnx"], ids=lambda p: p.stem)
def test_every_file_is_lowered_and_its_text_reads_back(path: Path, raw: bool) -> None:
    program = load(path, raw=raw)
    assert str(parse_program(str(program))) == str(program)

"""Experts that graphs compute one by one become a mixture, however they are spelled out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import sympy as sp
from onnx import helper, numpy_helper
from tests.frontends.onnx.graphs import Inputs, model

from mansard.core.symbols import B, S, T
from mansard.frontends.onnx.load import model_of
from mansard.frontends.onnx.lower.program import lower
from mansard.frontends.onnx.resolve import resolve
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts
from mansard.ir.ops import GroupedLinear, Linear
from mansard.ir.program import Program

E, K, WIDTH, INNER = 4, 2, 8, 16
DENSE, SORTED_OUT = "every expert over every token", "each expert over the tokens it is sent"
node = helper.make_node


def router() -> list[Any]:
    """Logits, their softmax, and the k largest of each row."""
    return [
        node("MatMul", ["input_ids_x", "mlp.gate.weight"], ["logits"]),
        node("Softmax", ["logits"], ["p"], axis=-1),
        node("TopK", ["p", "k"], ["best", "chosen"], axis=-1),
    ]


def ffn(e: int, x: str, out: str) -> list[Any]:
    """One expert: ``down(silu(gate(x)) · up(x))``."""
    w = {role: f"mlp.experts.{e}.{role}_proj.weight" for role in ("gate", "up", "down")}
    return [
        node("MatMul", [x, w["gate"]], [f"gate{e}"]), node("MatMul", [x, w["up"]], [f"up{e}"]),
        node("Sigmoid", [f"gate{e}"], [f"sigma{e}"]),
        node("Mul", [f"gate{e}", f"sigma{e}"], [f"silu{e}"]),
        node("Mul", [f"silu{e}", f"up{e}"], [f"act{e}"]),
        node("MatMul", [f"act{e}", w["down"]], [out]),
    ]  # fmt: skip


def dense() -> list[Any]:
    """All experts over all tokens, each times the weight its token gave it."""
    nodes = router()
    for e in range(E):
        nodes += [
            *ffn(e, "input_ids_x", f"down{e}"),
            node("Equal", ["chosen", f"e{e}"], [f"is{e}"]),
            node("Cast", [f"is{e}"], [f"mask{e}"], to=1),
            node("Mul", ["best", f"mask{e}"], [f"own{e}"]),
            node("ReduceSum", [f"own{e}", "last"], [f"weight{e}"], keepdims=1),
            node("Mul", [f"down{e}", f"weight{e}"], [f"part{e}"]),
        ]
        last = f"part{e}" if not e else f"sum{e}"
        if e:
            nodes.append(node("Add", ["part0" if e == 1 else f"sum{e - 1}", f"part{e}"], [last]))
    return [*nodes, node("Add", ["input_ids_x", last], ["y"])]


def sent() -> list[Any]:
    """The rows of each expert found, computed, and added where they came from."""
    nodes = [
        *router(),
        node("OneHot", ["chosen", "depth", "onoff"], ["hot"]),
        node("Transpose", ["hot"], ["per_expert"], perm=[2, 1, 0]),
        node("Shape", ["input_ids_x"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["sum0"]),
    ]
    for e in range(E):
        nodes += [
            node("Gather", ["per_expert", f"e{e}"], [f"mask{e}"], axis=0),
            node("NonZero", [f"mask{e}"], [f"where{e}"], name=f"expert{e}"),
            node("Gather", [f"where{e}", "e1"], [f"rows{e}"], axis=0),
            node("Gather", ["input_ids_x", f"rows{e}"], [f"x{e}"], axis=0),
            *ffn(e, f"x{e}", f"down{e}"),
            node("Unsqueeze", [f"rows{e}", "last"], [f"at{e}"]),
            node("ScatterND", [f"sum{e}", f"at{e}", f"down{e}"], [f"sum{e + 1}"], reduction="add"),
        ]
    return [*nodes, node("Add", ["input_ids_x", f"sum{E}"], ["y"])]


def lowered(nodes: list[Any], *, raw: bool = False, **sizes: int) -> Program:
    """Lower a mixture over ``[tokens, 8]``; ``sizes`` are what symbols of the file are told."""
    shapes = {"mlp.gate.weight": (WIDTH, E)}
    for e in range(E):
        shapes |= {f"mlp.experts.{e}.{r}_proj.weight": (WIDTH, INNER) for r in ("gate", "up")}
        shapes[f"mlp.experts.{e}.down_proj.weight"] = (INNER, WIDTH)
    stored = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in shapes.items()]
    numbers = {
        "k": [K],
        "depth": [E],
        "onoff": [0, 1],
        "last": [-1],
        **{f"e{e}": e for e in range(E)},
    }
    stored += [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in numbers.items()]
    inputs: Inputs = {"input_ids_x": ("f", ["tokens", WIDTH])}
    found = resolve(model_of(model(nodes, inputs, ["y"], stored)), aliases={"tokens": B * S})
    return lower(found, raw=raw, sizes={name: sp.Integer(n) for name, n in sizes.items()})


def experts_flops(program: Program) -> sp.Expr:
    """Return the FLOP of products but the router's, sizes that data decide at their defaults."""
    graph = program.graph()
    flops = sp.Add(*(v for (unit, *_), v in graph.cost.flops.items() if unit == MATRIX))
    flops = flops.xreplace(dict(graph.defaults)).xreplace({T: B * S})
    return sp.expand(flops - 2 * B * S * WIDTH * E)


EACH = 3 * 2 * WIDTH * INNER


@pytest.mark.parametrize("nodes", [dense(), sent()], ids=[DENSE, SORTED_OUT])
def test_experts_one_by_one_are_counted_as_the_mixture_they_are(nodes: list[Any]) -> None:
    program = lowered(nodes)
    kinds = Counter(op.kind for op in program.graph().ops if not op.is_view)
    assert kinds == Counter({"linear": 1, "top_k": 1, "dispatch": 1, "grouped_linear": 2,
                             "gated_activation": 1, "combine": 1, "add": 1})  # fmt: skip
    assert experts_flops(program) == K * B * S * EACH
    facts = model_facts(program)
    assert facts.params == WIDTH * E + E * 3 * WIDTH * INNER
    assert facts.active_params == WIDTH * E + K * 3 * WIDTH * INNER
    assert any(n.code == "M064" and f"{E} experts" in n.message for n in program.origin.notes)


@pytest.mark.parametrize(("nodes", "wanted"), [(dense(), E), (sent(), K)], ids=[DENSE, SORTED_OUT])
def test_as_written_every_expert_computes_what_the_file_gives_it(
    nodes: list[Any], wanted: int
) -> None:
    program = lowered(nodes, raw=True)
    assert not any(isinstance(op, GroupedLinear) for op in program.graph().ops)
    assert sum(isinstance(op, Linear) for op in program.graph().ops) == 1 + 3 * E
    assert experts_flops(program) == wanted * B * S * EACH


def test_the_rows_an_expert_gets_have_a_name_an_even_share_and_may_be_told() -> None:
    graph = lowered(sent(), raw=True).graph()
    assert {s.name: e for s, e in graph.defaults} == {
        f"expert{e}_count": T * K / E for e in range(E)
    }
    told = lowered(sent(), raw=True, expert0_count=7)
    flops = experts_flops(told)
    assert sp.expand(flops - (7 + 3 * B * S * sp.Rational(K, E)) * EACH) == 0


def test_experts_that_differ_are_left_as_they_are() -> None:
    nodes = dense()
    for found in nodes:
        if "mlp.experts.3.down_proj.weight" in found.input:
            found.input[1] = "mlp.experts.2.down_proj.weight"
    assert not any(isinstance(op, GroupedLinear) for op in lowered(nodes).graph().ops)

"""What the tests of op-rewriting techniques share: every built-in pass by name, and costs."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import sympy as sp

from mansard.core.symbols import Expr, ragged, total
from mansard.frontends.hf.load import load
from mansard.ir.cost import MATRIX
from mansard.ir.op import Op
from mansard.ir.program import Program
from mansard.passes.pipeline import Applied, parse, run
from mansard.passes.technique import Pass
from mansard.plugins.builtin import mansard_passes

Kind = TypeVar("Kind", bound=Op)


@cache
def known() -> dict[str, type[Pass]]:
    """Every technique mansard ships."""
    return {cls.name: cls for cls in mansard_passes()}


@cache
def model(name: str) -> Program:
    """A bundled model, lowered once."""
    return load(name)


def applied(name: str, pipeline: str) -> tuple[Program, tuple[Applied, ...]]:
    """A bundled model through a pipeline, with the reports."""
    return run(model(name), parse(pipeline, known()))


def through(name: str, pipeline: str) -> Program:
    """A bundled model through a pipeline."""
    return applied(name, pipeline)[0]


def flops(program: Program, unit: str = MATRIX) -> Expr:
    """FLOP of a call on one unit."""
    work = program.graph().cost.flops
    return plain(total(n for (u, _, _), n in work.items() if u == unit))


def moved(program: Program, role: str) -> Expr:
    """Bytes of one role that a call moves off chip."""
    traffic = program.graph().cost.traffic()
    return plain(total(n for v, n in traffic if v.role == role and v.place != "onchip"))


def stored(program: Program, role: str) -> Expr:
    """Bytes of one role that are stored after a call."""
    from mansard.ir.footprint import storages

    found = storages(program.graph()).values()
    return plain(total(s.bytes for s in found if s.value.role == role))


def plain(value: Expr) -> Expr:
    """A quantity multiplied out, with ``T`` read as ``B*S``."""
    return sp.expand(ragged(value))


def ops(program: Program, kind: type[Kind], graph: str = "target") -> list[Kind]:
    """Every op of a kind, in graph order."""
    return [op for op, _ in program.graph(graph).walk() if isinstance(op, kind)]


def numbers(value: Expr, **values: int) -> Expr:
    """A quantity with parameters bound by name; ``T = B*S``, ``R = B``."""
    from mansard.core.symbols import PARAMETERS

    at = {PARAMETERS[k]: sp.Integer(v) for k, v in values.items()}
    b, s = sp.Integer(values["B"]), sp.Integer(values["S"])
    at |= {PARAMETERS["T"]: b * s, PARAMETERS["R"]: b, PARAMETERS["M"]: sp.S.Zero}
    return value.xreplace(at)

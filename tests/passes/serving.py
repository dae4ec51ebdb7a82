"""What the tests of schedule techniques share: a model through a pipeline, priced on a chip."""

from __future__ import annotations

from dataclasses import replace

from tests.passes.rewriting import applied as applied
from tests.passes.rewriting import known as known
from tests.passes.rewriting import model as model
from tests.passes.rewriting import through as through

from mansard.backends.chips import load as chip
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import Answer, estimate
from mansard.core.symbols import ExprLike
from mansard.ir.program import Call, Program, Step, binding

H100 = "h100-sxm"
O1 = "fuse-attention,fuse-elementwise,merge-qkv"
FAMILIES = ("llama-3.1-8b", "gemma-2-9b", "mixtral-8x7b-v0.1", "deepseek-v2-lite")
"""Grouped queries, windows, experts, a latent cache."""


def priced(
    program: Program, batch: int = 1, prompt: int = 1000, output: int = 101,
    on: str | Hardware = H100,
) -> Answer:  # fmt: skip
    """The roofline of a program."""
    hardware = chip(on) if isinstance(on, str) else on
    return estimate(program, hardware, {"batch": batch, "prompt": prompt, "output": output})


def step_s(
    program: Program, graph: str, b: int, new: int, past: int, rows: ExprLike | None = None,
    wants: tuple[str, ...] = ("logits",),
) -> float:  # fmt: skip
    """The time of one call of a graph by itself [s]."""
    call = Call(graph, binding(b, new, past, rows=rows), wants, phase="step")
    steps: tuple[Step, ...] = (call,)
    return priced(replace(program, schedule=steps)).phases["step"].time_s

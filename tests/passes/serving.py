"""What the tests of schedule techniques share: a model through a pipeline, priced on a chip."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from mansard.backends.chips import load as chip
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import Answer, estimate
from mansard.core.symbols import ExprLike
from mansard.frontends.hf.load import load
from mansard.ir.program import Call, Program, Step, binding
from mansard.passes.pipeline import Applied, parse, run
from mansard.passes.technique import Pass
from mansard.plugins.builtin import mansard_passes

H100 = "h100-sxm"
O1 = "fuse-attention,fuse-elementwise,merge-qkv"
FAMILIES = ("llama-3.1-8b", "gemma-2-9b", "mixtral-8x7b-v0.1", "deepseek-v2-lite")
"""Grouped queries, windows, experts, a latent cache."""


@cache
def known() -> dict[str, type[Pass]]:
    """Every technique mansard ships."""
    return {cls.name: cls for cls in mansard_passes()}


@cache
def model(name: str) -> Program:
    """A bundled model, lowered once."""
    return load(name)


def applied(name: str, pipeline: str) -> tuple[Program, tuple[Applied, ...]]:
    """A model through a pipeline, with the reports."""
    return run(model(name), parse(pipeline, known()))


def through(name: str, pipeline: str) -> Program:
    """A model through a pipeline."""
    return applied(name, pipeline)[0]


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

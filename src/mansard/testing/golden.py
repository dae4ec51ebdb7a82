"""Golden IR: a graph as text, a pipeline, and the text that should come out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from textwrap import dedent

import sympy as sp

from mansard.core.symbols import batch, prompt
from mansard.ir.graph import Graph
from mansard.ir.program import TARGET, Call, Program, binding
from mansard.query.source import load
from mansard.query.techniques import Spec, apply_techniques

Source = str | Graph | Program
"""The text of a graph or of a program, one of them, or the name of a model."""


def read(source: Source) -> Program:
    """Return a program: a lone graph is called once to prefill and once to decode.

    Ops of installed plugins are known to the text.

    Raises:
        MansardError: the text is neither a graph, nor a program, nor a model's name.
    """
    if isinstance(source, Program):
        return source
    if isinstance(source, Graph):
        return _around(source)
    from mansard.ir import parse_graph, parse_program
    from mansard.plugins.registry import ops

    text = dedent(source).strip()
    known = {kind: provided.thing for kind, provided in ops().items()}
    if text.startswith("program"):
        program: Program = parse_program(text, known)
        return program
    return _around(parse_graph(text, known)) if text.startswith("graph") else load(text)


def rewritten(before: Source, pipeline: Spec | Sequence[Spec], *, level: str = "O0") -> Program:
    """Return what a pipeline makes of a program.

    Args:
        before: see ``read``.
        pipeline: texts and passes.
        level: what is appended to it; nothing, unless "O1".
    """
    specs = (pipeline,) if isinstance(pipeline, str) or not isinstance(pipeline, Sequence) else (
        tuple(pipeline)
    )  # fmt: skip
    return apply_techniques(read(before), specs, level)[0]


def assert_rewrites(
    before: Source, pipeline: Spec | Sequence[Spec], after: str, *, graph: str = TARGET
) -> None:
    """Assert that a pipeline makes the graph ``after`` of ``before``.

    Both texts are read, so that blanks and the order of attributes do not count.

    Args:
        before: see ``read``.
        pipeline: texts and passes.
        after: the text of a graph, or of a program, which is compared with its schedule.
        graph: which of the result is compared with a graph.

    Raises:
        AssertionError: with the lines that differ.
    """
    made, wanted = rewritten(before, pipeline), read(after)
    whole = dedent(after).strip().startswith("program")
    got = str(made) if whole else str(made.graph(graph))
    expected = str(wanted) if whole else str(wanted.graph())
    if got != expected:
        lines = difflib.unified_diff(
            expected.splitlines(), got.splitlines(), "expected", "made", lineterm="", n=1
        )
        raise AssertionError("\n".join(["the rewritten graph differs", *lines]))


def _around(graph: Graph) -> Program:
    wants = tuple(value.name for value in graph.outputs)
    prefill = Call(TARGET, binding(batch, prompt, 0), wants, phase="prefill")
    decode = Call(TARGET, binding(batch, sp.S.One, prompt), wants, phase="decode")
    return Program({TARGET: graph}, (prefill, decode))

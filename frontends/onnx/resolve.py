"""From a file to a graph of which every size is known or has a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import sympy as sp

from mansard.core.notes import Note
from mansard.core.symbols import Symbol
from mansard.frontends.onnx import conventions
from mansard.frontends.onnx.dims import Dim
from mansard.frontends.onnx.facts import Facts
from mansard.frontends.onnx.graph import EMPTY, Graph, Resolved, SymbolFact
from mansard.frontends.onnx.infer import Inference
from mansard.frontends.onnx.load import Model, load
from mansard.frontends.onnx.naming import Names
from mansard.frontends.onnx.read import Declared
from mansard.frontends.onnx.values import Optional, Tensor, Value

MOST_PASSES = 4
"""Walks over the graph: one more after each that found two names to be one quantity."""


def resolve(
    source: str | Path | Model,
    *,
    aliases: Mapping[str, Dim] = EMPTY,
    inputs: Mapping[str, Sequence[int | str]] = EMPTY,
    branches: Mapping[str, str] = EMPTY,
) -> Resolved:
    """Infer the shapes of a model.

    Args:
        source: a path, or a loaded model.
        aliases: text of a ``dim_param`` → the size it stands for.
        inputs: input → the dims to use instead of the file's.
        branches: label of an ``If`` ("" for every one) → "then" or "else".

    Raises:
        SpecError: the file is no ONNX model, or a node breaks its operator's rules.
    """
    model = source if isinstance(source, Model) else load(source)
    declared = {n: model.body.declared.get(n, Declared()) for n in model.body.inputs}
    for name, dims in inputs.items():
        if name in declared:
            declared[name] = Declared("tensor", declared[name].dtype, tuple(dims))
    names = Names(aliases)
    conventions.apply(names, declared)
    bound: dict[Symbol, Dim] = {}
    for _ in range(MOST_PASSES):
        facts = Facts(names, bound)
        run = Inference(model, facts, branches)
        graph = run.graph(model.body, [run.declared(declared[n], n) for n in model.body.inputs])
        if facts.bound.keys() == bound.keys():
            break
        bound = facts.bound
    texts = _texts(names, facts, model, graph)
    symbols = _symbols(graph, names)
    return Resolved(
        model.name,
        model.producer,
        graph,
        MappingProxyType(symbols),
        MappingProxyType(texts),
        MappingProxyType({op: tuple(nodes) for op, nodes in run.unknown.items()}),
        _notes(model, run, facts, graph),
        model.body.opsets,
    )


def _texts(names: Names, facts: Facts, model: Model, graph: Graph) -> dict[str, Dim]:
    """Return what each text of an input or output stands for; an output's may be new."""
    told = {**names.known, **names.texts}
    found = {t: facts.settle(d) for t, d in told.items() if not t.strip().isdigit()}
    for out in model.body.outputs:
        hint, value = model.body.declared.get(out), graph.values.get(out)
        if hint is None or hint.dims is None or not isinstance(value, Tensor):
            continue
        if value.shape is not None and len(value.shape) == len(hint.dims):
            for text, size in zip(hint.dims, value.shape, strict=True):
                if isinstance(text, str) and text not in found and not text.strip().isdigit():
                    found[text] = size
    return found


def sizes_of(value: Value) -> tuple[Dim, ...]:
    """Return the sizes a value mentions."""
    if isinstance(value, Tensor):
        return value.shape or ()
    element = value.element
    inner = sizes_of(element)
    length = None if isinstance(value, Optional) else value.length
    return inner if length is None else (*inner, length)


def _symbols(graph: Graph, names: Names) -> dict[Symbol, SymbolFact]:
    seen: set[sp.Expr] = set()
    for each in graph.graphs():
        for value in each.values.values():
            seen.update(d for d in sizes_of(value) if not isinstance(d, int))
    found = sorted({s for e in seen for s in e.free_symbols}, key=lambda s: s.name)
    return {s: names.facts.get(s, SymbolFact(s.name)) for s in found}


def _notes(model: Model, run: Inference, facts: Facts, graph: Graph) -> tuple[Note, ...]:
    notes = [
        Note("M060", f"the file does not say how large its input {n!r} is: it is left out")
        for n in model.body.inputs
        if isinstance(value := graph.values.get(n), Tensor) and value.shape is None
    ]
    notes += [
        Note("M060", f"{op} has no shape rule: {_some(tuple(nodes))}")
        for op, nodes in run.unknown.items()
    ]
    notes += [Note("M061", text) for text in facts.contradictions]
    notes += [Note("M063", text) for text in facts.assumptions]
    opset = model.body.opsets.get("", 0)
    if opset > model.known_opset:
        text = f"opset {opset} is newer than {model.known_opset}, the newest one known here"
        notes.append(Note("M062", text))
    return tuple(notes)


def _some(labels: tuple[str, ...]) -> str:
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return ", ".join(repr(n) for n in labels[:5]) + more

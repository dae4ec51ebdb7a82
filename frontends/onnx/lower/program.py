"""A resolved graph → a program: its inputs, caches, outputs, symbols and schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.symbols import B, Expr, M, P, S, Symbol, batch, expr, prompt
from mansard.frontends.onnx.branches import Branches
from mansard.frontends.onnx.dtypes import encoded
from mansard.frontends.onnx.graph import Resolved
from mansard.frontends.onnx.lower import sense, size
from mansard.frontends.onnx.lower.attention import cache_leaf
from mansard.frontends.onnx.lower.defaults import with_defaults
from mansard.frontends.onnx.lower.layers import rolled
from mansard.frontends.onnx.lower.mixtures import grouped
from mansard.frontends.onnx.lower.outputs import HIDDEN, named, result, results, with_hidden
from mansard.frontends.onnx.lower.scope import Scope, Shared, flat
from mansard.frontends.onnx.lower.summary import resolution, stored
from mansard.frontends.onnx.lower.walk import walk
from mansard.frontends.onnx.values import Tensor
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.program import TARGET, Call, Loop, Origin, Program, Step, binding, generation
from mansard.ir.verify import verify


def lower(
    resolved: Resolved, *, raw: bool = False, branches: Branches | None = None,
    sizes: Mapping[str, Expr] | None = None,
) -> Program:  # fmt: skip
    """Lower a resolved model.

    Args:
        resolved: a graph of which every size is known or has a name.
        raw: whether to keep the graph as written.
        branches: how often the first branch of an ``If`` is taken where data decide.
        sizes: values of symbols beyond ``B S P``, by name.

    Raises:
        SpecError: a node cannot be lowered; it is named.
    """
    try:
        program = _lowered(resolved, raw, branches or Branches(), sizes or {})
        flops = program.graph().cost.total_flops  # kept: whoever asks next has it
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # sizes no op can have
        raise SpecError(
            f"{resolved.name}: its sizes make no sense: {str(error)[:200]}",
            hint="check the dims of its inputs and weights, or export it again",
        ) from error
    if flops.has(sp.zoo, sp.nan, sp.oo):
        raise SpecError(f"{resolved.name}: its work is no number: {str(flops)[:200]}",
                        hint="a size of it is 0 where something is divided by it")  # fmt: skip
    return program


def _lowered(
    resolved: Resolved, raw: bool, branches: Branches, sizes: Mapping[str, Expr]
) -> Program:
    size.check(resolved.graph)
    shared = Shared(not raw, _is_decoder(resolved), branches, sizes=sizes)
    graph = graph_of(resolved, shared)
    graph, assumed = with_defaults(graph, resolved, sizes)
    sense.check(graph)
    notes = (*resolved.notes, *shared.said, *assumed, *sense.nothing(resolved, graph),
             *_fixed(resolved))  # fmt: skip
    origin = Origin(resolved.name, "onnx", resolved.producer, notes=notes,
                    resolution=resolution(resolved, graph))  # fmt: skip
    return Program({TARGET: graph}, _schedule(resolved, graph), origin=origin).verified()


def by_phase(first: Program, later: Program) -> Program:
    """Join two programs of one file whose branch the phase decides: the second one decodes."""
    prefill = f"{TARGET}@prefill"
    wants = tuple(v.name for v in first.graph().outputs)
    steps = tuple(
        replace(s, graph=prefill, wants=wants) if isinstance(s, Call) else s for s in later.schedule
    )
    graphs = {TARGET: later.graph(), prefill: first.graph()}
    said = tuple(n for n in later.origin.notes if n.code != "M063")  # the phase decides
    found = later.origin.resolution
    origin = replace(
        later.origin, notes=said, parts=(TARGET, prefill),
        resolution=found and replace(found, **stored(later.graph(), first.graph())),
    )  # fmt: skip
    return replace(later, graphs=graphs, schedule=steps, origin=origin).verified()


def is_merged(resolved: Resolved) -> bool:
    """Whether a file holds a decoder without and with a past, and an input says which runs."""
    body = resolved.graph.body
    return any(
        node.op == "If" and node.inputs[0] in body.inputs and "cache" in node.inputs[0].lower()
        for node in body.nodes
    )


def graph_of(resolved: Resolved, shared: Shared) -> Graph:
    """Return the lowered graph, layers rolled unless it is kept as written."""
    build = Builder()
    scope = Scope(resolved.graph, build, shared)
    for name in resolved.graph.body.inputs:
        _input(scope, name)
    scope.wanted = results(scope)
    walk(scope)
    made = drop_dead(build.done(*(result(scope, name) for name in scope.wanted)))
    if shared.raised:
        made, experts = grouped(made)
        for each in experts:
            text = f"{each}: those it takes are counted (--raw counts them as written)"
            shared.note("M064", text)
        made = named(rolled(made), scope.wanted)
    return verify(with_hidden(made) if _generates(resolved) else made)


def _input(scope: Scope, name: str) -> None:
    kind = scope.tensor(name)
    encoding = Encoding(encoded(kind.dtype or "fp32"))
    shape = flat(kind.shape or ())
    if scope.index.is_cache(name):
        scope.bind(name, cache_leaf(scope, name, shape, encoding))
        return
    role = "index" if kind.dtype in ("int32", "int64", "bool") else "activation"
    scope.bind(name, scope.build.input(name, *shape, encoding=encoding, role=role))


def _is_decoder(resolved: Resolved) -> bool:
    """Whether tokens see only what came before: there is a past, or one is handed back."""
    names = (*resolved.graph.body.inputs, *resolved.graph.body.outputs)
    return any("past" in n.lower() or "present" in n.lower() for n in names)


def _schedule(resolved: Resolved, graph: Graph) -> tuple[Step, ...]:
    """Return how a model is called: to generate where it has a past, else once."""
    wants = tuple(v.name for v in graph.outputs if v.name != HIDDEN)
    if _generates(resolved):
        return tuple(_told(step, graph, wants) for step in generation())
    length = prompt if S in _mentioned(resolved) else expr(1)
    return (_told(Call(TARGET, binding(batch, length, 0), phase="prefill"), graph, wants),)


def _generates(resolved: Resolved) -> bool:
    """Whether a model takes sequences, new tokens and a past, so that it is called in steps."""
    return _mentioned(resolved) >= {B, S, P}


def _fixed(resolved: Resolved) -> tuple[Note, ...]:
    """Return a note where a decoder has no steps because some of their sizes are fixed."""
    names = {B: "batch", S: "new tokens", P: "past"}
    fixed = [name for s, name in names.items() if s not in _mentioned(resolved)]
    takes_past = any("past" in name.lower() for name in resolved.graph.body.inputs)
    if not takes_past or not fixed or len(fixed) == len(names):
        return ()
    said = f"{' and '.join(fixed)} fixed in the file or by an alias: one call is counted, no decode"
    return (Note("M116", said),)


def _told(step: Step, graph: Graph, wants: tuple[str, ...]) -> Step:
    """Return a step that wants a graph's outputs, and in which an encoder's length is its own."""
    if isinstance(step, Loop):
        return replace(step, steps=tuple(_told(s, graph, wants) for s in step.steps))
    if not isinstance(step, Call):
        return step
    memory = {M: prompt} if (M, S) in graph.defaults else {}  # it stays as the prompt left it
    return replace(step, wants=wants, bind={**step.bind, **memory})


def _mentioned(resolved: Resolved) -> set[Symbol]:
    """Return the symbols of the inputs' sizes: what a caller can choose."""
    found: set[Symbol] = set()
    for name in resolved.graph.body.inputs:
        value = resolved.values.get(name)
        for d in (value.shape or ()) if isinstance(value, Tensor) else ():
            found |= set() if isinstance(d, int) else d.free_symbols
    return found

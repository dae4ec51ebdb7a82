"""The graph of one stack: embedding or stem, layers rolled into repeats, final norm, head."""

from __future__ import annotations

from mansard.core.symbols import T
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.lower.cross import cross_of
from mansard.frontends.hf.lower.ends import embedded, finished, table_of
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.lower.stack import stacked
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.ops import Add
from mansard.ir.value import Value

DEEPSTACK = "deepstack"


def decoder_graph(arch: Architecture) -> Graph:
    """Lower a stack to one graph over ``B S P T R`` (and ``M``, where it reads a memory).

    Outputs are what its head makes - ``logits`` of a language model - and the last hidden state.
    """
    build = Builder()
    return build.done(*_outputs(Scope(arch, build)))


def encoder_graph(encoder: Architecture, reader: Architecture) -> Graph:
    """Lower the encoder of ``reader``: what its layers read of the result is projected and kept."""
    from mansard.frontends.hf.lower.memory import remembered

    build = Builder()
    outputs = _outputs(Scope(encoder, build))
    remembered(Scope(reader, build), outputs[0])
    return build.done(*outputs)


def memory_graph(reader: Architecture) -> Graph:
    """Lower what ``reader`` keeps of a memory that no stack of the model makes."""
    from mansard.frontends.hf.lower.memory import remembered

    build = Builder()
    scope = Scope(reader, build)
    read = next(c for c in map(cross_of, reader.layers) if c is not None)
    memory = build.input("memory", T, read.memory or reader.hidden, encoding=scope.encoding)
    remembered(scope, memory)
    return build.done(memory)


def deepstack_graph(reader: Architecture, features: int) -> Graph:
    """Lower what ``reader`` adds to the hidden states of images after its first layers.

    Each of the ``features`` is added to the rows of one layer, which are read and written anew
    [Meng 2024 DeepStack, §3]; all sums stand in one graph, so that text pays for none of them.
    """
    build = Builder()
    scope = Scope(reader, build)
    made = []
    for k in range(features):
        given = (
            build.input(f"{name}_{k}", T, reader.hidden, encoding=scope.encoding)
            for name in ("rows", "features")
        )
        made.append(scope(Add(tuple(given)), "add"))
    return build.done(*made)


def reads_elsewhere(arch: Architecture) -> bool:
    """Say whether cross-attention reads a memory that no stack of the model makes."""
    made = arch.encoder is not None or arch.vision is not None
    return not made and any(cross_of(layer) for layer in arch.layers)


def vision_graph(vision: Architecture, reader: Architecture) -> Graph:
    """Lower the part that sees: its features, or what cross-attention of ``reader`` reads."""
    attended = any(cross_of(layer) for layer in reader.layers)
    return encoder_graph(vision, reader) if attended else decoder_graph(vision)


def _outputs(scope: Scope) -> tuple[Value, ...]:
    arch = scope.arch
    if arch.head is not None and arch.head.kind == "tiles":
        from mansard.frontends.hf.lower.tiles import tiled

        return (tiled(scope, arch.head),)
    if arch.stem is None:
        table = table_of(scope)
        x = embedded(scope, table)
        if arch.head is None:
            return finished(scope, stacked(scope, x)[len(arch.layers)], table)
        unused: tuple[Value, ...] = ()
    else:
        from mansard.frontends.hf.lower.stems import begun

        x, unused = begun(scope, arch.stem)
    if arch.head is None:
        raise TypeError("a stack that reads no tokens makes no logits")
    from mansard.frontends.hf.lower.heads import headed

    depth = len(arch.layers) if arch.head.depth is None else arch.head.depth
    states = stacked(scope, x, frozenset({*arch.head.taps, depth}))
    return (*headed(scope, states, arch.head), *unused)

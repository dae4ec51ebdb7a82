"""A model as a program: the graphs of its stacks, and the schedule that calls them."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.symbols import batch, output, prompt
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.inputs import Inputs
from mansard.frontends.hf.lower.cross import cross_of
from mansard.frontends.hf.lower.decoder import (
    DEEPSTACK,
    decoder_graph,
    deepstack_graph,
    encoder_graph,
    memory_graph,
    reads_elsewhere,
    vision_graph,
)
from mansard.frontends.hf.lower.plans import (
    AUDIO,
    ENCODER,
    MEMORY,
    VISION,
    Plan,
    encoded,
    only,
    told,
    translated,
)
from mansard.frontends.hf.towers import Patches
from mansard.ir.graph import Graph
from mansard.ir.program import TARGET, Origin, Program, generation

NONE = Inputs()


def program(arch: Architecture, origin: Origin, inputs: Inputs = NONE) -> Program:
    """Lower a model: ``target`` is what generates, or the one stack there is.

    Raises:
        SpecError: inputs the model does not take.
    """
    graphs = {TARGET: decoder_graph(arch)}
    if arch.encoder is not None:
        graphs = {ENCODER: encoder_graph(arch.encoder, arch), **graphs}
    if reads_elsewhere(arch):
        graphs = {MEMORY: memory_graph(arch), **graphs}
    if arch.audio is not None:
        graphs = {AUDIO: decoder_graph(arch.audio), **graphs}
    if arch.vision is not None:
        graphs = {VISION: vision_graph(arch.vision, arch), **graphs}
    if deep := _deep_features(arch):
        graphs = {DEEPSTACK: deepstack_graph(arch, deep), **graphs}
    plan = _plan(arch, graphs, inputs)
    origin = replace(
        origin, parts=tuple(graphs), lengths=plan.lengths, notes=(*origin.notes, *plan.notes)
    )
    return Program(graphs, plan.steps, origin=origin)


def _deep_features(arch: Architecture) -> int:
    """Return how many layers of a language model add features of images to their rows."""
    head = None if arch.vision is None else arch.vision.head
    return 0 if head is None or head.kind == "tiles" else len(head.taps)


def _plan(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    if arch.vision is not None or isinstance(arch.stem, Patches):
        return _seen(arch, graphs, inputs)
    if MEMORY in graphs:
        return told(arch, graphs, inputs)
    only(arch, inputs)
    if arch.encoder is not None:
        return translated(arch, arch.encoder, graphs)
    if arch.head is not None:
        return Plan((encoded(TARGET, graphs, batch, prompt),), (prompt,))
    return Plan(generation(), (prompt + output,))


def _seen(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return the plan of a model that sees: images beside a prompt, or alone."""
    from mansard.frontends.hf.lower.senses import attended, compared, images_alone, sensed

    if arch.vision is None and isinstance(arch.stem, Patches):
        return images_alone(arch, arch.stem, graphs, inputs)
    if any(cross_of(layer) for layer in arch.layers):
        return attended(arch, graphs, inputs)
    return (sensed if arch.head is None else compared)(arch, graphs, inputs)

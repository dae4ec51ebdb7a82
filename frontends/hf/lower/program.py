"""A model as a program: the graphs of its stacks, and the schedule that calls them."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, M, batch, expr, output, prompt
from mansard.core.symbols import step as step_index
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.inputs import Inputs
from mansard.frontends.hf.lower.cross import cross_of
from mansard.frontends.hf.lower.decoder import (
    decoder_graph,
    encoder_graph,
    memory_graph,
    reads_elsewhere,
    vision_graph,
)
from mansard.frontends.hf.lower.images import Image, image_of
from mansard.frontends.hf.towers import Frames, Patches
from mansard.ir.graph import Graph
from mansard.ir.program import (
    TARGET,
    Call,
    Loop,
    Origin,
    Program,
    Step,
    binding,
    generation,
)

NONE = Inputs()
ENCODER, VISION, MEMORY = "encoder", "vision", "memory"
ENCODE = "encode"


@dataclass(frozen=True)
class Plan:
    """A schedule, and how long the sequences get that a model was made for a length of."""

    steps: tuple[Step, ...]
    lengths: tuple[Expr, ...] = ()
    notes: tuple[Note, ...] = ()


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
    if arch.vision is not None:
        graphs = {VISION: vision_graph(arch.vision, arch), **graphs}
    plan = _plan(arch, graphs, inputs)
    origin = replace(
        origin, parts=tuple(graphs), lengths=plan.lengths, notes=(*origin.notes, *plan.notes)
    )
    return Program(graphs, plan.steps, origin=origin)


def _plan(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    if arch.vision is not None:
        if any(cross_of(layer) for layer in arch.layers):
            return _attended(arch, graphs, inputs)
        matched = arch.head is not None
        return _towers(arch, graphs, inputs) if matched else _seen(arch, graphs, inputs)
    if isinstance(arch.stem, Patches):
        return _images_alone(arch, arch.stem, graphs, inputs)
    if MEMORY in graphs:
        return _told(arch, graphs, inputs)
    if inputs.memory is not None:
        raise SpecError(f"a {arch.family} reads no memory", hint="leave input.memory out")
    if inputs != NONE:
        raise SpecError(f"a {arch.family} takes no images", hint="leave input.… out")
    if arch.encoder is not None:
        return _translated(arch, arch.encoder, graphs)
    if arch.head is not None:
        return Plan((_encoded(TARGET, graphs, batch, prompt),), (prompt,))
    return Plan(generation(), (prompt + output,))


def _encoded(name: str, graphs: dict[str, Graph], b: Expr, s: Expr) -> Call:
    """Return the one call of a stack without a cache; it wants the first of its outputs."""
    return Call(name, binding(b, s, 0), wants=(graphs[name].outputs[0].name,), phase=ENCODE)


def _generated(start: Expr, memory: Expr | None = None) -> tuple[Step, ...]:
    """Return a prefill of ``start`` tokens and the decode steps after it."""
    extra = {} if memory is None else {M: memory}
    prefill = Call(TARGET, {**binding(batch, start, 0), **extra}, phase="prefill")
    decode = Call(TARGET, {**binding(batch, 1, start + step_index), **extra}, phase="decode")
    return (prefill, Loop((decode,), output - 1, step_index, yields=sp.S.One, phase="decode"))


def _translated(arch: Architecture, encoder: Architecture, graphs: dict[str, Graph]) -> Plan:
    """Return an encoder-decoder's: the source encoded, then generation from its start tokens."""
    start = expr(arch.start)
    if isinstance(encoder.stem, Frames):
        source: Expr = expr(encoder.stem.rows)
        said = (
            f"the sound is one window of {encoder.stem.rows:,} frames, as every shorter one is"
            f" padded to; the decoder starts with {arch.start} tokens, so prompt counts for nothing"
        )
        lengths: tuple[Expr, ...] = (start + output,)
    else:
        source, lengths = prompt, (prompt, start + output)
        said = "prompt is what the encoder reads; the decoder starts with "
        said += f"{arch.start} token{'s' if arch.start > 1 else ''} of its own"
    steps = (_encoded(ENCODER, graphs, batch, source), *_generated(start, source))
    return Plan(steps, lengths, (Note("M009", said),))


def _images_alone(
    arch: Architecture, stem: Patches, graphs: dict[str, Graph], inputs: Inputs
) -> Plan:
    """Return a vision model's: each sequence of the batch is an image, or several."""
    if inputs.images == 0:
        raise SpecError(f"a {arch.family} needs images", hint="set input.images to at least 1")
    image = image_of(stem, arch.head, inputs.size)
    each = expr(inputs.images or 1)
    said = f"{image.said(int(each))}; prompt and output count for nothing"
    step = _encoded(TARGET, graphs, batch * each, expr(image.patches))
    return Plan((step,), (), (Note("M009", said),))


def _towers(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return a two-tower model's: images and texts encoded, as many of each, and compared."""
    image = _image(arch, inputs)
    if inputs.images not in (None, 1):
        raise SpecError(
            f"a {arch.family} compares texts with images one to one", hint="leave input.images out"
        )
    said = f"{image.said(1)} beside a text of prompt tokens; output counts for nothing"
    seen = _encoded(VISION, graphs, batch, expr(image.patches))
    return Plan((seen, _encoded(TARGET, graphs, batch, prompt)), (prompt,), (Note("M009", said),))


def _seen(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return that of a language model that sees: images encoded, their tokens in the prompt."""
    image = _image(arch, inputs)
    if misfit := _misfit(arch):
        if inputs.images:
            hint = "state its sizes in vision_config, or leave input.images out"
            raise SpecError(f"the part of a {arch.family} that sees: {misfit}", hint=hint)
        return Plan(generation(), (prompt + output,), (Note("M100", misfit),))
    if not inputs.images:
        said = f"no images: the vision graph is not called; input.images=1 adds {image.said(1)}"
        return Plan(generation(), (prompt + output,), (Note("M008", said),))
    tokens = expr(inputs.images * image.tokens)
    said = f"{image.said(inputs.images)}; {int(tokens):,} are read beside the prompt's own"
    steps = (
        _encoded(VISION, graphs, batch * inputs.images * image.crops, expr(image.patches)),
        *_generated(prompt + tokens),
    )
    return Plan(steps, (prompt + tokens + output,), (Note("M008", said),))


def _attended(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return that of a language model whose cross-attention reads images: at least one."""
    image, images = _image(arch, inputs), 1 if inputs.images is None else inputs.images
    if not images:
        raise SpecError(
            f"the cross-attention layers of a {arch.family} are left out where there is no image",
            hint="set input.images to at least 1, or analyze the language model it was made from",
        )
    memory = expr(images * image.patches)
    said = f"{image.said(images)}, which cross-attention reads; they add none to the prompt"
    seen = _encoded(VISION, graphs, batch * images, expr(image.patches))
    note = Note("M008", said)
    return Plan((seen, *_generated(prompt, memory)), (prompt + output,), (note,))


def _told(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return that of a decoder whose memory another model makes: what it keeps of it, and steps."""
    if inputs.images is not None or inputs.size is not None:
        raise SpecError(f"a {arch.family} takes no images", hint="leave input.… out")
    memory = prompt if inputs.memory is None else expr(inputs.memory)
    said = "another model makes the memory that cross-attention reads; "
    said += (
        "taken as long as the prompt, unless input.memory says"
        if inputs.memory is None
        else f"{inputs.memory:,} tokens of it"
    )
    steps = (_encoded(MEMORY, graphs, batch, memory), *_generated(prompt, memory))
    return Plan(steps, (prompt + output,), (Note("M055", said),))


def _misfit(arch: Architecture) -> str:
    vision = arch.vision
    return "" if vision is None or vision.head is None else vision.head.misfit(vision.hidden)


def _image(arch: Architecture, inputs: Inputs) -> Image:
    vision = arch.vision
    if vision is None or not isinstance(vision.stem, Patches):
        raise TypeError("no stack that reads images")
    return image_of(vision.stem, vision.head, inputs.size)

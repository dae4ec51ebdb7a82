"""Schedules with images and sounds: encoded first, then read among the prompt or beside it."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.symbols import batch, expr, output, prompt
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.inputs import Inputs
from mansard.frontends.hf.lower.decoder import DEEPSTACK
from mansard.frontends.hf.lower.images import Image, image_of
from mansard.frontends.hf.lower.plans import (
    AUDIO,
    VISION,
    Plan,
    encoded,
    generated,
    only,
)
from mansard.frontends.hf.towers import Patches, Spectrogram
from mansard.ir.graph import Graph
from mansard.ir.program import TARGET, Call


def images_alone(
    arch: Architecture, stem: Patches, graphs: dict[str, Graph], inputs: Inputs
) -> Plan:
    """Return a vision model's: each sequence of the batch is an image, or several."""
    only(arch, inputs, "images", "size")
    if inputs.images == 0:
        raise SpecError(f"a {arch.family} needs images", hint="set input.images to at least 1")
    image = image_of(stem, arch.head, inputs.size)
    each = expr(inputs.images or 1)
    said = f"{image.said(int(each))}; prompt and output count for nothing"
    step = encoded(TARGET, graphs, batch * each, expr(image.patches))
    return Plan((step,), (), (Note("M009", said),))


def compared(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return a two-tower model's: images and texts encoded, as many of each, and compared."""
    only(arch, inputs, "images", "size")
    image = _image(arch, inputs)
    if inputs.images not in (None, 1):
        raise SpecError(
            f"a {arch.family} compares texts with images one to one", hint="leave input.images out"
        )
    said = f"{image.said(1)} beside a text of prompt tokens; output counts for nothing"
    seen = encoded(VISION, graphs, batch, expr(image.patches))
    return Plan((seen, encoded(TARGET, graphs, batch, prompt)), (prompt,), (Note("M009", said),))


def attended(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return that of a language model whose cross-attention reads images: at least one."""
    only(arch, inputs, "images", "size")
    image, images = _image(arch, inputs), 1 if inputs.images is None else inputs.images
    if not images:
        raise SpecError(
            f"the cross-attention layers of a {arch.family} are left out where there is no image",
            hint="set input.images to at least 1, or analyze the language model it was made from",
        )
    memory = expr(images * image.patches)
    said = f"{image.said(images)}, which cross-attention reads; they add none to the prompt"
    seen = encoded(VISION, graphs, batch * images, expr(image.patches))
    note = Note("M008", said)
    return Plan((seen, *generated(prompt, memory)), (prompt + output,), (note,))


def sensed(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return that of a language model that sees, or hears: tokens of both stand in its prompt."""
    cut = arch.vision is not None and getattr(arch.vision.stem, "crops", 1) > 1
    known = (*(("crops",) if cut else ()), *(("sounds",) if arch.audio else ()))
    only(arch, inputs, "images", "size", *known)
    for key, given in (("image_size", inputs.size), ("crops", inputs.crops)):
        if given is not None and not inputs.images:
            raise SpecError(
                f"input.{key} is given, but no images are: input.images is 0 unless set",
                hint=f"add --set input.images=1, or leave input.{key} out",
            )
    calls, tokens, notes = _seen(arch, graphs, inputs)
    if arch.audio is not None:
        heard, more, said = _heard(arch.audio, graphs, inputs)
        calls, tokens, notes = calls + heard, tokens + more, notes + said
    start = prompt + tokens
    return Plan((*calls, *generated(start)), (start + output,), notes)


Sensed = tuple[tuple[Call, ...], int, tuple[Note, ...]]


def _seen(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Sensed:
    """Return the calls that encode images, their tokens in the prompt, and what to say of them."""
    vision, image = arch.vision, _image(arch, inputs)
    misfit = vision.head.misfit(vision.hidden) if vision and vision.head else ""
    if misfit and inputs.images:
        hint = "state its sizes in vision_config, or leave input.images out"
        raise SpecError(f"the part of a {arch.family} that sees: {misfit}", hint=hint)
    if misfit:
        return (), 0, (Note("M100", misfit),)
    if not inputs.images:
        said = f"no images: the vision graph is not called; input.images=1 adds {image.said(1)}"
        return (), 0, (Note("M008", said),)
    tokens = inputs.images * image.tokens
    said = f"{image.said(inputs.images)}; {tokens:,} are read beside the prompt's own"
    rows = batch * inputs.images * image.crops
    deep = len(vision.head.taps) if vision and vision.head else 0
    calls: tuple[Call, ...] = (encoded(VISION, graphs, rows, expr(image.patches), 1 + deep),)
    if deep:
        sums = encoded(DEEPSTACK, graphs, batch, expr(tokens), deep)
        calls += (replace(sums, phase="prefill"),)
    return calls, tokens, (Note("M008", said),)


def _heard(audio: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Sensed:
    """Return the calls that encode sounds, each a whole window, their tokens, what to say."""
    stem, head = audio.stem, audio.head
    if not isinstance(stem, Spectrogram) or head is None:
        raise TypeError("no stack that reads sounds")
    each = -(-stem.rows // head.merge)
    one = f"a window of {stem.frames:,} frames, {stem.rows:,} tokens in its tower and {each:,}"
    if not inputs.sounds:
        said = f"no sounds: the audio graph is not called; input.sounds=1 adds {one} in the prompt"
        return (), 0, (Note("M101", said),)
    tokens = inputs.sounds * each
    many = "a sound" if inputs.sounds == 1 else f"{inputs.sounds} sounds, each"
    said = f"{many}: {one} in the prompt; {tokens:,} are read beside the prompt's own"
    call = encoded(AUDIO, graphs, batch * inputs.sounds, expr(stem.rows))
    return (call,), tokens, (Note("M101", said),)


def _image(arch: Architecture, inputs: Inputs) -> Image:
    vision = arch.vision
    if vision is None or vision.stem is None:
        raise TypeError("no stack that reads images")
    stem = vision.stem
    if inputs.crops is not None and isinstance(stem, Patches):
        stem = replace(stem, crops=inputs.crops)
    return image_of(stem, vision.head, inputs.size)

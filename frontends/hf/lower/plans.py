"""Schedules: what is called, how often, and over how many tokens."""

from __future__ import annotations

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, M, batch, expr, output, prompt
from mansard.core.symbols import step as step_index
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.inputs import Inputs
from mansard.frontends.hf.towers import Frames
from mansard.ir.graph import Graph
from mansard.ir.program import TARGET, Call, Loop, Step, binding

ENCODER, VISION, AUDIO, MEMORY = "encoder", "vision", "audio", "memory"
ENCODE = "encode"
_SENSES = {
    "images": ("images", "takes no images"),
    "size": ("image_size", "takes no images"),
    "crops": ("crops", "cuts no images"),
    "sounds": ("sounds", "takes no sounds"),
    "memory": ("memory", "reads no memory"),
}


@dataclass(frozen=True)
class Plan:
    """A schedule, and how long the sequences get that a model was made for a length of."""

    steps: tuple[Step, ...]
    lengths: tuple[Expr, ...] = ()
    notes: tuple[Note, ...] = ()


def only(arch: Architecture, inputs: Inputs, *taken: str) -> None:
    """Refuse inputs that a model has no use for.

    Raises:
        SpecError: one other than ``taken`` was given.
    """
    for name, (key, said) in _SENSES.items():
        if getattr(inputs, name) is not None and name not in taken:
            raise SpecError(f"a {arch.family} {said}", hint=f"leave input.{key} out")


def encoded(name: str, graphs: dict[str, Graph], b: Expr, s: Expr, first: int = 1) -> Call:
    """Return the one call of a stack without a cache; it wants the ``first`` of its outputs."""
    wants = tuple(output.name for output in graphs[name].outputs[:first])
    return Call(name, binding(b, s, 0), wants=wants, phase=ENCODE)


def generated(start: Expr, memory: Expr | None = None) -> tuple[Step, ...]:
    """Return a prefill of ``start`` tokens and the decode steps after it."""
    extra = {} if memory is None else {M: memory}
    prefill = Call(TARGET, {**binding(batch, start, 0), **extra}, phase="prefill")
    decode = Call(TARGET, {**binding(batch, 1, start + step_index), **extra}, phase="decode")
    return (prefill, Loop((decode,), output - 1, step_index, yields=sp.S.One, phase="decode"))


def translated(arch: Architecture, encoder: Architecture, graphs: dict[str, Graph]) -> Plan:
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
    steps = (encoded(ENCODER, graphs, batch, source), *generated(start, source))
    return Plan(steps, lengths, (Note("M009", said),))


def told(arch: Architecture, graphs: dict[str, Graph], inputs: Inputs) -> Plan:
    """Return that of a decoder whose memory another model makes: what it keeps of it, and steps."""
    only(arch, inputs, "memory")
    memory = prompt if inputs.memory is None else expr(inputs.memory)
    said = "another model makes the memory that cross-attention reads; "
    said += (
        "taken as long as the prompt, unless input.memory says"
        if inputs.memory is None
        else f"{inputs.memory:,} tokens of it"
    )
    steps = (encoded(MEMORY, graphs, batch, memory), *generated(prompt, memory))
    return Plan(steps, (prompt + output,), (Note("M055", said),))

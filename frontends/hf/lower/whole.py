"""What a model of several stacks stores, tensor by tensor: what two graphs know, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.lower.decoder import (
    decoder_graph,
    encoder_graph,
    memory_graph,
    reads_elsewhere,
    vision_graph,
)
from mansard.frontends.hf.lower.stored import Tensor, stored_tensors


def model_tensors(arch: Architecture) -> list[Tensor]:
    """Return every stored parameter of a model: of what generates, of its encoder, of its eyes."""
    found: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for own in _stacks(arch):
        for name, shape, copies in own:
            known = "*" not in name and found[name, shape]
            found[name, shape] += 0 if known else copies
    return [Tensor(name, shape, copies) for (name, shape), copies in found.items()]


def model_parameters(arch: Architecture) -> int:
    """Return the number of parameters of all stacks, tied ones once."""
    return sum(prod(t.shape) * t.copies for t in model_tensors(arch))


def _stacks(arch: Architecture) -> Iterator[list[Tensor]]:
    yield stored_tensors(decoder_graph(arch), arch.names)
    if reads_elsewhere(arch):
        yield stored_tensors(memory_graph(arch), arch.names)
    if arch.vision is not None:
        yield stored_tensors(vision_graph(arch.vision, arch), arch.vision.names)
    if arch.audio is not None:
        yield stored_tensors(decoder_graph(arch.audio), arch.audio.names)
    if arch.encoder is not None:
        both = encoder_graph(arch.encoder, arch)
        yield stored_tensors(both, arch.encoder.names)

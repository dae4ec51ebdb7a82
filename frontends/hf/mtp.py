"""Multi-token-prediction layers: a checkpoint has them, serving one token at a time does not."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.latent_mixers import Compressed
from mansard.frontends.hf.tensors import layer_tensors


def mtp_parameters(arch: Architecture) -> int:
    """Return the parameters of the extra layers that are theirs alone; 0 where there are none.

    Each is a layer like the last one, a projection of the hidden state beside the embedding,
    ``2·hidden²``, and three norms [DeepSeek-AI 2024 V3, §2.2]; embedding and head are the model's,
    though checkpoints may hold copies. One of DeepSeek-V4 sees its window alone, and gathers its
    streams with ``streams² · hidden`` numbers, a base each and a scale.
    """
    if not arch.mtp_layers:
        return 0
    last, gathering = arch.layers[-1], 0
    if isinstance(last.mixer, Compressed):
        last = replace(last, mixer=replace(last.mixer, stride=0, index_heads=0))
    if arch.hyper is not None:
        gathering = arch.hyper.streams**2 * arch.hidden + arch.hyper.streams + 1
    own = sum(prod(t.shape) * t.copies for t in layer_tensors(arch, last))
    return arch.mtp_layers * (own + 2 * arch.hidden**2 + 3 * arch.hidden + gathering)

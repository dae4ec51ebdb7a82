"""What a checkpoint's own quantization says, as the pipeline text a quantization pass reads.

The frontend only declares it: how elements lie is changed by a pass, like any other technique.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.quantization import Quantization
from mansard.frontends.hf.tensors import layer_tensors, parameter_tensors

SCALE_BITS = 32  # DeepSeek-V3 technical report, §3.3: one fp32 scale a block; Qwen3-FP8 likewise
_LAYER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_LEFT_BY_FP8 = frozenset({"lm_head", "router", "shared_gate"})
_EXPERTS = frozenset({"experts_gate_up", "experts_down"})
# Roles of tensors that are no matrix a quantizer converts, whatever the method.
_NEVER = frozenset({"embed", "positions", "embed_norm", "attn_norm", "attn_post_norm", "ffn_norm",
                    "ffn_post_norm", "final_norm", "q_norm", "k_norm"})  # fmt: skip


def checkpoint_pipeline(arch: Architecture) -> str:
    """Return the techniques the checkpoint carries, as pipeline text; empty where it has none."""
    q = arch.quantization
    if q is None or q.weights is None:
        return ""
    weights = "fp8" if q.weights.startswith("fp8") else q.weights
    return f"quantize{{{' '.join((f'weights={weights}', *_options(q, arch)))}}}"


def _options(q: Quantization, arch: Architecture) -> Iterator[str]:
    if q.activations:
        yield "activations=fp8"
    if q.method == "fp8" and q.block:
        yield f"group={math.prod(q.block)}"
        yield f"scale-bits={SCALE_BITS}"
    if skip := _skipped(q, arch):
        yield f"skip=[{' '.join(skip)}]"


def skips_of_one_layer(arch: Architecture) -> tuple[frozenset[str], ...]:
    """Return, per layer, what is left there and not in every layer that has it.

    Layers that differ in it are no copies of one another, so no body can stand for both.
    """
    alone: list[set[str]] = [set() for _ in arch.layers]
    for name in _listed(arch) if arch.quantization else ():
        found = _LAYER.search(name)
        if found and int(found[0]) < len(alone):
            alone[int(found[0])].add(name)
    return tuple(map(frozenset, alone))


def _skipped(q: Quantization, arch: Architecture) -> tuple[str, ...]:
    """Return the modules that stay: those the block lists, then those no method converts."""
    listed = _listed(arch)
    known = Quantization(q.method, skip=listed)
    return (*listed, *(path for path in _implied(q, arch) if not known.skips(path)))


def _implied(q: Quantization, arch: Architecture) -> Iterator[str]:
    """Yield modules left unconverted without being listed.

    fp8 converts every linear module but the head and the router; mxfp4 converts experts alone
    (transformers 5.23.0, integrations/finegrained_fp8.py and integrations/mxfp4.py).
    """
    if arch.tied:
        yield arch.names.path("embed")  # the head's matrix
    tensors = {tensor.name for tensor in parameter_tensors(arch)}
    for role, path in arch.names.paths.items():
        if role in _EXPERTS or role in _NEVER or f"{path}.weight" not in tensors:
            continue
        if q.method == "mxfp4" or role in _LEFT_BY_FP8:
            yield path


def _listed(arch: Architecture) -> tuple[str, ...]:
    """Return the block's list, ``*`` for the index of what is left in every layer that has it."""
    names = arch.quantization.skip if arch.quantization else ()
    layers: dict[str, set[int]] = {}
    for name in names:
        if found := _LAYER.search(name):
            layers.setdefault(_any_layer(name), set()).add(int(found[0]))
    whole = {t for t, listed in layers.items() if set(_layers_with(t, arch)) <= listed}
    return tuple(dict.fromkeys(t if (t := _any_layer(n)) in whole else n for n in names))


def _any_layer(name: str) -> str:
    return _LAYER.sub("*", name, count=1)


def _layers_with(module: str, arch: Architecture) -> Iterator[int]:
    """Yield the layers that have the module, or something inside it."""
    has = Quantization("", skip=(module,)).skips
    kinds = {s: any(has(t.name) for t in layer_tensors(arch, s)) for s in set(arch.layers)}
    yield from (at for at, layer in enumerate(arch.layers) if kinds[layer])

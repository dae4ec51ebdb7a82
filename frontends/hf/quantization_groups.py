"""Groups of modules with an encoding each, as compressed-tensors and NVIDIA's exporter write."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from mansard.core.errors import SpecError
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.quantization import EVERY_LINEAR, ROW, Quantization, Scheme
from mansard.frontends.hf.quantization_block import (
    Block,
    Found,
    block_shape,
    flat,
    format_of,
    group_size,
    skipped,
    whole,
)

_SCALES = {"float8_e4m3fn": 8, "uint8": 8, "float8_e8m0fnu": 8, "float16": 16, "bfloat16": 16,
           "float32": 32}  # fmt: skip


def compressed(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """Read groups of modules, each with arguments of weights and inputs.

    Scales lie in the model's dtype where no other is named (compressed-tensors 0.12,
    quantization/quant_args.py).
    """
    groups = block.get("config_groups")
    if not isinstance(groups, Mapping | None):
        raise SpecError(
            f"{here}.config_groups is {show(groups)}", hint="write an object of groups by name"
        )
    said: list[str] = []
    schemes = []
    if not groups:
        state = "null" if "config_groups" in block and groups is None else "empty"
        state = state if "config_groups" in block else "missing"
        said.append(f"config_groups is {state}, so nothing says how weights lie")
    for name, group in (groups or {}).items():
        if not isinstance(group, Mapping):
            raise SpecError(f"{here}.config_groups.{name} is {show(group)}", hint="write an object")
        weights, inputs = group.get("weights"), group.get("input_activations")
        if weights is None:
            continue
        scheme = _arguments(weights, f"{here}.config_groups.{name}.weights")
        acts = format_of(inputs)
        targets = flat(group.get("targets"))
        named = () if EVERY_LINEAR in targets else targets
        if scheme is None or (inputs and not acts):
            said.append(f"the group {name!r} has no encoding here and counts as unquantized")
            skip = (*skip, *named)
            continue
        schemes.append(replace(scheme, activations=acts, targets=named))
    sparsity = block.get("sparsity_config")
    if isinstance(sparsity, Mapping) and sparsity.get("format") not in (None, "dense"):
        said.append("its sparsity is not counted; weights count as dense")
    ordered = sorted(schemes, key=lambda s: not s.targets)
    kv = format_of(block.get("kv_cache_scheme"))
    return Quantization("compressed-tensors", tuple(ordered), skip, kv), tuple(said)


# NVIDIA Model-Optimizer 0.33, torch/export/quant_utils.py: the algorithm's name → what is stored.
_ALGORITHMS = {
    "NVFP4": Scheme("nvfp4", activations="nvfp4"),
    "W4A16_NVFP4": Scheme("nvfp4"),
    "W4A8_NVFP4_FP8": Scheme("nvfp4", activations="fp8"),
    "MXFP4": Scheme("mxfp4"),
    "W4A8_MXFP4_FP8": Scheme("mxfp4", activations="fp8"),
    "FP8": Scheme("fp8", 0, 32, 0, "fp8"),
    "FP8_PER_CHANNEL_PER_TOKEN": Scheme("fp8", ROW, 32, 0, "fp8"),
    "FP8_PB_WO": Scheme("fp8", 128 * 128, 32),
    "W4A16_AWQ": Scheme("int4", 128),
    "W4A8_AWQ": Scheme("int4", 128, activations="fp8"),
    "W8A8_SQ_PER_CHANNEL": Scheme("int8", ROW, 32, 0, "int8"),
    "W8A16": Scheme("int8", ROW, 16),
}


_CACHES = {"FP8": "fp8", "NVFP4": "nvfp4", "INT8": "int8"}
"""Algorithms of ModelOpt for the cache → how it is stored."""


def modelopt(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """``quant_algo``, one for all modules or one for each; else groups of modules."""
    inner = block.get("quantization")
    if isinstance(inner, Mapping):
        block, skip = inner, (*skip, *skipped(inner, here))
    named = _CACHES.get(str(block.get("kv_cache_quant_algo")))
    kv = named or format_of(block.get("kv_cache_scheme"))
    algorithm = block.get("quant_algo")
    layers = block.get("quantized_layers")
    if algorithm == "MIXED_PRECISION" and isinstance(layers, Mapping):
        targets: dict[str, list[str]] = {}
        for name, own in layers.items():
            targets.setdefault(str((own or {}).get("quant_algo")), []).append(name)
        unknown = [name for name in targets if name not in _ALGORITHMS]
        known = (name for name in targets if name in _ALGORITHMS)
        schemes = tuple(replace(_ALGORITHMS[name], targets=tuple(targets[name])) for name in known)
        said = tuple(f"{name!r} has no encoding here and counts as unquantized" for name in unknown)
        return Quantization("modelopt", schemes, skip, kv), said
    if algorithm in _ALGORITHMS:
        return Quantization("modelopt", (_ALGORITHMS[algorithm],), skip, kv), ()
    found, said = compressed(block, here, skip) if algorithm is None else (Quantization(""), ())
    return Quantization("modelopt", found.schemes, found.skip, kv), said


def _arguments(args: object, here: str) -> Scheme | None:
    """Return what one set of compressed-tensors' arguments stores; ``None`` where nothing fits."""
    name = format_of(args)
    if not isinstance(args, Mapping) or not name:
        return None
    if name in ("nvfp4", "mxfp4"):
        return Scheme(name)
    strategy = args.get("strategy") or ("tensor" if args.get("group_size") is None else "group")
    match strategy:
        case "tensor":
            group = 0
        case "channel":
            group = ROW
        case "group":
            group = group_size(args, here, "group_size")
        case "block":
            group = math.prod(block_shape(args, here, "block_structure"))
        case _:
            return None
    scale = _SCALES.get(str(args.get("scale_dtype")).removeprefix("torch."), 16)
    zero = 0 if args.get("symmetric", True) else whole(args, ("num_bits",), here, (), 8)
    return Scheme(name, group if group else 0, scale, zero)

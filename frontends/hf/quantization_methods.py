"""``quantization_config``, method by method: what each library writes, as schemes.

Bits are what the checkpoints store: see the tables of the libraries named in each function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.quantization import EXPERTS, REGEX, ROW, Quantization, Scheme
from mansard.frontends.hf.quantization_block import (
    Block,
    Found,
    block_shape,
    flat,
    group_size,
    skipped,
    whole,
)
from mansard.frontends.hf.quantization_groups import compressed, modelopt

Read = tuple[Quantization | None, tuple[Note, ...]]

_SPARED = frozenset({"lm_head", "router", "shared_gate"})


def read_quantization(block: object, where: str) -> Read:
    """Read a ``quantization_config``; return it and the notes about it.

    Raises:
        SpecError: it is not an object, or its fields have the wrong types.
    """
    if block is None:
        return None, ()
    here = f"{where}: quantization_config"
    if not isinstance(block, Mapping):
        raise SpecError(f"{here} is {show(block)}", hint="write an object with quant_method")
    method = block.get("quant_method") or ("modelopt" if "quant_algo" in block else None)
    if not isinstance(method, str):
        raise SpecError(f"{here}.quant_method is {show(method)}", hint='for example "fp8"')
    reader = METHODS.get(method.lower())
    if reader is None:
        said = f"the method {method!r}{_what(block)} is not known"
        return Quantization(method, (), skipped(block, here)), (_unquantized(said),)
    quantization, lost = reader(block, here, skipped(block, here))
    if not (quantization.schemes or quantization.kv):
        why = "; ".join(lost) or f"{method!r}{_what(block)} says no format of weights known here"
        return replace(quantization, method=method), (_unquantized(why),)
    return quantization, tuple(Note("M052", f"quantization_config: {text}") for text in lost)


def _unquantized(why: str) -> Note:
    rest = "weights count as unquantized (-t quantize:… states what they are)"
    return Note("M003", f"quantization_config: {why}; {rest}")


def _fp8(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """One fp32 scale a block (DeepSeek-V4: an exponent of 8 bits); without blocks one a tensor.

    [DeepSeek-AI 2024 V3, §3.3.2]; experts may lie in 4 bits [DeepSeek-AI 2026].
    """
    fmt = block.get("fmt", "e4m3")
    if fmt not in ("e4m3", "e5m2", "float8_e4m3fn", "float8_e5m2"):
        raise SpecError(f"{here}.fmt is {show(fmt)}", hint="e4m3 or e5m2")
    group = math.prod(block_shape(block, here)) if block.get("weight_block_size") is not None else 0
    acts = "fp8" if block.get("activation_scheme") else ""
    experts = block.get("expert_dtype")
    bits = 8 if experts and block.get("scale_fmt") == "ue8m0" else 32  # V3.2 rounds, but keeps fp32
    schemes: tuple[Scheme, ...] = (Scheme("fp8", group, bits, 0, acts),)
    if experts not in (None, "fp8", "fp4"):
        raise SpecError(f"{here}.expert_dtype is {show(experts)}", hint="fp8 or fp4")
    if experts == "fp4":  # one exponent for 32 elements, as mxfp4; inputs stay fp8
        schemes = (Scheme("mxfp4", activations=acts, targets=("experts",)), *schemes)
    return Quantization("fp8", schemes, skip, spares=_SPARED), ()


def _fbgemm(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """One fp32 scale a row (transformers 5.23.0, integrations/fbgemm_fp8.py, ``weight_scale``)."""
    scheme = Scheme("fp8", ROW, 32, 0, "fp8")
    return Quantization("fbgemm_fp8", (scheme,), skip, spares=_SPARED), ()


def _mxfp4(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """Experts alone (transformers 5.23.0, integrations/mxfp4.py), OCP MX v1.0, table 1."""
    return Quantization("mxfp4", (Scheme("mxfp4"),), skip, only=EXPERTS), ()


def _gptq(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """``qweight``, fp16 ``scales`` and ``qzeros`` of as many bits a group, symmetric or not."""
    scheme = _integers(block, here)
    said = []
    if block.get("desc_act") is True:
        said.append("g_idx (4 bytes for each input of a matrix) is not counted")
    only = flat(block.get("modules_in_block_to_quantize"))
    schemes = [replace(scheme, targets=only)]
    dynamic = block.get("dynamic")
    for pattern, change in dynamic.items() if isinstance(dynamic, Mapping) else ():
        if pattern.startswith("-:"):
            skip = (*skip, REGEX + pattern[2:])
        elif isinstance(change, Mapping):
            own = _integers({**block, **change}, here)
            schemes.insert(-1, replace(own, targets=(REGEX + pattern.removeprefix("+:"),)))
    spares = _SPARED - ({"lm_head"} if block.get("lm_head") is True else set())
    return Quantization("gptq", tuple(schemes), skip, spares=spares), tuple(said)


def _awq(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """``qweight``, fp16 ``scales`` and packed ``qzeros`` for each group [Lin 2023]."""
    return Quantization("awq", (_integers(block, here),), skip, spares=_SPARED), ()


def _bitsandbytes(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """Return 4 bits with an absmax for 64, or 8 bits with one a row.

    The absmax is fp32; nested, 8 bits and an fp32 for each 256 (QLoRA, arXiv:2305.14314, §3). That
    of a row is fp32 [Dettmers 2022, §3].
    """
    said: tuple[str, ...] = ()
    four, eight = (
        bool(block.get(f"load_in_{n}bit") or block.get(f"_load_in_{n}bit")) for n in (4, 8)
    )
    if four and eight:
        raise SpecError(
            f"{here}: load_in_4bit and load_in_8bit are both true",
            hint="a checkpoint has one of them: set the other to false",
        )
    if four:
        weights = "fp4" if block.get("bnb_4bit_quant_type", "fp4") == "fp4" else "int4"
        nested = block.get("bnb_4bit_use_double_quant") is True
        scheme = Scheme(weights, 64 * 256, 8 * 256 + 32) if nested else Scheme(weights, 64, 32)
    elif eight:
        scheme = Scheme("int8", ROW, 32, 0, "int8")
        threshold = block.get("llm_int8_threshold", 6.0)
        if threshold:
            said = (
                f"inputs above {show(threshold)} are multiplied in fp16; how many there are is up"
                " to the data, and they count as int8",
            )
    else:
        return Quantization("bitsandbytes"), ("neither load_in_4bit nor load_in_8bit is true",)
    return Quantization("bitsandbytes", (scheme,), skip, spares=_SPARED), said


def _bitnet(block: Block, here: str, skip: tuple[str, ...]) -> Found:
    """Four ternary weights a byte, one scale a tensor, int8 inputs [Ma 2024]."""
    return Quantization("bitnet", (Scheme("int2", 0, 16, 0, "int8"),), skip, spares=_SPARED), ()


METHODS: dict[str, Callable[[Block, str, tuple[str, ...]], Found]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm,
    "mxfp4": _mxfp4,
    "gptq": _gptq,
    "awq": _awq,
    "bitsandbytes": _bitsandbytes,
    "bitnet": _bitnet,
    "compressed-tensors": compressed,
    "modelopt": modelopt,
    "modelopt_fp4": modelopt,
}
"""``quant_method`` → who reads the rest of the block."""


def _integers(block: Block, here: str) -> Scheme:
    """Return integers in groups with an fp16 scale and a zero point of as many bits."""
    bits = whole(block, ("bits", "w_bit"), here, (2, 3, 4, 8), 4)
    group = group_size(block, here, "group_size", "q_group_size")
    return Scheme(f"int{bits}", group, 16, bits)


def _what(block: Block) -> str:
    detail = block.get("quant_algo") or block.get("format")
    return f" ({show(detail)})" if detail else ""

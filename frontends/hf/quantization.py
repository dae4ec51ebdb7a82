"""``quantization_config``: what a checkpoint stores in fewer bits, and which modules it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.frontends.hf.keys import show

# OCP Microscaling Formats v1.0, table 1: 4-bit elements, one 8-bit scale per block of 32.
_MXFP4_BLOCK = (32,)


@dataclass(frozen=True)
class Quantization:
    """How a checkpoint's linear weights are stored.

    Args:
        method: the config's ``quant_method``.
        weights: name of the element format: ``fp8_e4m3``, ``mxfp4``; ``None`` where mansard does
            not know the method.
        block: the block one scale serves (rows, columns) or (columns,); empty for one per tensor.
        skip: modules left as they are; ``*`` and a missing layer prefix are allowed.
        activations: how inputs are scaled: ``dynamic``, ``static`` or empty.
    """

    method: str
    weights: str | None = None
    block: tuple[int, ...] = ()
    skip: tuple[str, ...] = ()
    activations: str = ""

    def skips(self, module: str) -> bool:
        """Say whether ``module`` (``model.layers.0.mlp.gate``) is left unquantized.

        An entry names the module, one of its parents, or a run of whole name parts in it.

        >>> Quantization("fp8", skip=("lm_head", "model.layers.*.self_attn")).skips(
        ...     "model.layers.3.self_attn.q_proj"
        ... )
        True
        """
        parts = module.split(".")
        runs = {
            ".".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)
        }
        return any(fnmatchcase(run, entry) for entry in self.skip for run in runs)


def read_quantization(block: object, where: str) -> tuple[Quantization | None, tuple[Note, ...]]:
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
    skip = _names(block, ("modules_to_not_convert", "ignored_layers", "ignore"), here)
    match method:
        case "fp8":
            fmt = block.get("fmt", "e4m3")
            if fmt not in ("e4m3", "e5m2"):
                raise SpecError(f"{here}.fmt is {show(fmt)}", hint="e4m3 or e5m2")
            scheme = str(block.get("activation_scheme") or "")
            return Quantization(method, f"fp8_{fmt}", _block(block, here), skip, scheme), ()
        case "mxfp4":
            return Quantization(method, "mxfp4", _MXFP4_BLOCK, skip), ()
    warning = (
        f"quantization_config: the method {method!r} is not known; weights count as unquantized"
        " (-t quantize:… states what they are)"
    )
    return Quantization(method, None, (), skip), (Note("M003", warning),)


def _block(block: Mapping[str, Any], here: str) -> tuple[int, ...]:
    sizes = block.get("weight_block_size")
    if sizes is None:
        return ()
    good = isinstance(sizes, list) and len(sizes) == 2
    if not good or any(type(n) is not int or not 1 <= n <= 2**20 for n in sizes):
        raise SpecError(f"{here}.weight_block_size is {show(sizes)}", hint="for example [128, 128]")
    return tuple(sizes)


def _names(block: Mapping[str, Any], keys: tuple[str, ...], here: str) -> tuple[str, ...]:
    found: list[str] = []
    for key in keys:
        names = block.get(key) or []
        if not isinstance(names, list) or any(not isinstance(name, str) for name in names):
            raise SpecError(f"{here}.{key} is {show(names)}", hint="write a list of module names")
        found += names
    return tuple(found)

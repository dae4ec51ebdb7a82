"""A layer of two attentions and two dense blocks, whose experts skip over its second half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mansard.frontends.hf.architecture import LayerSpec, NormKind
from mansard.frontends.hf.feed_forward import Dense
from mansard.frontends.hf.lower.ffn import dense, moe
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import Add
from mansard.ir.value import Value

Lowering = Callable[[Scope, Value, Any, NormKind], Value]
HALVES = ("0", "1")


def halves(path: str) -> tuple[str, ...]:
    """Return a module's path for each half of a layer, where it has one in each."""
    return tuple(path.replace("#", half) for half in HALVES) if "#" in path else (path,)


def shortcut_layer(scope: Scope, x: Value, spec: LayerSpec, mix: Lowering) -> Value:
    """Append one layer of LongCat-Flash; ``x`` and the result are ``[T, hidden]``.

    The experts read what the first dense block reads, and are added after the second: nothing
    between waits for them [Meituan 2025, §2.2].
    """
    if not isinstance(spec.ffn, Dense) or spec.beside is None:
        raise TypeError("a shortcut needs a dense block and experts beside it")
    skipped = None
    for half in HALVES:
        own = replace(scope, part=half)
        y = mix(own, own.norm(x, "attn_norm", spec.norm), spec.mixer, spec.norm)
        x = scope(Add((x, y)), "attn_add")
        y = own.norm(x, "ffn_norm", spec.norm)
        skipped = moe(scope, y, spec.beside) if skipped is None else skipped
        x = scope(Add((x, dense(own, y, spec.ffn))), "ffn_add")
    if skipped is None:
        raise TypeError("no half")
    return scope(Add((x, skipped)), "shortcut_add")

"""Cross-attention: an encoder leaves keys and values once, every step of a decoder reads them."""

from __future__ import annotations

from mansard.core.symbols import B, M, S, T
from mansard.frontends.hf.architecture import LayerSpec, NormKind
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import Cross
from mansard.ir.mask import Mask
from mansard.ir.ops import Scores, Softmax, Store, Values
from mansard.ir.value import Value

FULL = Mask("full")


def cross(scope: Scope, x: Value, c: Cross, norm: NormKind) -> Value:
    """Append attention of ``x`` over the memory; ``x`` and the result are ``[T, hidden]``."""
    q = scope.linear(x, "cross_q_proj", c.heads * c.head_dim, bias=c.q_bias)
    if c.norms:
        q = scope.norm(q, "cross_q_norm", norm, c.head_dim)
    keys, values = (scope.cache(f"cross_{n}_cache", B, c.kv_heads, M, c.head_dim) for n in "kv")
    weights = scope(Softmax(scope(Scores(q, keys, c.heads, FULL), "cross_scores")), "cross_softmax")
    y = scope(Values(weights, values, (T,), FULL), "cross_values")
    return scope.linear(y, "cross_o_proj", scope.arch.hidden, bias=c.o_bias)


def kept(scope: Scope, memory: Value, c: Cross) -> None:
    """Append the keys and values a layer reads of a memory ``[T, width]``, stored once."""
    width = c.kv_heads * c.head_dim
    k = scope.linear(memory, "cross_k_proj", width, bias=c.k_bias)
    if c.norms:
        k = scope.norm(k, "cross_k_norm", scope.arch.norm, c.head_dim)
    v = scope.linear(memory, "cross_v_proj", width, bias=c.v_bias)
    for name, rows in (("k", k), ("v", v)):
        leaf = scope.cache(f"cross_{name}_cache", B, c.kv_heads, S, c.head_dim)
        scope(Store(leaf, rows), f"cross_{name}_store")


def cross_of(layer: LayerSpec) -> Cross | None:
    """Return how a layer attends to a memory, as its mixer or beside it."""
    return layer.mixer if isinstance(layer.mixer, Cross) else layer.cross

"""SigLIP's attention pool: one learned query attends over all patches of an image."""

from __future__ import annotations

from mansard.core.symbols import B, S
from mansard.frontends.hf.architecture import Attention
from mansard.frontends.hf.feed_forward import Dense
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import Activation, Add, Linear, Reshape, Slice, Softmax, Transpose
from mansard.ir.ops.tensor import Elementwise, MatMul
from mansard.ir.value import Value


def attended(scope: Scope, x: Value) -> Value:
    """Append the pool over ``x``, ``[T, hidden]``; return ``[B, hidden]``."""
    hidden = scope.arch.hidden
    block = scope.arch.layers[0]
    a, ffn = block.attention, block.ffn
    if not isinstance(ffn, Dense):
        raise TypeError("an attention pool is as wide as the layers' dense block")
    probe = scope.param("probe", 1, 1, hidden)
    query = scope(Elementwise((probe,), (B, hidden), fn="repeat", per=0), "probe")
    q, k, v = _projected(scope, query, x)
    y = scope.linear(_attention(scope, q, k, v, a), "pool_out", hidden, bias=True)
    z = scope.norm(y, "pool_norm", scope.arch.norm)
    z = scope(Activation(scope.linear(z, "pool_fc1", ffn.width, bias=True), ffn.activation), "pool_act")  # fmt: skip  # noqa: E501
    return scope.build(Add((y, scope.linear(z, "pool_fc2", hidden, bias=True))), "pooled")


def _projected(scope: Scope, query: Value, x: Value) -> tuple[Value, ...]:
    """Return q of the probe, k and v of the patches, from parts of one stored matrix."""
    hidden = scope.arch.hidden
    w, b = (
        scope.param("pool_in_weight", 3 * hidden, hidden),
        scope.param("pool_in_bias", 3 * hidden),
    )
    made = []
    for k, name in enumerate("qkv"):
        part = scope(Slice(w, 0, k * hidden, hidden), f"pool_{name}_weight")
        bias = scope(Slice(b, 0, k * hidden, hidden), f"pool_{name}_bias")
        made.append(scope(Linear(query if name == "q" else x, part, bias), f"pool_{name}"))
    return tuple(made)


def _attention(scope: Scope, q: Value, k: Value, v: Value, a: Attention) -> Value:
    heads, dim = a.heads, a.head_dim

    def turned(x: Value, name: str, rows: object) -> Value:
        split = scope(Reshape(x, (B, rows, heads, dim)), f"pool_{name}_rows")
        return scope(Transpose(split, (0, 2, 1, 3)), f"pool_{name}_heads")

    q, k, v = turned(q, "q", 1), turned(k, "k", S), turned(v, "v", S)
    scores = scope(MatMul((q, k), (B, heads, 1, S), k=dim), "pool_scores")
    weights = scope(Softmax(scores), "pool_softmax")
    y = scope(MatMul((weights, v), (B, heads, 1, dim), k=S), "pool_values")
    return scope(Reshape(scope(Transpose(y, (0, 2, 1, 3)), "pool_turned"), (B, heads * dim)), "pool_rows")  # fmt: skip  # noqa: E501

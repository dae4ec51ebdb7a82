"""Before and after the layers: embeddings, streams, per-layer inputs, the final norm, the head."""

from __future__ import annotations

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.symbols import T
from mansard.frontends.hf.lower.gemma import INPUTS
from mansard.frontends.hf.lower.hyper import gathered
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.lower.shared import EMBEDDED
from mansard.ir.ops import Activation, Add, Embedding, Join, LastRows, Linear, Scale, Slice, SoftCap
from mansard.ir.ops.tensor import Elementwise
from mansard.ir.value import Value

INDEX = Encoding("int32")


def table_of(scope: Scope) -> Value:
    """Return the embedding table, which a tied head uses too."""
    return _table(scope, 0)


def _table(scope: Scope, book: int) -> Value:
    arch = scope.arch
    path = arch.names.path("embed").replace("*", str(book))
    return scope.tensor(f"{path}.weight", arch.vocab + arch.spare, arch.embedding_width)


def embedded(scope: Scope, table: Value) -> Value:
    """Append what makes hidden states of tokens; what layers take besides goes to ``carried``."""
    arch = scope.arch
    ids = scope.build.input("ids", T, encoding=INDEX, role="index")
    x = scope(Embedding(ids, table), "embed")
    for k in range(1, arch.codebooks):
        more = scope.build.input(f"ids_{k}", T, encoding=INDEX, role="index")
        read = scope(Embedding(more, _table(scope, k)), f"embed_{k}")
        x = scope(Add((x, read)), f"embed_{k}_add")
    if arch.embedding_norm and not arch.project_last:
        x = scope.norm(x, "embed_norm", arch.norm)
    if arch.embedding_scale:
        x = scope(Scale(x), "embed_scale")
    if arch.embedding_width != arch.hidden and not arch.project_last:
        x = scope.linear(x, "project_in", arch.hidden)
    if arch.positions.rows:
        x = _added(scope, x, "position", arch.positions.rows)
    if arch.project_last:
        x = _summed(scope, x)
    if any(layer.shared for layer in arch.layers):
        scope.carried[EMBEDDED] = x
    if arch.per_layer:
        scope.carried[INPUTS] = _per_layer(scope, ids, x)
    return _streams(scope, x)


def _added(scope: Scope, x: Value, what: str, rows: int) -> Value:
    """Append the lookup of a token's position or type, added to ``x``."""
    at = scope.build.input(f"{what}_ids", T, encoding=INDEX, role="index")
    table = scope.tensor(f"{scope.arch.names.path(f'{what}s')}.weight", rows, x.shape[-1])
    return scope(Add((x, scope(Embedding(at, table), f"{what}s"))), f"{what}_add")


def _summed(scope: Scope, x: Value) -> Value:
    """Append types and the norm at the embedding's width, and the projection from it."""
    arch = scope.arch
    if arch.types:
        x = _added(scope, x, "type", arch.types)
    if arch.embedding_norm:
        x = scope.norm(x, "embed_norm", arch.norm)
    if arch.embedding_width == arch.hidden:
        return x
    return scope.linear(x, "project_in", arch.hidden, bias=True)


def finished(scope: Scope, x: Value, table: Value) -> tuple[Value, ...]:
    """Append the final norm and the head.

    Returns logits, the last hidden states, and what is stored and not read.
    """
    x = _one_stream(scope, x)
    if scope.arch.final_norm is not None:
        x = scope.norm(x, "final_norm", scope.arch.final_norm, output="hidden")
    return _logits(scope, x, table), x, *_unread(scope, x)


def _unread(scope: Scope, x: Value) -> tuple[Value, ...]:
    """Append an output that nothing wants: what is stored, and read by no step."""
    stored = tuple(scope.tensor(name, *shape) for name, shape in scope.arch.stored)
    if not stored:
        return ()
    return (scope(Elementwise((x, *stored), x.shape, fn="unread", per=sp.S.Zero), "unread"),)


def _per_layer(scope: Scope, ids: Value, x: Value) -> Value:
    """Return the inputs of all layers, ``[T, layers·width]``, from a table and from ``x``."""
    arch = scope.arch
    if arch.per_layer is None:
        raise TypeError("no per-layer inputs")
    width = arch.per_layer.width
    path = f"{arch.names.path('per_layer_embed')}.weight"
    table = scope.tensor(path, arch.per_layer.vocab, len(arch.layers) * width)
    looked_up = scope(Scale(scope(Embedding(ids, table), "per_layer_embed")), "per_layer_scale")
    made = scope.linear(x, "per_layer_projection", len(arch.layers) * width)
    made = scope.norm(made, "per_layer_norm", arch.norm, width)
    return scope(Scale(scope(Add((looked_up, made)), "per_layer_sum")), "per_layer_inputs")


def _streams(scope: Scope, x: Value) -> Value:
    up = scope.arch.altup
    if scope.arch.hyper is not None:
        return scope(Join((x,) * scope.arch.hyper.streams, 1), "streams")
    if up is None:
        return x
    path = scope.arch.names.path("altup_in")
    others = [_indexed(scope, x, path, k) for k in range(up.streams - 1)]
    return scope(Join((x, *others), 1), "streams")


def _one_stream(scope: Scope, x: Value) -> Value:
    up, hidden = scope.arch.altup, scope.arch.hidden
    if scope.arch.hyper is not None:
        return gathered(scope, x, scope.arch.hyper)
    if up is None:
        return x
    path = scope.arch.names.path("altup_out")
    parts = [scope(Slice(x, 1, 0, hidden), "stream_0")]
    for k in range(up.streams - 1):
        part = scope(Slice(x, 1, (k + 1) * hidden, hidden), f"stream_{k + 1}")
        parts.append(_indexed(scope, part, path, k))
    return scope(Scale(scope(Add(tuple(parts)), "streams_sum")), "streams_mean")


def _indexed(scope: Scope, x: Value, path: str, k: int, out: int | None = None) -> Value:
    name, width = path.replace("*", str(k)), scope.arch.hidden if out is None else out
    w = scope.tensor(f"{name}.weight", width, x.shape[-1])
    return scope(Linear(x, w), name.split(".", 1)[-1])


def _logits(scope: Scope, x: Value, table: Value) -> Value:
    arch = scope.arch
    x = scope(LastRows(x), "last_rows")
    if arch.transform is not None:
        x = scope.linear(x, "lm_transform", arch.transform.width, bias=arch.transform.bias)
        x = scope(Activation(x, arch.transform.activation), "lm_act")
        x = scope.norm(x, "lm_norm", arch.norm)
    elif arch.embedding_width != arch.hidden:
        x = scope.linear(x, "project_out", arch.embedding_width)
    if arch.codebooks > 1:
        path = arch.names.path("lm_head")
        made = tuple(_indexed(scope, x, path, k, arch.vocab) for k in range(arch.codebooks))
        return scope(Join(made, 1), "logits")
    path = arch.names.path("lm_head")
    w = table if arch.tied else scope.tensor(f"{path}.weight", arch.vocab, x.shape[-1])
    at = arch.names.paths.get("lm_bias", f"{path}.bias")
    bias = scope.tensor(at, arch.vocab) if arch.lm_head_bias else None
    head = Linear(x, w, bias, name="lm_head")
    if arch.final_softcap is None:
        return scope(head, "logits")
    return scope(SoftCap(scope(head, "lm_head"), name="logit_softcap"), "logits")

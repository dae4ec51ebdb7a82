"""What is made of the last hidden states where it is no logits: pooled rows, features of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mansard.core.symbols import B, S, T, ceil_div, product
from mansard.frontends.hf.lower.pooling import attended
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.towers import Head
from mansard.ir.ops import Activation, LastRows, Linear, Multiply, Reshape, Scale, Slice
from mansard.ir.ops.tensor import Elementwise, MatMul, Move, Pool
from mansard.ir.value import Value

FEATURES = "image_embeds"
"""The output that a language model reads in place of embeddings."""


def headed(scope: Scope, states: Mapping[int, Value], head: Head) -> tuple[Value, ...]:
    """Append a head to the hidden states after some layers; return the outputs.

    The first is what a reader of the stack takes; the last hidden states follow.
    """
    arch = scope.arch
    x = states[len(arch.layers)]
    if arch.final_norm is not None and not head.picks_first:
        x = scope.norm(x, "final_norm", arch.final_norm, output="hidden")
    if head.kind in PROJECTORS:
        depth = len(arch.layers) if head.depth is None else head.depth
        read = x if head.depth is None else states[depth]
        features = PROJECTORS[head.kind](scope, read, head)
        merged = tuple(_merged(scope, states[tap], head, str(k)) for k, tap in enumerate(head.taps))
        rest = () if x is read else (_picked(scope, x) if head.picks_first else x,)
        return (features, *merged, *rest, *_unread(scope, x, head))
    if head.kind == "none":
        return (x,)
    if head.kind == "attention":
        return (attended(scope, x), x)
    row = _picked(scope, x) if head.picks_first else scope(LastRows(x), "row")
    return (*_row(scope, row, head), x)


def _picked(scope: Scope, x: Value) -> Value:
    """Return the row of each sequence that stands for it, its first or its last, normalized."""
    row = scope(LastRows(x), "row")
    kind = scope.arch.final_norm
    return row if kind is None else scope.norm(row, "final_norm", kind, output="pooled")


def _row(scope: Scope, row: Value, head: Head) -> tuple[Value, ...]:
    match head.kind:
        case "pooler":
            y = scope.linear(row, "pooler", scope.arch.hidden, bias=True)
            return (scope.build(Activation(y, "tanh", name="pooler_act"), "pooled"),)
        case "project":
            return (_projected(scope, row, head, "embeds"),)
        case "match":
            return (_matched(scope, _projected(scope, row, head, "text_embeds"), head),)
    return (row,)


def _projected(scope: Scope, row: Value, head: Head, name: str) -> Value:
    path = scope.arch.names.path("project")
    w = scope.tensor(f"{path}.weight", head.width, row.shape[-1])
    bias = scope.tensor(f"{path}.bias", head.width) if head.bias else None
    return scope.build(Linear(row, w, bias, name="project"), name)


def _matched(scope: Scope, texts: Value, head: Head) -> Value:
    """Append the similarity of every text with every image, scaled (and shifted)."""
    images = scope.build.input("image_embeds", B, head.width, encoding=scope.encoding)
    logits = scope(MatMul((texts, images), (B, B), k=head.width), "similarity")
    shape = (1,) if head.offset else ()
    params = [scope.param(role, *shape) for role in ("logit_scale", "logit_bias")]
    params = params if head.offset else params[:1]
    return scope(Elementwise((logits, *params), (B, B), fn="scale", per=len(params)), "logits")


def _mlp(scope: Scope, x: Value, head: Head) -> Value:
    """Append two linears on the patches alone: learned tokens in front are left out."""
    start = getattr(scope.arch.stem, "start", 0)
    if start:
        x = scope(Slice(x, 0, start * B, T - start * B), "patches")
    if head.norm and not head.squares:
        x = scope.norm(x, "merge_norm", head.norm)
    if head.mean:
        taps = head.merge**2
        x = scope(Pool((x,), (x.shape[0] / taps, x.shape[-1]), taps=taps), "average")
    elif head.merge > 1:
        x = _squares(scope, x, head)
    if head.norm and head.squares:
        x = scope.norm(x, "merge_norm", head.norm)
    x = scope.linear(x, "merge_narrow", scope.arch.hidden) if head.narrows else x
    y = scope.linear(x, "merge_fc1", head.inner or head.width, bias=head.bias)
    y = scope(Activation(y, head.activation), "merge_act")
    return _features(scope, y, "merge_fc2", head)


def _linear(scope: Scope, x: Value, head: Head) -> Value:
    """Append one linear, of patches or of squares of them."""
    x = _squares(scope, x, head) if head.merge > 1 else x
    return _features(scope, x, "project", head)


def _joined(scope: Scope, x: Value, head: Head) -> Value:
    """Append MiniMax M3's: two linears on patches, then two on squares of what they make."""
    y = scope.linear(x, "merge_fc1", head.inner, bias=True)
    y = scope(Activation(y, head.activation), "merge_act")
    y = scope.linear(y, "merge_fc2", head.width, bias=True)
    wide = head.merge**2 * head.width
    y = scope(Reshape(y, (y.numel / wide, wide)), "squares")
    y = scope.linear(y, "join_fc1", head.inner, bias=True)
    return _features(scope, scope(Activation(y, head.activation), "join_act"), "join_fc2", head)


def _downsample(scope: Scope, x: Value, head: Head) -> Value:
    """Append GLM-4V's: a convolution of squares, a linear, a norm, and a gated block."""
    path, taps = scope.arch.names.path("squares"), (head.merge, head.merge)
    w = scope.tensor(f"{path}.weight", head.width, scope.arch.hidden, *taps)
    flat = scope(Reshape(w, (head.width, _square(scope, head))), "squares_flat")
    bias = scope.tensor(f"{path}.bias", head.width)
    y = scope(Linear(_squares(scope, x, head), flat, bias), "downsample")
    y = scope.norm(scope.linear(y, "merge_fc1", head.width), "merge_norm", "layer")
    y = scope(Activation(y, "gelu"), "merge_act")
    gate, up = scope.linear(y, "merge_gate", head.inner), scope.linear(y, "merge_up", head.inner)
    y = scope(Multiply(scope(Activation(gate, head.activation), "merge_gate_act"), up), "merge_mul")
    return _features(scope, y, "merge_fc2", head)


def _merge(scope: Scope, x: Value, head: Head) -> Value:
    """Append the merger: a norm, squares of patches side by side, two linears."""
    x = scope.norm(x, "merge_norm", scope.arch.norm)
    y = scope.linear(_squares(scope, x, head), "merge_fc1", _square(scope, head), bias=True)
    return _features(scope, scope(Activation(y, head.activation), "merge_act"), "merge_fc2", head)


def _merged(scope: Scope, x: Value, head: Head, index: str) -> Value:
    """Append one of DeepStack's mergers: squares of patches, then norm and linears."""
    inner = Scope(scope.arch, scope.build, "deepstack.", index)
    y = inner.norm(_squares(scope, x, head), "deep_norm", scope.arch.norm)
    y = inner.linear(y, "deep_fc1", _square(scope, head), bias=True)
    y = inner(Activation(y, head.activation), "deep_act")
    return inner.linear(y, "deep_fc2", head.width, bias=True)


def _squares(scope: Scope, x: Value, head: Head) -> Value:
    wide = _square(scope, head)
    return scope(Reshape(x, (x.numel / wide, wide)), "squares")


def _square(scope: Scope, head: Head) -> int:
    return head.merge**2 * scope.arch.hidden


def _average(scope: Scope, x: Value, head: Head) -> Value:
    """Append means over squares of patches, a norm, and a linear."""
    rows = product((B, head.tokens))
    taps = x.shape[0] / rows
    y = scope(Pool((x,), (rows, x.shape[-1]), taps=taps), "average")
    y = scope.norm(y, "merge_norm", "rms")
    w = scope.param("project", head.width, y.shape[-1])
    return scope.build(Linear(y, w, name="project"), FEATURES)


def _shuffle(scope: Scope, x: Value, head: Head) -> Value:
    """Append Llama 4's adapter on squares of patches, two linears, and the projection."""
    first, inner, last, made = head.widths
    start = getattr(scope.arch.stem, "start", 0)
    x = scope(Slice(x, 0, 0, T - start * B), "patches") if start else x
    if head.misfit(scope.arch.hidden):
        shapes = (("merge_fc1", inner, first), ("merge_fc2", last, last),
                  ("project", head.width, made))  # fmt: skip
        stored = (
            scope.tensor(f"{scope.arch.names.path(role)}.weight", n, k) for role, n, k in shapes
        )
        return scope.build(Elementwise((x, *stored), x.shape, fn="unread", per=0), FEATURES)
    y = scope.linear(_squares(scope, x, head), "merge_fc1", inner)
    y = scope.linear(scope(Activation(y, head.activation), "merge_act"), "merge_fc2", last)
    return _features(scope, scope(Activation(y, head.activation), "merge_out"), "project", head)


def _pooled(scope: Scope, x: Value, head: Head) -> Value:
    """Append means over squares of patches, scaled and standardized, a bare norm, a linear.

    transformers writes the means as a product with a matrix of zeros and ones.
    """
    shape = (x.shape[0] / head.merge**2, x.shape[-1])
    y = scope(Scale(scope(Pool((x,), shape, taps=head.merge**2), "average")), "scale")
    y = scope(Elementwise((y,), shape, fn="standardize", per=2), "standardize")
    return _features(scope, scope.norm(y, "merge_norm", "rms-none"), "project", head)


def _embedder(scope: Scope, x: Value, head: Head) -> Value:
    """Append Gemma 3n's: every ``merge``-th row, a norm, a linear, a norm without weights."""
    if head.merge > 1:
        shape = (B * ceil_div(S, head.merge), x.shape[-1])
        x = scope(Move((x,), shape, fn="every", taken=product(shape)), "every")
    x = scope(Scale(x), "scale") if head.scaled else x
    y = scope.linear(scope.norm(x, "merge_norm", "rms"), "project", head.width)
    return scope.norm(y, "features_norm", "rms-none", output=FEATURES)


def _unread(scope: Scope, x: Value, head: Head) -> tuple[Value, ...]:
    """Append an output that nothing wants: tokens that stand for no patch, and are the same."""
    width, path = x.shape[-1], scope.arch.names.path
    stored: list[Value] = []
    if head.rows:
        stored.append(scope.tensor(f"{path('hard_table')}.weight", head.rows, width))
        stored.append(scope.tensor(f"{path('hard_norm')}.weight", width))
    if head.separators:
        wide = scope.arch.hidden if head.mean else _square(scope, head)
        stored += [scope.param("between", 1, 1, wide), scope.param("line_end", 1, 1, 1, wide)]
    stored += [scope.tensor(name, *shape) for name, shape in scope.arch.stored]
    pooled = (attended(scope, x),) if head.pools else ()
    if not stored:
        return pooled
    return (scope(Elementwise((x, *stored), x.shape, fn="unread", per=0), "unread"), *pooled)


def _features(scope: Scope, x: Value, role: str, head: Head) -> Value:
    path = scope.arch.names.path(role)
    w = scope.tensor(f"{path}.weight", head.width, x.shape[-1])
    bias = scope.tensor(f"{path}.bias", head.width) if head.bias else None
    return scope.build(Linear(x, w, bias, name=role), FEATURES)


PROJECTORS: dict[str, Callable[[Scope, Value, Head], Value]] = {
    "mlp": _mlp,
    "merge": _merge,
    "average": _average,
    "shuffle": _shuffle,
    "pooled": _pooled,
    "embedder": _embedder,
    "linear": _linear,
    "downsample": _downsample,
    "joined": _joined,
}
"""What hands images to a language model."""

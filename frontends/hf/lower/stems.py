"""Hidden states of images and sounds: convolutions, learned tokens in front, positions."""

from __future__ import annotations

from mansard.core.symbols import B, S, T
from mansard.frontends.hf.convnets import ConvNet
from mansard.frontends.hf.lower.ends import INDEX
from mansard.frontends.hf.lower.maps import Maps
from mansard.frontends.hf.lower.mobilenet import convolved
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.towers import Frames, Patches, Spectrogram, Stem
from mansard.ir.ops import Activation, Add, Embedding, Linear, Reshape, Slice, Transpose
from mansard.ir.ops.tensor import Convolution, Elementwise
from mansard.ir.value import Value


def begun(scope: Scope, stem: Stem) -> tuple[Value, tuple[Value, ...]]:
    """Append a stem; return hidden states ``[T, hidden]``, and what is stored but not used."""
    match stem:
        case Frames():
            return _frames(scope, stem), ()
        case Spectrogram():
            return _spectrogram(scope, stem), ()
        case ConvNet():
            return convolved(scope, stem), ()
    x = _patches(scope, stem)
    if not stem.mask:
        return x, ()
    token = scope.param("mask_token", *(1,) * stem.mask, scope.arch.hidden)
    return x, (scope(Elementwise((x, token), x.shape, fn="mask"), "masked"),)


def _patches(scope: Scope, stem: Patches) -> Value:
    """Append the patches of ``B`` images: ``S`` tokens each, ``S - start`` of them patches."""
    hidden, area = scope.arch.hidden, stem.size**2
    path = scope.arch.names.path("patch_embed")
    seen = S - stem.start * stem.tiles
    bias = (scope.tensor(f"{path}.bias", hidden),) if stem.bias else ()
    if stem.flat:
        rows = scope.build.input("pixels", B * seen, stem.channels * area)
        w = scope.tensor(f"{path}.weight", hidden, stem.channels * area)
        x = scope(Linear(rows, w, *bias), "patch_embed")
    else:
        taps = (*((stem.frames,) if stem.frames > 1 else ()), stem.size, stem.size)
        pixels = scope.build.input("pixels", B, stem.channels * stem.frames, area * seen)
        w = scope.tensor(f"{path}.weight", hidden, stem.channels, *taps)
        x = scope(Convolution((pixels, w, *bias), (B * seen, hidden)), "patch_embed")
    if stem.layouts:
        x = with_layout(scope, x, stem, "pre_tile")
    if stem.start:
        shape = (1, 1, hidden) if stem.batched else (hidden,)
        front = scope.param("class_token", *shape)
        x = scope(Elementwise((x, front), (T, hidden), fn="prepend", per=0), "class_token")
    x = _placed(scope, x, stem)
    return scope.norm(x, "stem_norm", scope.arch.norm) if stem.norm else x


def _placed(scope: Scope, x: Value, stem: Patches) -> Value:
    """Append the learned positions: one a token, or mixed of four where images are of any size."""
    if not stem.rows:
        return x
    if stem.axes > 1:
        return _on_axes(scope, x, stem)
    hidden = scope.arch.hidden
    table = scope.param("positions", *_table(stem), hidden)
    if stem.layouts:
        gate = scope(Activation(scope.param("position_gate", 1), "tanh"), "position_gate")
        x = scope(Elementwise((x, table, gate), x.shape, fn="add", per=2), "position_add")
        wide = stem.tiles * stem.rows * hidden
        return _looked_up(
            scope, x, scope.tensor(_path(scope, "tiles"), stem.layouts + 1, wide), gate
        )
    if stem.merge > 1:  # a product and a sum a row that is near, and the first sum is that with x
        mixed = Elementwise((x, table), x.shape, fn="interpolate", per=2 * stem.near)
        return scope(mixed, "position_add")
    return scope(Add((x, table)), "position_add")


def _table(stem: Patches) -> tuple[int, ...]:
    """Return the sizes of a table of positions before that of a row."""
    if stem.columns:
        return (stem.rows // stem.columns, stem.columns)
    return (1, stem.rows) if stem.batched else (stem.rows,)


def _on_axes(scope: Scope, x: Value, stem: Patches) -> Value:
    """Append a lookup of a patch's place along each axis, each in a table of its own."""
    hidden = scope.arch.hidden
    tables = scope.param("positions", stem.axes, stem.rows, hidden)
    found = []
    for axis in range(stem.axes):
        one = scope(Slice(tables, 0, axis, 1), f"positions_{axis}")
        table = scope(Reshape(one, (stem.rows, hidden)), f"position_rows_{axis}")
        at = scope.build.input(f"position_ids_{axis}", T, encoding=INDEX, role="index")
        found.append(scope(Embedding(at, table), f"position_{axis}"))
    return scope(Add((x, *found)), "position_add")


def with_layout(scope: Scope, x: Value, stem: Patches, role: str) -> Value:
    """Append the embedding of the tiles' layout, a row a tile, scaled by the tanh of a number."""
    wide = stem.tiles * scope.arch.hidden
    table = scope.tensor(_path(scope, role), stem.layouts + 1, wide)
    gate = scope(Activation(scope.param(f"{role}_gate", 1), "tanh"), f"{role}_gate")
    return _looked_up(scope, x, table, gate)


def _looked_up(scope: Scope, x: Value, table: Value, gate: Value) -> Value:
    """Append a lookup of one row an image, which lies beside its tokens, scaled and added."""
    index = scope.build.input("layouts", B, encoding=INDEX, role="index")
    row = scope(Embedding(index, table), "layout")
    return scope(Elementwise((x, row, gate), x.shape, fn="add", per=2), "layout_add")


def _path(scope: Scope, role: str) -> str:
    return f"{scope.arch.names.path(role)}.weight"


def _frames(scope: Scope, stem: Frames) -> Value:
    """Append Whisper's: ``2·S`` mel frames, two convolutions, sinusoids as a table."""
    hidden = scope.arch.hidden
    x = scope.build.input("mel", B, stem.bins, 2 * S)
    for name, width, length in (("conv1", stem.bins, 2 * S), ("conv2", hidden, S)):
        path = scope.arch.names.path(name)
        params = (
            scope.tensor(f"{path}.weight", hidden, width, stem.taps),
            scope.tensor(f"{path}.bias", hidden),
        )
        x = scope(Convolution((x, *params), (B, hidden, length)), name)
        x = scope(Activation(x, "gelu"), f"{name}_act")
    x = scope(Reshape(scope(Transpose(x, (0, 2, 1)), "frames"), (T, hidden)), "frame_rows")
    return scope(Add((x, scope.param("positions", stem.rows, hidden))), "position_add")


def _spectrogram(scope: Scope, stem: Spectrogram) -> Value:
    """Append convolutions that halve frames and bins, and a linear of what is left of each."""
    maps = Maps(scope.build, scope.arch.names.path("subsample"), encoding=scope.encoding)
    x = scope.build.input("mel", B * 2 ** len(stem.channels) * S * stem.bins, 1)
    if stem.separable:
        x = _separable(maps, x, stem)
    for k, width in enumerate(() if stem.separable else stem.channels):
        each = maps.inside(f"conv_{k}")
        x = each.conv(x, "conv", width, 3, 2)
        x = each.group_norm(x, "norm", "cumulative_group_norm", bias=False)
        x = each(Activation(x, "relu"), "act")
    rows = scope(Reshape(x, (T, x.numel / (B * S))), "frame_rows")
    return scope.linear(rows, "stem_proj", scope.arch.hidden, bias=stem.separable)


def _separable(maps: Maps, x: Value, stem: Spectrogram) -> Value:
    """Append Phi-4-multimodal's: standardized bins, a convolution, then pairs of cheaper ones."""
    x = maps(Elementwise((x,), x.shape, fn="standardize", per=2), "standardize")
    first, *others = stem.channels
    x = maps(Activation(maps.conv(x, "0", first, 3, 2, bias=True), "relu"), "act")
    for k, width in enumerate(others):
        x = maps.conv(x, str(3 * k + 2), width, 3, 2, each=True, bias=True)
        x = maps(Activation(maps.conv(x, str(3 * k + 3), width, bias=True), "relu"), "act")
    return x

"""MobileNet V5: inverted bottlenecks and attention over places of an image, two scales fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mansard.core.symbols import B
from mansard.frontends.hf.convnets import ConvBlock, ConvNet
from mansard.frontends.hf.lower.maps import Maps
from mansard.frontends.hf.lower.runs import Run, runs
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.builder import Builder
from mansard.ir.ops import Activation, Add, Join, RMSNorm
from mansard.ir.ops.tensor import Elementwise, Pool
from mansard.ir.region import Repeat
from mansard.ir.value import Value

CHANNELS = 3


def convolved(scope: Scope, net: ConvNet) -> Value:
    """Append the tower; return ``[B·sides², features]``."""
    top = Maps(scope.build, scope.arch.names.path("convnet"), encoding=scope.encoding)
    x = scope.build.input("pixels", B * net.image**2, CHANNELS)
    x = _conv(top, x, "conv_stem", net.stem, 3, 2, bias=True)
    ends = []
    for at, stage in enumerate(net.stages):
        for run in runs(stage):
            x = _run(top, x, at, run, stage[run.first : run.first + run.period])
        ends.append(x)
    return _fused(top.inside("msfa"), ends[-net.fused :], net)


def _run(top: Maps, x: Value, stage: int, run: Run, blocks: Sequence[ConvBlock]) -> Value:
    """Append blocks: as they are, or as the body of a repeat."""

    def fill(build: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        y = given[0]
        for k, block in enumerate(blocks):
            path = f"{top.path}.blocks.{stage}.{run.index(k)}"
            place = replace(top, build=build, path=path, label=f"stages.{stage}.")
            y = BLOCKS[block.kind](place, y, block)
        return (y,)

    if run.trips == 1:
        return fill(top.build, (x,))[0]
    return top.build.region(lambda g, v: Repeat(g, v, run.trips), f"stages.{stage}", (x,), fill)[0]


def _edge(m: Maps, x: Value, b: ConvBlock) -> Value:
    """Append a full convolution to the wide middle, and a linear back."""
    y = m.conv(x, "conv_exp", b.expand * x.shape[-1], b.taps, b.stride)
    y = m(Activation(_norm(m, y, "bn1"), "gelu_tanh"), "act")
    return _skipped(m, x, _norm(m, m.conv(y, "conv_pwl", b.width), "bn2"), b)


def _inverted(m: Maps, x: Value, b: ConvBlock) -> Value:
    y = _bottleneck(m, x, b)
    return _skipped(m, x, _scaled(m, y), b)


def _bottleneck(m: Maps, x: Value, b: ConvBlock) -> Value:
    """Append the universal inverted bottleneck [Qin 2024 MobileNetV4, §3]; the middle is wide."""
    y, wide = x, b.expand * x.shape[-1]
    if b.start:
        stride = 1 if b.taps else b.stride
        y = _conv(m, y, "dw_start", x.shape[-1], b.start, stride, each=True, act=False)
    y = _conv(m, y, "pw_exp", wide)
    if b.taps:
        y = _conv(m, y, "dw_mid", wide, b.taps, b.stride, each=True)
    return _conv(m, y, "pw_proj", b.width, act=False)


def _attention(m: Maps, x: Value, b: ConvBlock) -> Value:
    """Append attention of every place to all, or to every ``kv_stride²``-th [Shazeer 2019]."""
    y = _norm(m, x, "norm")
    inner = m.inside("attn")
    q = inner.conv(y, "query.proj", b.heads * b.head_dim)
    k, v = (_shared(inner.inside(name), y, b) for name in ("key", "value"))
    y = inner.conv(inner.attended(q, k, v, b.heads), "output.proj", b.width)
    return _skipped(m, x, _scaled(m, y), b)


def _shared(m: Maps, x: Value, b: ConvBlock) -> Value:
    if b.kv_stride > 1:
        x = m.conv(x, "down_conv", x.shape[-1], b.taps, b.kv_stride, each=True)
        x = _norm(m, x, "norm")
    return m.conv(x, "proj", b.head_dim)


def _fused(m: Maps, ends: Sequence[Value], net: ConvNet) -> Value:
    """Append the last stages side by side at the places of the first of them, and their means."""
    places = ends[0].shape[0] / B
    grown = [x if x.shape[0] == ends[0].shape[0] else m.grown(x, places, "grown") for x in ends]
    y = m(Join(tuple(grown), 1), "scales")
    block = ConvBlock("uir", net.features, expand=net.expand)
    y = _bottleneck(replace(m.inside("ffn"), label=m.label), y, block)
    rows = B * net.sides**2
    y = m(Pool((y,), (rows, net.features), taps=y.shape[0] / rows), "average")
    return _norm(m, y, "norm")


def _conv(
    m: Maps, x: Value, name: str, out: int, taps: int = 1, stride: int = 1, *, each: bool = False,
    bias: bool = False, act: bool = True,
) -> Value:  # fmt: skip
    """Append a convolution, its norm over channels, and the activation unless told not to."""
    inner = m.inside(name)
    y = _norm(inner, inner.conv(x, "conv", out, taps, stride, each=each, bias=bias), "bn")
    return inner(Activation(y, "gelu_tanh"), "act") if act else y


def _norm(m: Maps, x: Value, name: str) -> Value:
    return m(RMSNorm(x, m.tensor(f"{name}.weight", x.shape[-1])), name)


def _scaled(m: Maps, x: Value) -> Value:
    gamma = m.tensor("layer_scale.gamma", x.shape[-1])
    return m(Elementwise((x, gamma), x.shape, fn="scale"), "layer_scale")


def _skipped(m: Maps, x: Value, y: Value, b: ConvBlock) -> Value:
    """Append the sum with what the block read, where it is as large."""
    return m(Add((x, y)), "add") if x.shape == y.shape else y


BLOCKS: dict[str, Callable[[Maps, Value, ConvBlock], Value]] = {
    "er": _edge,
    "uir": _inverted,
    "mqa": _attention,
}
"""How each kind of block is lowered."""

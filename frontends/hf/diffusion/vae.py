"""The autoencoder of latents (AutoencoderKL): they become an image, and an image becomes them."""

from __future__ import annotations

from mansard.core.records import dataclass
from mansard.core.symbols import B, S
from mansard.frontends.hf.lower.maps import Maps
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.ops import Activation, Add, Linear
from mansard.ir.value import Value

PIXELS, COLORS = 64, 3  # places of an image for each of latents: 8 a side, three halvings


@dataclass(frozen=True)
class Vae:
    """An autoencoder.

    Args:
        latent: channels of latents.
        widths: of the stages, the one nearest the pixels first.
        layers: residual blocks of a stage of the encoder; the decoder has one more.
        quant: a linear stands on either side of the latents.
    """

    latent: int
    widths: tuple[int, ...]
    layers: int
    quant: bool


def decoding(vae: Vae, path: str) -> Graph:
    """Return the graph that makes images of ``S`` latents each."""
    build = Builder()
    top = Maps(build, path)
    x = build.input("latents", B * S, vae.latent)
    if vae.quant:
        x = top.conv(x, "post_quant_conv", vae.latent, bias=True)
    m = top.inside("decoder")
    x = m.conv(x, "conv_in", vae.widths[-1], 3, bias=True)
    x = _middle(m.inside("mid_block"), x)
    for k, width in enumerate(reversed(vae.widths)):
        stage = m.inside(f"up_blocks.{k}")
        x = _blocks(stage, x, width, vae.layers + 1)
        if k + 1 < len(vae.widths):
            x = stage.grown(x, 4 * x.shape[0] / B, "grown")
            x = stage.conv(x, "upsamplers.0.conv", width, 3, bias=True)
    x = _activated(m, x, "conv_norm_out")
    return build.done(m.conv(x, "conv_out", COLORS, 3, bias=True))


def encoding(vae: Vae, path: str) -> Graph:
    """Return the graph that makes ``S`` latents of each image; nothing calls it."""
    build = Builder()
    top = Maps(build, path)
    m = top.inside("encoder")
    x = build.input("pixels", B * S * PIXELS, COLORS)
    x = m.conv(x, "conv_in", vae.widths[0], 3, bias=True)
    for k, width in enumerate(vae.widths):
        stage = m.inside(f"down_blocks.{k}")
        x = _blocks(stage, x, width, vae.layers)
        if k + 1 < len(vae.widths):
            x = stage.conv(x, "downsamplers.0.conv", width, 3, 2, bias=True)
    x = _activated(m, _middle(m.inside("mid_block"), x), "conv_norm_out")
    x = m.conv(x, "conv_out", 2 * vae.latent, 3, bias=True)
    return build.done(top.conv(x, "quant_conv", 2 * vae.latent, bias=True) if vae.quant else x)


def _middle(m: Maps, x: Value) -> Value:
    """Append a residual block, attention of every place to all, and another block."""
    width = int(x.shape[-1])
    x = _resnet(m, x, width, 0)
    a = m.inside("attentions.0")
    y = a.group_norm(x, "group_norm")
    q, k, v = (_linear(a, y, f"to_{name}") for name in "qkv")
    x = a(Add((x, _linear(a, a.attended(q, k, v, 1), "to_out.0"))), "add")
    return _resnet(m, x, width, 1)


def _blocks(m: Maps, x: Value, width: int, times: int) -> Value:
    for r in range(times):
        x = _resnet(m, x, width, r)
    return x


def _resnet(stage: Maps, x: Value, width: int, index: int) -> Value:
    """Append two convolutions, each after a norm and an activation, beside a shortcut.

    Ops of blocks that are alike have one name; a block that changes the width has its own.
    """
    label = "" if width == x.shape[-1] else None
    m = stage.inside(f"resnets.{index}", label=label)
    y = m.conv(_activated(m, x, "norm1"), "conv1", width, 3, bias=True)
    y = m.conv(_activated(m, y, "norm2"), "conv2", width, 3, bias=True)
    if x.shape != y.shape:
        x = m.conv(x, "conv_shortcut", width, bias=True)
    return m(Add((x, y)), "add")


def _activated(m: Maps, x: Value, norm: str) -> Value:
    return m(Activation(m.group_norm(x, norm), "silu"), f"{norm}.act")


def _linear(m: Maps, x: Value, name: str) -> Value:
    width = x.shape[-1]
    w, b = m.tensor(f"{name}.weight", width, width), m.tensor(f"{name}.bias", width)
    return m(Linear(x, w, b), name)

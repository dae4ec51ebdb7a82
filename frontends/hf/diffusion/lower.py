"""From a denoiser to a program: one graph for a step, called as often as the schedule has steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import sympy as sp

from mansard.core.symbols import B, M, P, R, S, T, batch
from mansard.frontends.hf.diffusion.blocks import IMAGE, Block, features
from mansard.frontends.hf.diffusion.companions import Companions
from mansard.frontends.hf.diffusion.config import Denoiser
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.ops import Activation, Add, Embedding, Linear, Reshape, Slice
from mansard.ir.program import TARGET, Call, Loop, Origin, Program
from mansard.ir.region import Repeat
from mansard.ir.value import Value

SINUSOIDS = 256  # numbers a time step or a strength is written as: diffusers, embeddings.py
NOISE = "noise"


def denoising(d: Denoiser, origin: Origin, beside: Companions | None = None) -> Program:
    """Return the program of an image: ``steps`` calls of one graph, and what stands around them."""
    images = batch * d.copies
    tokens = d.image + d.text
    bind = {B: images, S: sp.Integer(tokens), P: sp.S.Zero, T: images * tokens,
            R: images * d.image, M: sp.Integer(d.text)}  # fmt: skip
    step = Call(TARGET, bind, wants=(NOISE,), phase="denoise")
    loop = Loop((step,), sp.Integer(d.steps), yields=sp.S.One, phase="denoise")
    graphs = {TARGET: step_graph(d)}
    if beside is None:
        return Program(graphs, (loop,), origin=origin)
    graphs = {**beside.graphs, **graphs}
    origin = replace(origin, parts=tuple(graphs))
    return Program(graphs, (*beside.before, loop, *beside.after), origin=origin)


def step_graph(d: Denoiser) -> Graph:
    """Return the graph of one step over ``B`` images of ``S`` tokens, ``M`` of them text."""
    build = Builder()
    top = Block(d, build)
    x = _patches(top)
    if d.plain:
        return build.done(*_plain(top, x))
    c = _condition(top)
    text = build.input("text", B * M, d.text_width)
    ctx = top.linear(text, "context_embedder", d.hidden)
    last = d.double if d.single else d.double - 1  # without single blocks the text ends early
    x, ctx = _repeated(top, "transformer_blocks", last, (x, ctx), (c,), _double)
    if last < d.double:
        x = _last(Block(d, build, f"transformer_blocks.{last}", "last."), x, ctx, c)
    if d.single:
        y = top.joined((ctx, x), "streams")
        (y,) = _repeated(top, "single_transformer_blocks", d.single, (y,), (c,), _single)
        x = top(Slice(y, 0, B * M, IMAGE), "image")
    scale, shift = top.modulation(c, "norm_out.linear", 2)
    return build.done(_out(top, top.normed(x, shift, scale, "norm_out"), "proj_out"))


def _patches(top: Block) -> Value:
    """Append the embedding of the image's tokens: a convolution whose windows do not overlap."""
    d = top.d
    rows = top.build.input("latents", IMAGE if d.text else T, d.channels)
    if not d.patch:
        return top.linear(rows, "x_embedder", d.hidden)
    inner = (d.hidden, d.channels // d.patch**2, d.patch, d.patch)
    w = top.tensor("pos_embed.proj.weight", *inner)
    flat = top(Reshape(w, (sp.Integer(d.hidden), sp.Integer(d.channels))), "pos_embed.flat")
    return top(Linear(rows, flat, top.tensor("pos_embed.proj.bias", d.hidden)), "pos_embed.proj")


def _condition(top: Block) -> Value:
    """Append the vector that modulates every block: of the step, the text, the guidance."""
    d, parts = top.d, []
    inputs = [("timestep", SINUSOIDS), ("guidance", SINUSOIDS), ("text", d.pooled)]
    for name, width in inputs if d.guidance else (inputs[0], inputs[2]):
        y = features(top.build, f"{name}_features", width)
        y = top.linear(y, f"time_text_embed.{name}_embedder.linear_1", d.hidden)
        y = top(Activation(y, "silu"), f"time_text_embed.{name}_embedder.act")
        parts.append(top.linear(y, f"time_text_embed.{name}_embedder.linear_2", d.hidden))
    return top(Add(tuple(parts)), "condition")


def _repeated(
    top: Block, name: str, times: int, streams: Sequence[Value], given: Sequence[Value],
    fill: Callable[..., tuple[Value, ...]], first: int = 0,
) -> tuple[Value, ...]:  # fmt: skip
    """Append ``times`` equal blocks as the body of a repeat; return the streams after them.

    ``given`` goes to every block as it is; ``first`` is the index of the first one.
    """
    index = f"{{i+{first}}}" if first else "{i}"

    def body(inner: Builder, values: tuple[Value, ...]) -> tuple[Value, ...]:
        return fill(Block(top.d, inner, f"{name}.{index}", f"{name}."), *values)

    ins = (*streams, *given)
    return top.build.region(lambda g, v: Repeat(g, v, sp.Integer(times)), name, ins, body)


def _double(b: Block, x: Value, ctx: Value, c: Value) -> tuple[Value, Value]:
    mod, own = b.modulation(c, "norm1.linear", 6), b.modulation(c, "norm1_context.linear", 6)
    y, z = _joint(
        b, b.normed(x, mod[0], mod[1], "norm1"), b.normed(ctx, own[0], own[1], "norm1_context")
    )
    return (
        _second(b, b.gated(x, b.linear(y, "attn.to_out.0", b.d.hidden), mod[2], "attn.add"), mod,
                "norm2", "ff"),
        _second(b, b.gated(ctx, b.linear(z, "attn.to_add_out", b.d.hidden), own[2],
                           "attn_context.add"), own, "norm2_context", "ff_context"),
    )  # fmt: skip


def _last(b: Block, x: Value, ctx: Value, c: Value) -> Value:
    """Append the block after which nobody reads the text."""
    mod, own = b.modulation(c, "norm1.linear", 6), b.modulation(c, "norm1_context.linear", 2)
    y, _ = _joint(
        b, b.normed(x, mod[0], mod[1], "norm1"), b.normed(ctx, own[0], own[1], "norm1_context")
    )
    x = b.gated(x, b.linear(y, "attn.to_out.0", b.d.hidden), mod[2], "attn.add")
    return _second(b, x, mod, "norm2", "ff")


def _second(b: Block, x: Value, mod: list[Value], norm: str, ff: str) -> Value:
    return b.gated(x, b.fed(b.normed(x, mod[3], mod[4], norm), ff), mod[5], f"{ff}.add")


def _joint(b: Block, x: Value, ctx: Value) -> tuple[Value, Value]:
    """Append attention over both streams; return what the image and the text get of it."""
    pairs = []
    for own, added, norm in (("to_q", "add_q_proj", "q"), ("to_k", "add_k_proj", "k"),
                             ("to_v", "add_v_proj", "")):  # fmt: skip
        image, text = (b.linear(y, f"attn.{n}", b.d.hidden) for y, n in ((x, own), (ctx, added)))
        if norm:
            image = b.headed(image, f"attn.norm_{norm}")
            text = b.headed(text, f"attn.norm_added_{norm}")
        pairs.append(b.joined((text, image), f"attn.{own}.both"))
    out = b.attended(*pairs)
    return b(Slice(out, 0, B * M, IMAGE), "attn.image"), b(Slice(out, 0, 0, B * M), "attn.text")


def _single(b: Block, y: Value, c: Value) -> tuple[Value]:
    shift, scale, gate = b.modulation(c, "norm.linear", 3)
    z = b.normed(y, shift, scale, "norm")
    mlp = b(Activation(b.linear(z, "proj_mlp", 4 * b.d.hidden), "gelu_tanh"), "act_mlp")
    q, k, v = (b.linear(z, f"attn.to_{name}", b.d.hidden) for name in "qkv")
    out = b.attended(b.headed(q, "attn.norm_q"), b.headed(k, "attn.norm_k"), v)
    both = b.joined((out, mlp), "both", axis=1)
    return (b.gated(y, b.linear(both, "proj_out", b.d.hidden), gate, "add"),)


def _plain(top: Block, x: Value) -> tuple[Value, ...]:
    """Append DiT's blocks; each embeds time and class anew, as ``diffusers`` stores them."""
    d, build = top.d, top.build
    times = features(build, "timestep_features", SINUSOIDS)
    label = build.input("class_labels", B, role="index")

    def block(b: Block, y: Value, t: Value, k: Value) -> tuple[Value]:
        mod = b.modulation(_time_and_class(b, t, k), "norm1.linear", 6)
        z = b.normed(y, mod[0], mod[1], "norm1")
        q, key, v = (b.linear(z, f"attn1.to_{name}", d.hidden) for name in "qkv")
        y = b.gated(y, b.linear(b.attended(q, key, v), "attn1.to_out.0", d.hidden), mod[2], "add")
        return (_second(b, y, mod, "norm2", "ff"),)

    # The first block's embedding is read again at the end, so that block is no copy of the others.
    (x,) = block(Block(d, build, "transformer_blocks.0", "first."), x, times, label)
    if d.plain > 1:
        (x,) = _repeated(top, "transformer_blocks", d.plain - 1, (x,), (times, label), block, 1)
    first = Block(d, build, "transformer_blocks.0", "out.")
    again = top(Activation(_time_and_class(first, times, label), "silu"), "out.act")
    made = top.linear(again, "proj_out_1", 2 * d.hidden)
    shift, scale = (top(Slice(made, 1, k * d.hidden, d.hidden), f"out.{k}") for k in range(2))
    return (_out(top, top.normed(x, shift, scale, "norm_out"), "proj_out_2"),)


def _time_and_class(b: Block, times: Value, label: Value) -> Value:
    y = b.linear(times, "norm1.emb.timestep_embedder.linear_1", b.d.hidden)
    y = b(Activation(y, "silu"), "norm1.emb.timestep_embedder.act")
    y = b.linear(y, "norm1.emb.timestep_embedder.linear_2", b.d.hidden)
    table = b.tensor("norm1.emb.class_embedder.embedding_table.weight", b.d.classes, b.d.hidden)
    return b(Add((y, b(Embedding(label, table), "norm1.emb.class_embedder"))), "norm1.emb")


def _out(top: Block, x: Value, name: str) -> Value:
    w = top.tensor(f"{name}.weight", top.d.out, x.shape[-1])
    return top.build(Linear(x, w, top.tensor(f"{name}.bias", top.d.out), name=name), NOISE)

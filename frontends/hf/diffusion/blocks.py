"""Blocks modulated by a vector of each image: norms without weights, scaled, shifted, gated."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, ExprLike, M, S, T
from mansard.frontends.hf.diffusion.config import Denoiser
from mansard.ir.builder import Builder
from mansard.ir.mask import Mask
from mansard.ir.op import Op
from mansard.ir.ops import (
    Activation,
    Join,
    LayerNorm,
    Linear,
    Reshape,
    RMSNorm,
    Rope,
    Scores,
    Slice,
    Softmax,
    Transpose,
    Values,
)
from mansard.ir.ops.tensor import Elementwise
from mansard.ir.value import Value

FULL = Mask("full")
IMAGE = T - B * M
"""Rows of the image's stream, where ``M`` tokens of each sequence are text."""


@dataclass(frozen=True)
class Block:
    """Where a block is built.

    Args:
        prefix: of its tensors: ``transformer_blocks.{i}``; empty outside of blocks.
    """

    d: Denoiser
    build: Builder
    prefix: str = ""
    label: str = ""

    def __call__(self, op: Op, name: str) -> Value:
        """Append an op under a name of this block."""
        return self.build(op, self.label + name)

    def tensor(self, name: str, *shape: ExprLike) -> Value:
        """Return a weight by the checkpoint's name."""
        return self.build.leaf(f"{self.prefix}.{name}" if self.prefix else name, *shape)

    def linear(self, x: Value, name: str, out: int) -> Value:
        """Append a linear with a bias."""
        w = self.tensor(f"{name}.weight", out, x.shape[-1])
        return self(Linear(x, w, self.tensor(f"{name}.bias", out)), name)

    def modulation(self, c: Value, name: str, parts: int) -> list[Value]:
        """Return ``parts`` vectors of each image from ``silu(c)``: shifts, scales, gates."""
        d = self.d.hidden
        made = self.linear(self(Activation(c, "silu"), f"{name}.act"), name, parts * d)
        return [self(Slice(made, 1, k * d, d), f"{name}.{k}") for k in range(parts)]

    def normed(self, x: Value, shift: Value, scale: Value, name: str) -> Value:
        """Append ``norm(x)·(1 + scale) + shift``; the norm has no weights."""
        y = self(LayerNorm(x), name)
        op = Elementwise((y, scale, shift), x.shape, fn="modulate", per=sp.Integer(2))
        return self(op, f"{name}.modulate")

    def gated(self, x: Value, y: Value, gate: Value, name: str) -> Value:
        """Append ``x + gate·y``."""
        return self(Elementwise((x, y, gate), x.shape, fn="gate", per=sp.Integer(2)), name)

    def fed(self, x: Value, name: str) -> Value:
        """Append a feed-forward block of four times the width."""
        y = self.linear(x, f"{name}.net.0.proj", 4 * self.d.hidden)
        y = self(Activation(y, "gelu_tanh"), f"{name}.act")
        return self.linear(y, f"{name}.net.2", self.d.hidden)

    def headed(self, x: Value, norm: str) -> Value:
        """Append the norm a head of queries or keys, where the model has one."""
        if not self.d.head_norm:
            return x
        w = self.tensor(f"{norm}.weight", self.d.head_dim)
        return self(RMSNorm(x, w, sp.Integer(self.d.head_dim)), norm)

    def attended(self, q: Value, k: Value, v: Value, tokens: Expr = S) -> Value:
        """Append attention of all tokens of a sequence to all of them."""
        d = self.d
        if d.rotary:
            q = self(Rope(q, d.heads, d.rotary), "q_rope")
            k = self(Rope(k, d.heads, d.rotary), "k_rope")
        keys, values = (self._heads(x, name, tokens) for x, name in ((k, "k"), (v, "v")))
        weights = self(Softmax(self(Scores(q, keys, d.heads, FULL), "scores")), "softmax")
        return self(Values(weights, values, (T,), FULL), "values")

    def joined(self, parts: Sequence[Value], name: str, axis: int = 0) -> Value:
        """Append streams one behind another, or features side by side."""
        return self(Join(tuple(parts), sp.Integer(axis)), name)

    def _heads(self, x: Value, name: str, tokens: Expr) -> Value:
        shape = (B, tokens, sp.Integer(self.d.heads), sp.Integer(self.d.head_dim))
        rows = self(Reshape(x, shape), f"{name}_rows")
        return self(Transpose(rows, tuple(map(sp.Integer, (0, 2, 1, 3)))), f"{name}_heads")


def features(build: Builder, name: str, width: int) -> Value:
    """Declare a vector of each image that the caller hands over."""
    return build.input(name, B, width, encoding=Encoding("bf16"))

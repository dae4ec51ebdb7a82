"""Hypothesis strategies: small models and small graphs, every dimension drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from mansard.core.symbols import T
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.ops import Activation, Add, Linear, RMSNorm
from mansard.ir.value import Value

LINEAR, NORM, ACTIVATION, RESIDUAL = "linear", "norm", "activation", "residual"


@st.composite
def small_configs(draw: st.DrawFn) -> Mapping[str, Any]:
    """Draw the config of a small decoder: ``ms.load(config)`` makes a program of it."""
    kv_heads = draw(st.integers(1, 4))
    heads = kv_heads * draw(st.integers(1, 4))
    head_dim = 2 ** draw(st.integers(3, 6))
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": heads * head_dim,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "num_hidden_layers": draw(st.integers(1, 4)),
        "intermediate_size": draw(st.integers(1, 32)) * 16,
        "vocab_size": draw(st.integers(2, 512)),
        "tie_word_embeddings": draw(st.booleans()),
        "max_position_embeddings": 4096,
        "torch_dtype": draw(st.sampled_from(("bfloat16", "float16", "float32"))),
    }


@st.composite
def small_graphs(draw: st.DrawFn, most: int = 6) -> Graph:
    """Draw a graph of a few ops in a row: products, norms, activations, residual additions.

    Args:
        draw: of hypothesis.
        most: how many ops at most.
    """
    b = Builder()
    width = draw(st.integers(1, 64)) * 8
    x = b.input("x", T, width)
    for k in range(draw(st.integers(1, most))):
        x = _next(draw, b, x, k)
    return b.done(x)


def _next(draw: st.DrawFn, b: Builder, x: Value, k: int) -> Value:
    width = int(x.shape[-1])
    match draw(st.sampled_from((LINEAR, NORM, ACTIVATION, RESIDUAL))):
        case "linear":
            new = draw(st.integers(1, 64)) * 8
            return b(Linear(x, b.leaf(f"layers.{k}.weight", new, width)), f"linear{k}")
        case "norm":
            return b(RMSNorm(x, b.leaf(f"norms.{k}.weight", width)), f"norm{k}")
        case "activation":
            return b(Activation(x, draw(st.sampled_from(("relu", "silu")))), f"act{k}")
        case _:
            inner = b(Linear(x, b.leaf(f"blocks.{k}.weight", width, width)), f"block{k}")
            return b(Add((x, inner)), f"add{k}")

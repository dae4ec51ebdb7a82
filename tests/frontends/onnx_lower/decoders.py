"""A small decoder as exporters write them: 4 query heads of 8, 2 key heads, hidden 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from tests.frontends.onnx.graphs import Inputs, model

VOCABULARY = 40


def decoder(layers: int) -> tuple[list[object], Inputs, list[str], dict[str, tuple[int, ...]]]:
    """Return nodes, inputs, outputs and shapes of weights of a decoder without a head."""
    nodes: list[object] = []
    inputs: Inputs = {"inputs_embeds": ("f", ["batch", "sequence", 32])}
    weights: dict[str, tuple[int, ...]] = {}
    x = "inputs_embeds"
    for i in range(layers):
        past = [f"past_key_values.{i}.{half}" for half in ("key", "value")]
        inputs |= {name: ("f", ["batch", 2, "past_sequence", 8]) for name in past}
        for role, width in (("q", 32), ("k", 16), ("v", 16), ("o", 32)):
            weights[f"model.layers.{i}.self_attn.{role}_proj.weight"] = (32, width)
        w = [f"model.layers.{i}.self_attn.{r}_proj.weight" for r in "qkvo"]
        nodes += [helper.make_node("MatMul", [x, w[k]], [f"{r}{i}"]) for k, r in enumerate("qkv")]
        nodes.append(
            helper.make_node(
                "Attention", [f"q{i}", f"k{i}", f"v{i}", "", *past],
                [f"a{i}", f"present.{i}.key", f"present.{i}.value"],
                q_num_heads=4, kv_num_heads=2, is_causal=1,
            )
        )  # fmt: skip
        nodes += [helper.make_node("MatMul", [f"a{i}", w[3]], [f"o{i}"]),
                  helper.make_node("Add", [x, f"o{i}"], [f"x{i}"])]  # fmt: skip
        x = f"x{i}"
    presents = [f"present.{i}.{half}" for i in range(layers) for half in ("key", "value")]
    return nodes, inputs, [x, *presents], weights


def language_model(
    layers: int, extra: list[object] | None = None
) -> tuple[list[object], Inputs, list[str], dict[str, tuple[int, ...]]]:
    """Return a decoder with an embedding and a head, and nodes of one's own before its layers."""
    nodes, inputs, outputs, weights = decoder(layers)
    del inputs["inputs_embeds"]
    embed = helper.make_node("Gather", ["model.embed_tokens.weight", "input_ids"], ["embedded"])
    before = [embed, *(extra or [helper.make_node("Identity", ["embedded"], ["inputs_embeds"])])]
    head = helper.make_node("MatMul", [outputs[0], "lm_head.weight"], ["logits"])
    weights = {"model.embed_tokens.weight": (VOCABULARY, 32), **weights,
               "lm_head.weight": (32, VOCABULARY)}  # fmt: skip
    inputs = {"input_ids": ("l", ["batch", "sequence"]), **inputs}
    return [*before, *nodes, head], inputs, ["logits", *outputs[1:]], weights


def saved(folder: Path, layers: int = 2, extra: list[object] | None = None) -> Path:
    """Write a language model to a file."""
    nodes, inputs, outputs, weights = language_model(layers, extra)
    stored = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()]
    path = folder / "small.onnx"
    onnx.save(model(nodes, inputs, outputs, stored, 23), path)
    return path

"""Names of ops: what the model's people call them, as far as the file's names say it."""

from __future__ import annotations

import re

_LAYER = re.compile(r"(?:^|[./_])(?:layers?|h|blocks?)[./](\d+)[./]")
_ENDS = re.compile(
    r"(?:[./](?:weight|bias|MatMul|Gemm|Add|Gather)|_(?:quantized|Q4|qweight|scale|transposed))+$"
)
_MADE = re.compile(r"^(?:onnx::|val_|node_|_?to_copy|const|packed_)|::|^\d+$")
_ROLES: tuple[tuple[str, str], ...] = (
    ("attention.output.dense", "o_proj"), ("intermediate.dense", "up_proj"),
    ("output.dense", "down_proj"), ("attention.output.LayerNorm", "attn_norm"),
    ("output.LayerNorm", "ffn_norm"), ("embeddings.LayerNorm", "embed_norm"),
    ("attn.c_attn", "qkv_proj"), ("attn.c_proj", "o_proj"), ("mlp.c_fc", "up_proj"),
    ("mlp.c_proj", "down_proj"), ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"), ("ln_1", "attn_norm"), ("ln_2", "ffn_norm"),
    ("ln_f", "final_norm"), ("model.norm", "final_norm"), ("final_norm_layernorm", "final_norm"),
    ("embed_tokens", "embed"), ("word_embeddings", "embed"), ("wte", "embed"),
    ("position_embeddings", "positions"), ("wpe", "positions"), ("self.query", "q_proj"),
    ("self.key", "k_proj"), ("self.value", "v_proj"),
)  # fmt: skip
"""Ends of a module's path → the role it has in configs' programs, the more specific first."""


def layer_of(path: str) -> int | None:
    """Return the index of the layer a path lies in.

    >>> layer_of("model.layers.7.self_attn.q_proj.weight"), layer_of("lm_head.weight")
    (7, None)
    """
    found = _LAYER.search(f"{path}/")
    return int(found[1]) if found else None


def is_made_up(name: str) -> bool:
    """Whether an exporter made the name up, so that it says nothing about the model."""
    return bool(_MADE.search(name)) or not re.search(r"[./]", name)


def label_of(path: str) -> str:
    """Return the name of an op from the path of its weight or its node.

    >>> label_of("model.layers.0.self_attn.q_proj.weight"), label_of("lm_head.weight")
    ('layers.q_proj', 'lm_head')
    >>> label_of("transformer.h.3.mlp.c_fc.weight")
    'layers.up_proj'
    """
    dotted = _ENDS.sub("", path).replace("/", ".").strip(".")
    dotted = _ENDS.sub("", dotted)
    role = next((role for end, role in _ROLES if f".{dotted}".endswith(f".{end}")), None)
    role = role or re.sub(r"\W+", "_", dotted.rsplit(".", 1)[-1]).strip("_") or "op"
    inside = layer_of(path) is not None and role != "final_norm"
    return f"layers.{role}" if inside else role


def snake(op: str) -> str:
    """Return an operator's name in lower case: ``ReduceMean`` → ``reduce_mean``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", op).lower()

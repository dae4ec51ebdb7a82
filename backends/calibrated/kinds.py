"""Kinds of kernels and networks, as the accuracy page names them: the forms each is made of."""

from __future__ import annotations

MLA = ("mla_prefill", "mla_decode", "mla_module")
OPS: dict[str, tuple[str, ...]] = {
    "GEMM": ("gemm",),
    "MLA": MLA,
    "collectives": ("collective",),
    "decode attention": ("attention_decode",),
    "prefill attention": ("attention_prefill",),
    "MoE": ("moe",),
    "batched GEMM of MLA": ("batched_gemm",),
    "DeepEP dispatch and combine": ("dispatch",),
    "norms, activations, quantise": ("stream",),
    "linear attention, SSM": ("scan",),
}
NETWORKS: dict[str, tuple[str, ...]] = {
    "static batches, kernels and engine": ("engine",),
    "first tokens of static batches": ("engine first",),
    "served tokens": ("network served",),
}

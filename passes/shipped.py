"""The techniques mansard ships: the one list of them, which imports none."""

from __future__ import annotations

TECHNIQUES = (
    "absorb_mla:AbsorbMla",
    "batch_continuously:BatchContinuously",
    "chunk_prefill:ChunkPrefill",
    "contextual_sparsity:ContextualSparsity",
    "disaggregate:Disaggregate",
    "exit_early:ExitEarly",
    "fuse_attention:FuseAttention",
    "fuse_elementwise:FuseElementwise",
    "limit_kv:LimitKv",
    "low_rank:LowRank",
    "merge_qkv:MergeQkv",
    "mixture_of_depths:MixtureOfDepths",
    "moe_routing:MoeRouting",
    "offload:Offload",
    "page_kv:PageKv",
    "parallel:Parallel",
    "prune:Prune",
    "prune_tokens:PruneTokens",
    "quantize:Quantize",
    "reuse_prefix:ReusePrefix",
    "skip_layers:SkipLayers",
    "speculative_decode:SpeculativeDecode",
    "split_decode_attention:SplitDecodeAttention",
)
"""Module and class of each, in the order of their names; a module is called as its technique."""


def class_homes() -> dict[str, str]:
    """Return class → module."""
    return {cls: module for module, _, cls in (place.partition(":") for place in TECHNIQUES)}


def technique_homes() -> dict[str, tuple[str, str]]:
    """Return technique → (module, class)."""
    return {module.replace("_", "-"): (module, cls) for cls, module in class_homes().items()}

"""Techniques and backends that mansard bundles as plugins: the public API only, one file each.

Each module is called as what it adds, and nothing is imported before it is asked for.
"""

TECHNIQUES: tuple[str, ...] = (
    "branch_decode:BranchDecode",
    "cascade:Cascade",
    "compress_collectives:CompressCollectives",
    "compress_prompt:CompressPrompt",
    "entropy_code:EntropyCode",
    "linear_attention:LinearAttentionSwap",
    "lookahead_decode:LookaheadDecode",
    "low_rank_attention:LowRankAttention",
    "replace_model:ReplaceModel",
    "reshard:Reshard",
    "retrieve:Retrieve",
    "rotate_activations:RotateActivations",
    "route:Route",
    "sample_answers:SampleAnswers",
    "select_keys:SelectKeys",
    "share_kv:ShareKv",
    "soft_prompt:SoftPrompt",
    "trim_vocabulary:TrimVocabulary",
    "vector_quantize:VectorQuantize",
)
"""Module and class of each technique, by name."""

BACKENDS = (
    "caches:Caches",
    "carbon:Carbon",
    "dataflow:Dataflow",
    "energy:Energy",
    "launches:Launches",
    "pim:Pim",
)
"""Module and class of each backend, by name."""

OPS: tuple[str, ...] = (
    "entropy_code:Decompress",
    "low_rank_attention:ProjectTokens",
    "reshard:MoveShard",
    "rotate_activations:Hadamard",
    "select_keys:ScanPages",
    "vector_quantize:LookUpCodes",
)
"""Module and class of each op that techniques here insert."""

"""The operators: each states its shape rule and its cost, once."""

from mansard.ir.ops.attention import Alibi, RelativeBias, Scores, Softmax, Values
from mansard.ir.ops.block_linear import BlockLinear
from mansard.ir.ops.cache import Append, Store
from mansard.ir.ops.elementwise import (
    Activation,
    Add,
    GatedActivation,
    Multiply,
    Rope,
    Scale,
    SoftCap,
)  # fmt: skip
from mansard.ir.ops.embedding import Embedding
from mansard.ir.ops.index import KeepChosen, WeighHeads
from mansard.ir.ops.linear import GroupedLinear, Linear
from mansard.ir.ops.moe import Combine, Dispatch, TopK
from mansard.ir.ops.norm import LayerNorm, RMSNorm
from mansard.ir.ops.quantization import Cast, Dequantize, Quantize
from mansard.ir.ops.streams import GatherStreams, MixStreams, RemixStreams, SpreadStream
from mansard.ir.ops.transfer import Collective, Copy
from mansard.ir.ops.views import Join, LastRows, Reshape, Slice, Transpose

__all__ = [
    "Activation",
    "Add",
    "Alibi",
    "Append",
    "BlockLinear",
    "Cast",
    "Collective",
    "Combine",
    "Copy",
    "Dequantize",
    "Dispatch",
    "Embedding",
    "GatedActivation",
    "GatherStreams",
    "GroupedLinear",
    "Join",
    "KeepChosen",
    "LastRows",
    "LayerNorm",
    "Linear",
    "MixStreams",
    "Multiply",
    "Quantize",
    "RMSNorm",
    "RelativeBias",
    "RemixStreams",
    "Reshape",
    "Rope",
    "Scale",
    "Scores",
    "Slice",
    "SoftCap",
    "Softmax",
    "SpreadStream",
    "Store",
    "TopK",
    "Transpose",
    "Values",
    "WeighHeads",
]  # fmt: skip

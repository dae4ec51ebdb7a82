"""How each op works on divided operands: one rule an op, and an error for what has none."""

from __future__ import annotations

from collections.abc import Callable

from mansard.core.errors import SpecError
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    Add,
    Append,
    BlockLinear,
    Combine,
    Dispatch,
    Embedding,
    GatherStreams,
    GroupedLinear,
    Join,
    KeepChosen,
    LastRows,
    LayerNorm,
    Linear,
    MixStreams,
    Multiply,
    Reshape,
    RMSNorm,
    Rope,
    Scale,
    Scores,
    Slice,
    Softmax,
    SpreadStream,
    TopK,
    Transpose,
    Values,
    WeighHeads,
)
from mansard.ir.ops.eviction import AccumulateScores, CompressCache
from mansard.ir.ops.paging import Paged
from mansard.ir.ops.partial_values import MergePartials
from mansard.ir.ops.recent import AppendRecent
from mansard.ir.ops.recurrent import Recurrence
from mansard.ir.ops.summaries import Summarize
from mansard.ir.ops.tensor import (
    Elementwise,
    MatMul,
    RecurrentCell,
    Reduce,
    Scatter,
    TensorOp,
)
from mansard.passes.parallel.attention_rules import (
    accumulate_rule,
    append_recent_rule,
    append_rule,
    compress_rule,
    merge_partials_rule,
    paged_rule,
    rope_rule,
    scores_rule,
    softmax_rule,
    values_rule,
)
from mansard.passes.parallel.elementwise_rules import (
    add_rule,
    first_rule,
    follow_rule,
    linear_map_rule,
    multiply_rule,
    norm_rule,
    whole_rule,
)
from mansard.passes.parallel.layout import Sharding
from mansard.passes.parallel.mixer_rules import recurrence_rule
from mansard.passes.parallel.product_rules import (
    block_linear_rule,
    combine_rule,
    embedding_rule,
    grouped_rule,
    linear_rule,
)
from mansard.passes.parallel.sharder import Sharder
from mansard.passes.parallel.tensor_rules import broadcast_rule, matmul_rule, reduce_rule
from mansard.passes.parallel.view_rules import (
    join_rule,
    last_rows_rule,
    reshape_rule,
    slice_rule,
    transpose_rule,
)

Rule = Callable[[Sharder, Graph, Op], Sharding | tuple[Sharding, ...]]


def rule_of(op: Op, axis: str) -> Rule:
    """Return the rule of an op's class.

    Raises:
        SpecError: neither it nor a class it derives from has one.
    """
    for cls in type(op).__mro__:
        if cls in RULES:
            return RULES[cls]
    if op.is_elementwise or op.kind in FOLLOWING:
        return follow_rule
    raise SpecError(
        f"parallel knows no rule how {op.kind} %{op.out.name} works on a value that is divided "
        f"over {axis.partition('@')[0]}",
        hint="leave that axis at 1, or put the technique that made the op after parallel",
    )


ORIGINS = (Linear, GroupedLinear, Embedding, Combine)
"""Ops that may divide what no operand divides."""
HANDLE_PARTIAL = (Add, Multiply, Scale, Combine)
"""Ops that may work on summands; before every other the summands are added up."""
FOLLOWING = ("dequantize", "quantize", "alibi")
"""Ops besides elementwise ones whose result is divided as their operands are."""
RULES: dict[type[Op], Rule] = {
    Linear: linear_rule,
    GroupedLinear: grouped_rule,
    BlockLinear: block_linear_rule,
    Embedding: embedding_rule,
    Append: append_rule,
    AppendRecent: append_recent_rule,
    Scores: scores_rule,
    Softmax: softmax_rule,
    Values: values_rule,
    MergePartials: merge_partials_rule,
    AccumulateScores: accumulate_rule,
    CompressCache: compress_rule,
    KeepChosen: first_rule,
    Rope: rope_rule,
    RMSNorm: norm_rule,
    LayerNorm: norm_rule,
    Slice: slice_rule,
    Reshape: reshape_rule,
    Transpose: transpose_rule,
    Join: join_rule,
    LastRows: last_rows_rule,
    Paged: paged_rule,
    Add: add_rule,
    Multiply: multiply_rule,
    Scale: linear_map_rule,
    Combine: combine_rule,
    Recurrence: recurrence_rule,
    Elementwise: broadcast_rule,
    MatMul: matmul_rule,
    Reduce: reduce_rule,
    **dict.fromkeys((TensorOp, Scatter, RecurrentCell), whole_rule),
    **dict.fromkeys((TopK, Dispatch, WeighHeads, MixStreams, SpreadStream), whole_rule),
    **dict.fromkeys((GatherStreams, Summarize), whole_rule),
}

"""A norm over an axis that is divided: gathered, normed whole, and each rank keeps its part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mansard.ir.graph import Graph
from mansard.ir.op import finish
from mansard.ir.ops import LayerNorm, Linear, RMSNorm, Slice
from mansard.ir.value import Value
from mansard.passes.labels import maker, readers
from mansard.passes.parallel.layout import Sharding, Split

if TYPE_CHECKING:
    from mansard.passes.parallel.sharder import Sharder


def normed(s: Sharder, graph: Graph, op: RMSNorm | LayerNorm, x: Split) -> Sharding:
    """Plan a norm over a divided axis; a narrow projection in front of another stays whole."""
    if _is_bottleneck(graph, op):
        return s.refuse(op, op.x)
    gather = s.collective(op.x, "all_gather", graph.producers[op.x].name, op.x.shape)
    whole = Value(s.fresh(f"{op.out.name}.whole"), op.out.type)
    name = s.fresh(f"{op.out.name}.own")
    own = finish(Slice(whole, x.axis, 0, x.local, kernel=op.kernel), name)
    plan = s.plan(op)
    plan.before.append(gather)
    plan.operands[op.x] = gather.out
    plan.attributes["outs"] = (whole,)
    plan.after.append(own.explained(s.why))
    plan.swapped[op.out] = own.out
    return x


def _is_bottleneck(graph: Graph, op: RMSNorm | LayerNorm) -> bool:
    """Whether the norm stands between a product and another: a low-rank projection."""
    return isinstance(maker(graph, op.x), Linear) and any(
        isinstance(user, Linear) for user in readers(graph, op.out)
    )

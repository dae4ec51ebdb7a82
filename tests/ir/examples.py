"""Small graphs that the tests of the IR share: one example of every op class."""

from __future__ import annotations

import sympy as sp

from mansard.core.dtypes import FORMATS, Encoding, stored
from mansard.core.symbols import B, M, P, R, S, T, ceil_div, least, symbol
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.op import Op, View
from mansard.ir.ops import (
    Activation,
    Add,
    Alibi,
    Append,
    BlockLinear,
    Cast,
    Collective,
    Combine,
    Copy,
    Dequantize,
    Dispatch,
    Embedding,
    GatedActivation,
    GatherStreams,
    GroupedLinear,
    Join,
    KeepChosen,
    LastRows,
    LayerNorm,
    Linear,
    MixStreams,
    Multiply,
    Quantize,
    RelativeBias,
    RemixStreams,
    Reshape,
    RMSNorm,
    Rope,
    Scale,
    Scores,
    Slice,
    SoftCap,
    Softmax,
    SpreadStream,
    Store,
    TopK,
    Transpose,
    Values,
    WeighHeads,
)  # fmt: skip
from mansard.ir.ops.eviction import AccumulateScores, CompressCache
from mansard.ir.ops.padded_experts import PaddedGrouped
from mansard.ir.ops.paging import Paged
from mansard.ir.ops.partial_linear import PartialLinear
from mansard.ir.ops.partial_values import MergePartials, PartialValues
from mansard.ir.ops.recent import AppendRecent
from mansard.ir.ops.recurrent import (
    CausalConv,
    GatedDelta,
    GatedRecurrence,
    LinearAttention,
    SelectiveScan,
    StateSpaceDual,
    TokenShift,
    Wkv,
)  # fmt: skip
from mansard.ir.ops.sharing import Spread
from mansard.ir.ops.summaries import AppendSummaries, Summarize
from mansard.ir.ops.tensor import (
    Convolution,
    Either,
    Elementwise,
    MatMul,
    Move,
    Pool,
    RecurrentCell,
    Reduce,
    Scatter,
)  # fmt: skip
from mansard.ir.region import Overlap, Repeat, Routed
from mansard.ir.trim import Trim
from mansard.ir.value import Value

INT8 = Encoding("int8", of="bf16")
HEADS, KV, D, H = 8, 2, 16, 64


def linear_chain(*, bias: bool = False) -> Graph:
    """x → up → act → down."""
    b = Builder()
    x = b.input("x", T, H)
    extra = b.leaf("up.bias", 4 * H) if bias else None
    up = b(Linear(x, b.leaf("up.weight", 4 * H, H), extra), "up")
    act = b(Activation(up), "act")
    return b.done(b(Linear(act, b.leaf("down.weight", H, 4 * H)), "down"))


def attention(mask: Mask | None = None, kernel: str = "") -> Graph:
    """Grouped-query attention over an appended cache."""
    mask = mask or Mask()
    b = Builder()
    q, k, v = (b.input(n, T, w) for n, w in (("q", HEADS * D), ("k", KV * D), ("v", KV * D)))
    caches = [b.leaf(f"{n}_cache", B, KV, mask.kept(P), D, role="cache") for n in "kv"]
    keys = b(Append(caches[0], k), "keys")
    values = b(Append(caches[1], v), "values_all")
    s = b(Scores(q, keys, HEADS, mask, kernel=kernel), "scores")
    p = b(Softmax(s, kernel=kernel), "softmax")
    return b.done(b(Values(p, values, (T,), mask, kernel=kernel), "out"))


def repeated(trips: int = 4, shared: tuple[str, ...] = ()) -> Graph:
    """A residual block, repeated."""
    b = Builder()
    x = b.input("x", T, H)

    def fill(inner: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        y = inner(Linear(given[0], inner.leaf("layer.weight", H, H)), "proj")
        return (inner(Add((given[0], y)), "add"),)

    y = b.region(lambda body, ins: Repeat(body, ins, trips, shared), "layers", (x,), fill)[0]
    return b.done(b(RMSNorm(y, b.leaf("norm.weight", H)), "norm"))


def every_op() -> dict[str, Graph]:
    """Return a graph per kind of op, each of which uses that kind."""
    found = {g.ops[-1].kind: g for g in map(_one, _ops())}
    found["append"] = found["scores"] = found["softmax"] = found["values"] = attention()
    found["repeat"] = repeated()
    found["routed"] = _region(lambda body, ins: Routed(body, ins, sp.Rational(1, 4), T))
    found["overlap"] = _region(Overlap)
    found["trim"] = _region(lambda body, ins: Trim(body, ins, 7))
    return found


def _one(op: Op) -> Graph:
    b = Builder()
    given = [v for v in dict.fromkeys(op.operands) if not v.storage]
    b._inputs.extend(given)
    b._names.update(v.name for v in given)
    return b.done(*b.multiple(op, "y"))


def _region(make: type[Overlap] | object) -> Graph:
    b = Builder()
    x = b.input("x", T, H)

    def fill(inner: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        return (inner(Linear(given[0], inner.leaf("w", H, H)), "proj"),)

    return b.done(*b.region(make, "region", (x,), fill))  # type: ignore[arg-type]


def _ops() -> list[Op]:
    b = Builder()
    x, z = b.input("x", T, H), b.input("z", T, H)
    gates = b.input("gates", T, HEADS)
    ids = b.input("ids", B, S, encoding=Encoding("int32"), role="index")
    w, bias = b.leaf("w", H, H), b.leaf("bias", H)
    scores = b.input("scores", B, HEADS, S, P + S, live=B * HEADS * (S * P + S * (S + 1) / 2))
    routes = b.input("routes", T, 2)
    rows = b.input("rows", 2 * T, H)
    experts = b.leaf("experts", 4, H, H)
    int4 = b.leaf("int4", H, H, encoding=stored("int4", "bf16", group=16))
    host = b.leaf("host", H, H, place="host")
    frames = b.input("frames", symbol("frames", "count") + M, H)
    state = b.leaf("state", B, HEADS, D, D, role="state")
    flat = b.leaf("flat", B, H, role="state")
    qkv = b.input("qkv", T, 3 * HEADS * D)
    wide = b.input("wide", T, HEADS * D)
    keys = b.input("keys", B, KV, P + S, D)
    sums = b.leaf("sums", B, HEADS, P, encoding=Encoding("fp32"), role="cache")
    image, kernel = b.input("image", B, 3, 32, 32), b.leaf("kernel", 16, 3, 3, 3)
    frame = b.input("frame", 10, B, H)
    last, gates4 = b.leaf("last", 1, B, 16, role="state"), b.leaf("gates4", 1, 64, H)
    recent = b.leaf("recent", B, KV, least(P, 36), D, role="cache")
    older = b.leaf("older", B, KV, P - least(P, 36), D, role="cache", encoding=INT8)
    row = b.input("row", T, KV * D)
    waiting = b.leaf("waiting", B, 8, 2 * KV * D, role="state")
    pages = b.leaf("pages", B, ceil_div(P, 16), encoding=Encoding("int32"), role="table")
    return [
        Linear(x, w, bias), GroupedLinear(rows, experts, sp.Rational(1, 2), T),
        Embedding(ids, w), Activation(x, "silu"), GatedActivation(x, z), Add((x, z, x)),
        Multiply(x, z), Scale(x), SoftCap(scores), Alibi(scores), Rope(x, HEADS, 8),
        TopK(gates, 2), Dispatch(x, routes, sp.Rational(5, 4)), Combine(rows, routes),
        RMSNorm(x, None, 16), LayerNorm(x, bias=bias), Quantize(x, INT8), Cast(x, Encoding("fp32")),
        Dequantize(int4, sp.Integer(3)), Collective(x, "all_gather", "tp", 8, (8 * T, H)),
        Copy(host, "memory"), Reshape(frames, (frames.numel,)), Slice(x, 1, 0, 16),
        Transpose(x, (1, 0)), Join((x, z), 1), LastRows(x),
        CausalConv(x, b.leaf("conv", B, H, 4, role="state"), params=(b.leaf("taps", H, 1, 4),)),
        SelectiveScan(x, b.leaf("ssm", B, H, 16, role="state"), inputs=(z,),
                      params=(b.leaf("A", H, 16), b.leaf("D", H))),
        StateSpaceDual(x, state, groups=2), GatedDelta(qkv, state, inputs=(gates,)),
        LinearAttention(qkv, state, chunk=32), GatedRecurrence(x, flat, inputs=(z, z)),
        Wkv(x, b.leaf("wkv", B, H, 3, role="state"), inputs=(z,)),
        TokenShift(x, flat, params=(bias, bias)),
        PartialLinear(x, w, bias, sp.Rational(1, 4), T, "out"),
        PaddedGrouped(rows, experts, sp.Rational(1, 2), T), Paged(keys, pages),
        PartialValues(scores, keys, (T,), width=8, splits=4), MergePartials(wide, HEADS, 4),
        AccumulateScores(scores, sums), CompressCache(wide, keys, keys, HEADS, 16, 64),
        AppendRecent(recent, row, older, 32, 4),
        BlockLinear(x, b.leaf("blocks", 4, 16, 16)), WeighHeads(scores, gates),
        KeepChosen(scores, b.input("chosen", B, 1, S, 4, role="index")),
        MatMul((keys, scores), (B, KV, D, S), k=P + S), Elementwise((x, z), (T, H), fn="min"),
        Convolution((image, kernel), (B, 16, 30, 30)), Reduce((x,), (T, 1), fn="sum"),
        Pool((image,), (B, 3, 16, 16), taps=4), Move((x, ids), (B, S), fn="gather", taken=T),
        Scatter(x, z, (ids,)), Either((x, x), x.shape),
        RecurrentCell(frame, (gates4,), (last,), 16, 4, shapes=((10, 1, B, 16), (1, B, 16))),
        Spread(b.leaf("prefix", 1, KV, 16, D, role="cache"), B),
        MixStreams(x, b.input("coefs", T, 16), 4), SpreadStream(x, b.input("change", T, 16)),
        RemixStreams(x, b.input("mixes", T, 16), 4), GatherStreams(x, gates),
        Summarize(row, row, b.leaf("places", 8, KV * D), waiting, 8, KV * D),
        AppendSummaries(b.leaf("summaries", B, 1, P / 8, D, role="cache"),
                        b.input("made", B * S / 8, D), S / 8),
        RelativeBias(scores, b.leaf("buckets", 32, HEADS)),
        Store(b.leaf("memory", B, KV, S, D, role="cache"), b.input("k", T, KV * D)),
    ]  # fmt: skip


class Sparsify(View):
    """An op of a stranger: keeps a share of a budget."""

    x: Value
    ratio: float = 0.5
    method: str = "top"
    limits: tuple[object, ...] = ()
    fmt: Encoding = FORMATS["mxfp4"]
    exact: bool = False

    def infer(self):  # type: ignore[no-untyped-def]
        """The type of ``x``."""
        return (self.x.type,)


def numbers(**values: int) -> dict[sp.Basic, sp.Basic]:
    """Bind parameters by name; ``T = B*S`` and ``R = B`` unless given."""
    at = {B: values["B"], S: values["S"], P: values["P"]}
    at |= {T: at[B] * at[S], R: values.get("R", at[B]), M: values.get("M", 0)}
    return {k: sp.Integer(v) for k, v in at.items()}

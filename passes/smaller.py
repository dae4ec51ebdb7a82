"""Dimensions of a model that pruning makes smaller: where they are and to what they round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Activation, Add, Embedding, GatedActivation, Linear, Scores, Values
from mansard.ir.rewrite import everywhere, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.dimensions import Axis, scaled
from mansard.passes.experts import Mixture, mixtures
from mansard.passes.layers import layers_of, longest


@dataclass(frozen=True)
class Kept:
    """A dimension of a graph and what is left of it.

    Args:
        ratio: new size over old, exact.
        axes: of values that have it, found by op names so that they survive rewriting.
        text: how the share was rounded; empty where it is exact.
    """

    ratio: Expr
    axes: tuple[tuple[str, Axis], ...]
    text: str = ""


def smaller(graph: Graph, kept: tuple[Kept, ...], why: str, *, rotate: bool) -> Graph:
    """Return the graph with dimensions made smaller, one after the other."""
    for k in kept:
        names = {name: axis for name, (_, axis) in k.axes}
        hidden = any(name.endswith(HIDDEN) for name in names)
        seeds = [(v, names[n]) for n, v in _named(graph) if n in names]
        graph = scaled(graph, seeds, k.ratio, why)
        if hidden and rotate:
            graph = _rotated(graph, why)
    return graph


HIDDEN = "/hidden"
Size = Callable[[Graph, Expr], Iterator[Kept]]


def _named(graph: Graph) -> Iterator[tuple[str, Value]]:
    """Yield values by a name that tells where they are read."""
    for op, _ in graph.walk():
        for k, v in enumerate(op.operands):
            yield f"{op.out.name}/{k}", v
        if isinstance(op, Embedding):
            yield f"{op.out.name}{HIDDEN}", op.out


def _rounded(size: Expr, share: Expr, what: str) -> tuple[Expr, str]:
    """Return the exact ratio of a rounded size, and what to say when it was rounded."""
    if not size.is_Integer:
        raise SpecError(f"prune: {what} is {size}, no number", hint="prune another dimension")
    left = max(int(sp.floor(size * share + sp.Rational(1, 2))), 1)
    text = "" if left == size * share else f"{what} {size} → {left} ({float(left / size):.4g})"
    return sp.Rational(left, int(size)), text


def _attentions(graph: Graph) -> Iterator[tuple[Scores, Values]]:
    """Yield scores with the values that read them."""
    for op in graph.ops:
        for body in op.bodies:
            yield from _attentions(body)
        if isinstance(op, Scores):
            value, user = op.out, None
            while user is None or not isinstance(user, Values):
                users = [u for u in graph.uses.get(value, ()) if not u.has_effect]
                if not users:
                    break
                user = users[0]
                value = user.out
            if isinstance(user, Values):
                yield op, user


def _heads(graph: Graph, share: Expr) -> Iterator[Kept]:
    """Query heads, and the KV heads they read, by whole KV heads."""
    found: dict[Expr, list[tuple[str, Axis]]] = {}
    said: dict[Expr, str] = {}
    for scores, values in _attentions(graph):
        groups = scores.k.shape[1] if scores.k.shape[1] != 1 else scores.heads
        ratio, text = _rounded(groups, share, "heads")
        names = (f"{scores.out.name}/0", (scores.q, len(scores.q.shape) - 1))
        axes = [names]
        if scores.k.shape[1] != 1:
            axes += [
                (f"{scores.out.name}/1", (scores.k, 1)),
                (f"{values.out.name}/1", (values.v, 1)),
            ]
        found.setdefault(ratio, []).extend(axes)
        said[ratio] = text
    yield from (Kept(ratio, tuple(axes), said[ratio]) for ratio, axes in found.items())


def _kv_heads(graph: Graph, share: Expr) -> Iterator[Kept]:
    """KV heads alone: more query heads share each."""
    found: dict[Expr, list[tuple[str, Axis]]] = {}
    said: dict[Expr, str] = {}
    for scores, values in _attentions(graph):
        heads = scores.k.shape[1]
        if heads == 1:
            continue
        ratio, text = _rounded(heads, share, "KV heads")
        if scores.heads % (heads * ratio):
            raise SpecError(
                f"prune: {scores.heads} query heads cannot share {heads * ratio} KV heads evenly",
                hint="keep a share that leaves a divisor of the query heads",
            )
        axes = [(f"{scores.out.name}/1", (scores.k, 1)), (f"{values.out.name}/1", (values.v, 1))]
        found.setdefault(ratio, []).extend(axes)
        said[ratio] = text
    yield from (Kept(ratio, tuple(axes), said[ratio]) for ratio, axes in found.items())


def _width(graph: Graph, share: Expr) -> Iterator[Kept]:
    """The width of feed-forward layers, experts' included."""
    found: dict[Expr, list[tuple[str, Axis]]] = {}
    said: dict[Expr, str] = {}
    for op, _ in graph.walk():
        plain = isinstance(op, Activation) and op.name.endswith("act")
        if isinstance(op, GatedActivation) or plain:
            x = op.operands[0]
            ratio, text = _rounded(x.shape[-1], share, "width")
            found.setdefault(ratio, []).append((f"{op.out.name}/0", (x, len(x.shape) - 1)))
            said[ratio] = text
    yield from (Kept(ratio, tuple(axes), said[ratio]) for ratio, axes in found.items())


def _hidden(graph: Graph, share: Expr) -> Iterator[Kept]:
    """The width of the residual stream, found where tokens enter it."""
    for op in graph.ops:
        if isinstance(op, Embedding):
            ratio, text = _rounded(op.out.shape[-1], share, "hidden")
            yield Kept(ratio, ((f"{op.out.name}{HIDDEN}", (op.out, len(op.out.shape) - 1)),), text)
            return


SIZES: dict[str, Size] = {
    "heads": _heads,
    "kv_heads": _kv_heads,
    "width": _width,
    "hidden": _hidden,
}
"""Option of ``prune`` → where that dimension is."""


@dataclass(frozen=True)
class Fewer:
    """How many of a kind of part are left.

    Args:
        left: of them.
        gone: of them.
        text: how the share was rounded; empty where it is exact.
    """

    left: int
    gone: int
    text: str = ""


def fewer_layers(graph: Graph, share: Expr) -> Fewer:
    """Return how many layers of the longest run a share leaves, by whole periods."""
    run = longest(graph, "prune: layers")
    period, count = layers_of(run.body), int(run.trips)
    ratio, text = _rounded(sp.Integer(count), share, "layers")
    left = int(ratio * count)
    if text:
        kept = sp.Rational(left, count)
        text = f"layers {count * period} → {left * period} ({float(kept):.4g})"
    return Fewer(left * period, (count - left) * period, text)


def fewer_experts(graph: Graph, share: Expr) -> dict[Mixture, Fewer]:
    """Return how many experts of each mixture a share leaves; none where all are kept.

    Raises:
        SpecError: fewer than a token goes to.
    """
    found: dict[Mixture, Fewer] = {}
    for m in mixtures(graph) if share != 1 else ():
        ratio, text = _rounded(sp.Integer(m.count), share, "experts")
        left = int(ratio * m.count)
        if left < m.chosen:
            raise SpecError(
                f"prune: experts={float(share):g} leaves {left} of {m.count}, and a token goes to "
                f"{m.chosen}",
                hint=f"keep at least {m.chosen / m.count:.4g}, or lower moe-routing's top-k first",
            )
        found[m] = Fewer(left, m.count - left, text)
    return found


def _rotated(graph: Graph, why: str) -> Graph:
    """Put a square matrix in front of the first operand of every residual sum of a layer."""

    def one(body: Graph) -> Graph:
        taken = {v.name for v in (*body.inputs, *body.producers)}
        edits: dict[Op, list[Op]] = {}
        for op in body.ops:
            if isinstance(op, Add) and body.inputs and body is not graph and _residual(op):
                x = op.xs[0]
                kind = TensorType((x.shape[-1], x.shape[-1]), x.encoding, "weight")
                storage = f"{_layer_of(body)}{op.name}.rotation{op.out.name[len(op.name) :]}"
                leaf = Value(storage, replace(kind, storage=storage))
                name = fresh_name(f"{op.name}.rotate", taken)
                turned = finish(Linear(x, leaf, because=(why,)), name)
                edits[op] = [turned, replace(op, xs=(turned.out, *op.xs[1:])).explained(why)]
        return rebuild(body, edits=edits) if edits else body

    return verify(everywhere(graph, one))


def _residual(op: Add) -> bool:
    return op.name.endswith(("attn_add", "ffn_add", ".add"))


def _layer_of(body: Graph) -> str:
    """Return a prefix that says that every trip has its own."""
    return "" if not body.leaves else "layers.{i}." if "{" in body.leaves[0].storage else ""

"""Which query-key pairs attention computes, and which keys it reads."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import VerifyError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, ceil_div, least

KINDS = (
    "full", "causal", "window", "chunk", "budget", "evict", "tree", "band", "blocks", "strided",
    "summary",
)  # fmt: skip
_SIZED = ("window", "chunk", "budget", "evict", "tree", "band", "blocks", "strided", "summary")
_BOTH_WAYS = ("full", "band", "blocks")


@dataclass(frozen=True)
class Mask:
    """The pairs of ``S`` new queries and ``P + S`` keys that count.

    Args:
        kind: ``full`` (every pair), ``causal``, ``window`` (causal, the last ``size`` keys) or
            ``chunk`` (causal, the keys of the query's own block of ``size`` positions) or
            ``budget`` (causal, any ``size`` of the keys: all are stored, each query picks) or
            ``evict`` (causal, but a step leaves ``size`` keys, any of them, to the next one)
            or ``tree`` (every cached key, and of the new ones a node's ancestors and itself)
            or, in encoders, ``band`` (the nearest ``size`` keys on both sides) or ``blocks`` (the
            ``size`` keys of the query's own block, before and after it)
            or, of keys that each stand for ``size`` positions, ``strided`` (causal; one that is
            partly made counts in part, so a query sees its position over ``size``)
            or ``summary`` (a window, and in front of it such keys, ``stride`` positions each).
        size: keys a query of a window, a band or a budget sees, itself included; positions of a
            chunk or, on average, of a block; pairs inside a tree.
        skip: whether masked pairs are left out; unfused kernels compute the whole rectangle.
        heads: share of the query heads that a token needs; the others compute no pair.
        stride: positions a key of a summary stands for.
        most: of the summary a query sees, whichever they are; ``None`` is all.

    >>> from mansard.core.symbols import P, S
    >>> Mask("causal", skip=True).pairs(S, P, keys=P + S)
    P*S + S*(S + 1)/2
    """

    kind: str = "causal"
    size: Expr | None = None
    skip: bool = False
    heads: Expr = sp.S.One
    stride: Expr | None = None
    most: Expr | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise VerifyError(f"no mask of kind {self.kind!r}", hint=f"pick one of {KINDS}")
        if (self.kind in _SIZED) != (self.size is not None):
            raise VerifyError(
                f"a {self.kind} mask with size {self.size!r}",
                hint="windows, chunks and budgets have one",
            )
        if (self.kind == "summary") != (self.stride is not None):
            raise VerifyError(
                f"a {self.kind} mask with stride {self.stride!r}", hint="summaries have one"
            )
        for name in ("size", "heads", "stride", "most"):
            if isinstance(given := getattr(self, name), int):
                object.__setattr__(self, name, sp.Integer(given))

    def kept(self, past: Expr) -> Expr:
        """Return how many of ``past`` cached tokens a later query can still see."""
        if self.size is None or self.kind in ("budget", "tree", "band", "blocks"):
            return past
        if self.kind == "strided":
            return past / self.size
        return least(past, self.size - 1)

    def reach(self, new: Expr, past: Expr) -> Expr:
        """Return the keys that ``new`` queries after ``past`` tokens read."""
        if self.kind == "chunk":
            return past - self.size * _whole(past, self.size) + new
        if self.kind == "strided":
            return (past + new) / self.size
        if self.kind == "summary":
            rows = (past + new) / self.stride
            picked = rows if self.most is None else least(rows, self.most * new)
            return picked + self.kept(past) + new
        if self.kind == "budget":
            return least(past + new, self.size * new)
        return self.kept(past) + new

    def pairs(self, new: Expr, past: Expr, keys: Expr) -> Expr:
        """Return the (query, key) pairs that are computed; ``keys`` is the width of the rectangle.

        Causal: query ``j`` sees ``past + j`` keys, ``j = 1 … new``. Window ``W``: position ``p``
        sees ``least(p, W)`` keys, summed to ``past + new`` less to ``past``; chunk ``C``: likewise
        with ``p mod C + 1``. A band ``W = 2h + 1`` over ``n`` keys: ``n·W`` less the ``h·(h + 1)``
        that lie outside; blocks of ``C``: ``n·C``. Where tokens need a share of the heads, the mean
        over heads.
        """
        return self.heads * self._pairs(new, past, keys)

    def _pairs(self, new: Expr, past: Expr, keys: Expr) -> Expr:
        if not self.skip or self.kind == "full":
            return new * keys
        if self.kind in _BOTH_WAYS:
            return _banded(new, self.size) if self.kind == "band" else new * self.size
        if self.size is None or self.kind == "evict":
            return new * self.kept(past) + new * (new + 1) / 2
        if self.kind == "tree":
            return new * past + self.size
        if self.kind == "chunk":
            return _chunked(past + new, self.size) - _chunked(past, self.size)
        if self.kind == "strided":
            return _strided(past + new, self.size) - _strided(past, self.size)
        near = _windowed(past + new, self.size) - _windowed(past, self.size)
        if self.kind == "summary":
            far = (_strided(n, self.stride, self.most) for n in (past + new, past))
            return near + next(far) - next(far)
        return near

    def skipping(self) -> Mask:
        """Return the same mask, masked pairs left out."""
        return replace(self, skip=True)

    def __str__(self) -> str:
        words = [self.kind, *([f"size={self.size}"] if self.size is not None else [])]
        words += [f"heads={self.heads}"] if self.heads != 1 else []
        words += [f"stride={self.stride}"] if self.stride is not None else []
        words += [f"most={self.most}"] if self.most is not None else []
        return f"mask<{' '.join(words + ['skip'] * self.skip)}>"


def _windowed(tokens: Expr, size: Expr) -> Expr:
    """Return the pairs of the first ``tokens`` positions: a triangle, then full windows."""
    growing = least(tokens, size)
    return growing * (growing + 1) / 2 + (tokens - growing) * size


def _banded(tokens: Expr, size: Expr | None) -> Expr:
    """Return the pairs of ``tokens`` positions that are at most ``(size - 1)/2`` apart."""
    assert size is not None
    side = least((size - 1) / 2, tokens - 1)
    return tokens * (2 * side + 1) - side * (side + 1)


def _whole(tokens: Expr, size: Expr) -> Expr:
    """Return how many whole chunks ``tokens`` positions fill: ``⌊tokens / size⌋``."""
    return ceil_div(tokens + 1, size) - 1


def _strided(tokens: Expr, size: Expr | None, most: Expr | None = None) -> Expr:
    """Return the pairs of the first ``tokens`` positions and what stands for ``size`` each.

    Position ``p`` (from 1) sees ``least(p / size, most)``: a triangle, then ``most``.
    """
    assert size is not None
    growing = tokens if most is None else least(tokens, size * most)
    below = growing * (growing + 1) / (2 * size)
    return below if most is None else below + (tokens - growing) * most


def _chunked(tokens: Expr, size: Expr) -> Expr:
    """Return the pairs of the first ``tokens`` positions: whole triangles and the last one's."""
    whole = _whole(tokens, size)
    rest = tokens - size * whole
    return whole * size * (size + 1) / 2 + rest * (rest + 1) / 2

"""Hyper-connections: layers read one sum of several streams and give their result to all."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.ends import Hyper
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import GatherStreams, Linear, RemixStreams, Slice, SpreadStream
from mansard.ir.ops.tensor import Elementwise
from mansard.ir.value import Value

Block = Callable[[Value], Value]
GATE = 6
"""Of an element: scaled, shifted, and a sigmoid of four [FLOP]."""


def hyper_layer(scope: Scope, x: Value, norm: NormKind, mix: Block, fed: Block) -> Value:
    """Append one layer; ``x`` and the result are ``[T, streams·hidden]`` [Xie 2025, eq. 1-9]."""
    if scope.arch.hyper is None:
        raise TypeError("a hyper layer needs streams")
    x = _around(scope, x, scope.arch.hyper, "attn", lambda y: mix(scope.norm(y, "attn_norm", norm)))
    return _around(
        scope, x, scope.arch.hyper, "ffn", lambda y: fed(scope.norm(y, "ffn_norm", norm))
    )


def gathered(scope: Scope, x: Value, h: Hyper) -> Value:
    """Append the sum that the final norm reads."""
    gates = _gates(scope, x, "hyper_head", h.streams, 1, "hc_")
    return scope(GatherStreams(x, gates), "hyper_gathered")


def _around(scope: Scope, x: Value, h: Hyper, block: str, run: Block) -> Value:
    n, role = h.streams, f"hyper_{block}"
    mixes = n**2 if h.iterations else 0
    made = _gates(scope, x, role, 2 * n + mixes, 3 if mixes else 2, iterations=h.iterations)
    before = scope(Slice(made, 1, 0, n), f"{role}_before")
    after = scope(Slice(made, 1, n, n), f"{role}_after")
    y = run(scope(GatherStreams(x, before), f"{role}_gathered"))
    if mixes:
        x = scope(
            RemixStreams(x, scope(Slice(made, 1, 2 * n, mixes), f"{role}_mix"), n), f"{role}_mixed"
        )
    return scope(SpreadStream(x, y, after), f"{role}_add")


def _gates(
    scope: Scope, x: Value, role: str, width: int, scales: int, at: str = "", iterations: int = 0
) -> Value:
    """Append the numbers a token weighs streams by, ``[T, width]``.

    A softmax of rows (5), then sums and quotients of columns and rows in turn, ``2·iterations - 1``
    times, make what mixes streams doubly stochastic.
    """
    path = scope.arch.names.path(role)
    y = scope.norm(x, f"{role}_norm", "rms-none")
    y = scope(Linear(y, scope.tensor(f"{path}.{at}fn", width, x.shape[-1])), f"{role}_gates")
    params = (scope.tensor(f"{path}.{at}base", width), scope.tensor(f"{path}.{at}scale", scales))
    n = scope.arch.hyper.streams if scope.arch.hyper else 0
    mixed = n**2 if iterations else 0
    flops = GATE * (width - mixed) + mixed * (2 + 5 + 2 * (2 * iterations - 1))
    per = sp.Rational(flops, width)
    return scope(Elementwise((y, *params), y.shape, fn="hyper_gates", per=per), f"{role}_act")

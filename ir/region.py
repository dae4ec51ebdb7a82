"""Regions: ops that hold a body graph. Three suffice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp

from mansard.core.errors import VerifyError
from mansard.core.symbols import Expr
from mansard.ir.cost import Cost, touched
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.value import TensorType, Value


class Region(Op):
    """Base of ops with a body: ``ins`` go to ``body.inputs``, ``body.outputs`` come back."""

    body: Graph
    ins: tuple[Value, ...]

    @property
    def bodies(self) -> tuple[Graph, ...]:
        """The one body."""
        return (self.body,)

    @property
    def has_effect(self) -> bool:  # type: ignore[override]
        """Whether any op of the body has."""
        return any(op.has_effect for op in self.body.ops)

    def infer(self) -> tuple[TensorType, ...]:
        """The types of the body's outputs."""
        if len(self.ins) != len(self.body.inputs):
            raise VerifyError(f"{self.kind} {self.name}: {len(self.ins)} operands for a body of "
                              f"{len(self.body.inputs)} inputs")  # fmt: skip
        return tuple(replace(v.type, storage="", parts=()) for v in self.body.outputs)

    def lift(self, cost: Cost) -> Cost:
        """Return what the cost of one kernel of the body is seen from outside, for one trip."""
        return cost

    def outside(self, value: Value) -> Value:
        """Return a stored value of the body as the graph around the region counts it."""
        return value

    def cost(self) -> Cost:
        """The body's work, lifted, times its trips."""
        trips: Expr = getattr(self, "trips", sp.S.One)
        lifted: Cost = self.lift(self.body.cost) * trips
        return lifted


class Repeat(Region):
    """Run the body ``trips`` times, each trip with its own copy of the body's leaves.

    Args:
        trips: how often; 80 layers are one body times 80.
        shared: storages every trip uses together (ALBERT's layers, a shared block).
    """

    trips: Expr
    shared: tuple[str, ...] = ()

    def infer(self) -> tuple[TensorType, ...]:
        """The body's outputs, which one trip hands to the next."""
        for given, made in zip(self.body.inputs, self.body.outputs, strict=False):
            if given.shape != made.shape:
                raise VerifyError(
                    f"repeat {self.name}: a trip takes {given!r} and leaves {made!r}",
                    hint="a body that repeats must hand on what it takes; peel the odd trip",
                )
        return super().infer()


class Routed(Region):
    """Only a share of the tokens enters the body (early exit, mixture of depths, a branch).

    FLOPs, activations and cache are multiplied by ``share``; a weight is read when any of
    ``tokens`` needs it: ``1 - (1-share)^tokens``.
    """

    share: Expr
    tokens: Expr

    def lift(self, cost: Cost) -> Cost:
        """See the class."""
        weights = touched(self.share, self.tokens)

        def scaled(sizes: Mapping[Value, Expr]) -> dict[Value, Expr]:
            return {
                v: e * (weights if v.role == "weight" else self.share) for v, e in sizes.items()
            }

        rest = cost * self.share
        reads, writes = scaled(cost.reads), scaled(cost.writes)
        return Cost(rest.flops, reads, writes, rest.payload, cost.launches)


class Overlap(Region):
    """The body's streams run side by side: one per link, one per device; the longest counts."""

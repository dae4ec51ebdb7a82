"""Append-only construction of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.symbols import ExprLike, Symbol, expr
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify


def fresh_name(name: str, taken: set[str]) -> str:
    """Return ``name``, or ``name~k`` with the first ``k`` that is free, and take it."""
    unique, k = name, 0
    while unique in taken:
        k += 1
        unique = f"{name}~{k}"
    taken.add(unique)
    return unique


class Builder:
    """Collects ops; every call appends one and returns its result.

    >>> from mansard.core.symbols import T
    >>> from mansard.ir.ops import Linear
    >>> g = Builder()
    >>> x, w = g.input("x", T, 4096), g.leaf("up_proj.weight", 11008, 4096)
    >>> y = g(Linear(x, w), "up_proj")
    >>> y
    %up_proj: bf16[T, 11008]
    >>> g.done(y).cost.total_flops
    90177536*T
    """

    def __init__(self) -> None:
        self._inputs: list[Value] = []
        self._ops: list[Op] = []
        self._names: set[str] = set()
        self._copies: dict[str, int] = {}

    def _fresh(self, name: str) -> str:
        """Return ``fresh_name``, the numbers tried before left out: a graph has many of a name."""
        unique, k = name, self._copies.get(name, 0)
        while unique in self._names:
            k += 1
            unique = f"{name}~{k}"
        self._copies[name] = k
        self._names.add(unique)
        return unique

    def input(
        self, name: str, *shape: ExprLike, encoding: Encoding | None = None, **type_: Any
    ) -> Value:
        """Declare a value the caller hands over."""
        kind = TensorType(tuple(map(expr, shape)), encoding or Encoding(), **type_)
        self._inputs.append(value := Value(self._fresh(name), kind))
        return value

    def leaf(
        self, storage: str, *shape: ExprLike, encoding: Encoding | None = None,
        role: str = "weight", place: str = "memory",
    ) -> Value:  # fmt: skip
        """Make a stored value; its name is that of its storage."""
        kind = TensorType(tuple(map(expr, shape)), encoding or Encoding(), role, storage, place)
        return Value(storage, kind)

    def __call__(self, op: Op, name: str) -> Value:
        """Append an op and return its first result; ``name`` is its label."""
        return self.multiple(op, name)[0]

    def multiple(self, op: Op, name: str) -> tuple[Value, ...]:
        """Append an op and return every result."""
        done = finish(op, self._fresh(name))
        self._ops.append(done if op.name else done.renamed(name))
        return done.outs

    def region(
        self, make: Callable[[Graph, tuple[Value, ...]], Op], name: str, ins: tuple[Value, ...],
        fill: Callable[[Builder, tuple[Value, ...]], tuple[Value, ...]],
    ) -> tuple[Value, ...]:  # fmt: skip
        """Append a region: ``fill`` builds its body, ``make`` the op around it."""
        inner = Builder()
        given = tuple(
            inner.input(
                v.name, *v.shape, encoding=v.encoding, role=v.role, storage=v.storage, place=v.place
            )
            for v in ins
        )
        body = inner.done(*fill(inner, given))
        return self.multiple(make(body, ins), name)

    def done(self, *outputs: Value, defaults: tuple[tuple[Symbol, sp.Expr], ...] = ()) -> Graph:
        """Return the verified graph."""
        return verify(Graph(tuple(self._inputs), tuple(self._ops), outputs, defaults))

"""How an axis is divided over ranks: in which blocks it may be cut, and what one rank holds."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import Expr, ceil_div, total
from mansard.ir.op import Op, same_size
from mansard.ir.value import Shape


@dataclass(frozen=True)
class Run:
    """A stretch of an axis that is cut between blocks only.

    Args:
        size: elements.
        blocks: heads, groups or single elements it consists of.
        copies: whether several ranks may hold the same block when there are fewer than ranks.
        noun: what a block is called.
    """

    size: Expr
    blocks: Expr
    copies: bool = False
    noun: str = "columns"

    @property
    def each(self) -> Expr:
        """Elements of a block."""
        return self.size / self.blocks

    def cut(self, size: Expr) -> Run:
        """Return a part of the run."""
        return replace(self, size=size, blocks=size / self.each)


@dataclass(frozen=True)
class Part:
    """A stretch of an axis: its whole size, and what a rank holds of it."""

    whole: Expr
    local: Expr

    def scaled(self, by: Expr) -> Part:
        """Return the part counted in other units."""
        return Part(self.whole * by, self.local * by)


@dataclass(frozen=True)
class Split:
    """A value whose ``axis`` is divided: each rank holds ``local`` of every part.

    Args:
        axis: of its shape.
        parts: in order along the axis.
        origins: the products whose weights were divided to make it so.
    """

    axis: int
    parts: tuple[Part, ...]
    origins: frozenset[Op] = frozenset()

    @property
    def local(self) -> Expr:
        """What a rank holds of the axis."""
        return total(p.local for p in self.parts)

    @property
    def whole(self) -> Expr:
        """The axis undivided."""
        return total(p.whole for p in self.parts)

    @property
    def ratio(self) -> Expr:
        """The share a rank holds."""
        return self.local / self.whole

    def at(self, axis: int, by: Expr = sp.S.One) -> Split:
        """Return the split on another axis, counted in other units."""
        return replace(self, axis=axis, parts=tuple(p.scaled(by) for p in self.parts))

    def between(self, start: Expr, size: Expr) -> tuple[Expr, tuple[Part, ...]] | None:
        """Return where a stretch starts on a rank and its parts; None when it cuts a part."""
        at, local = sp.S.Zero, sp.S.Zero
        found: list[Part] = []
        for part in self.parts:
            if at == start + size:
                break
            if found or at == start:
                found.append(part)
            else:
                local += part.local
            at += part.whole
        exact = total(p.whole for p in found) == size and bool(found)
        return (local, tuple(found)) if exact else None

    def shape(self, old: Shape) -> Shape:
        """Return a shape with the divided axis as a rank holds it."""
        return (*old[: self.axis], self.local, *old[self.axis + 1 :])


@dataclass(frozen=True)
class Partial:
    """A value of which every rank holds a summand.

    Args:
        origins: the products whose results are summands.
    """


Sharding = Split | Partial | None
"""How a value lies on the ranks of an axis; None: whole on each."""
PARTIAL = Partial()


def divided(run: Run, ranks: int) -> Part:
    """Return what each of ``ranks`` holds of a run, whether or not it divides evenly."""
    if run.copies and run.blocks.is_number and run.blocks < ranks:
        return Part(run.size, ceil_div(run.blocks, sp.Integer(ranks)) * run.each)
    return Part(run.size, run.size / ranks)


def fits(run: Run, ranks: int) -> bool:
    """Whether a run can be divided: whole blocks a rank, or whole ranks a block."""
    if not run.blocks.is_Integer:
        return not run.blocks.is_number
    blocks = int(run.blocks)
    return blocks % ranks == 0 or (run.copies and ranks % blocks == 0)


def overlay(a: tuple[Run, ...], b: tuple[Run, ...]) -> tuple[Run, ...]:
    """Return the runs of an axis that two readers cut: every border, the larger blocks."""
    found: list[Run] = []
    left, right = list(a), list(b)
    while left and right:
        x, y = left[0], right[0]
        size = x.size if x.size == y.size or bool(x.size < y.size) else y.size
        better = y if y.each.is_number and x.each.is_number and y.each > x.each else x
        if x.each == y.each:
            better = y if y.copies or x.noun == "columns" else x
        found.append(better.cut(size))
        for rest in (left, right):
            if rest[0].size == size:
                rest.pop(0)
            else:
                rest[0] = rest[0].cut(rest[0].size - size)
    return tuple(found)


def regrouped(old: Shape, new: Shape, axis: int) -> tuple[int, Expr] | None:
    """Return which axis of a reshape's result carries the blocks of an axis, and in which units.

    ``[T, heads·d] → [T, heads, d]`` carries axis 1 to axis 1, ``1/d`` blocks an element.
    """
    i = j = 0
    while i < len(old) and j < len(new):
        left, right = [i], [j]
        a, b = old[i], new[j]
        while not same_size(a, b):
            if i + 1 < len(old) and _smaller(a, b):
                i += 1
                left.append(i)
                a *= old[i]
            elif j + 1 < len(new):
                j += 1
                right.append(j)
                b *= new[j]
            elif i + 1 < len(old):
                i += 1
                left.append(i)
                a *= old[i]
            else:
                return None
        if axis in left:
            return _carried(old, new, axis, left, right)
        i, j = i + 1, j + 1
    return None


def _carried(
    old: Shape, new: Shape, axis: int, left: list[int], right: list[int]
) -> tuple[int, Expr] | None:
    first = next((k for k in left if old[k] != 1), left[0])
    target = next((k for k in right if new[k] != 1), right[0])
    return (target, new[target] / old[axis]) if axis == first else None


def _smaller(a: Expr, b: Expr) -> bool:
    """Whether ``a`` must still grow to reach ``b``: it divides it, by number or by factors."""
    ratio = b / a
    if ratio.is_number:
        return bool(ratio > 1)
    return bool(sp.denom(sp.together(ratio)) == 1)

"""Chunk, budget and summary masks: counts by brute force, what is kept, what is read."""

from __future__ import annotations

import pytest
import sympy as sp

from mansard.core.errors import VerifyError
from mansard.core.symbols import P, S
from mansard.ir.mask import Mask


def seen(kind: str, size: int, position: int) -> int:
    """Keys the query at a position sees, itself included."""
    return position % size + 1 if kind == "chunk" else min(position + 1, size)


@pytest.mark.parametrize("kind", ["chunk", "budget"])
@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("past", [0, 1, 7, 8, 9, 20])
@pytest.mark.parametrize("new", [1, 2, 8, 17])
def test_pairs_are_the_sum_over_queries(kind: str, size: int, past: int, new: int) -> None:
    mask = Mask(kind, sp.Integer(size), skip=True)
    pairs = mask.pairs(S, P, P + S).xreplace({S: sp.Integer(new), P: sp.Integer(past)})
    assert pairs == sum(seen(kind, size, past + j) for j in range(new))


@pytest.mark.parametrize("past", [0, 1, 7, 8, 9, 20])
def test_a_chunk_is_read_from_its_start(past: int) -> None:
    mask, one = Mask("chunk", sp.Integer(8)), sp.S.One
    assert mask.reach(one, sp.Integer(past)) == past % 8 + 1
    assert mask.kept(sp.Integer(past)) == min(past, 7)


@pytest.mark.parametrize("past", [0, 3, 100])
def test_a_budget_keeps_every_key_and_reads_what_is_chosen(past: int) -> None:
    mask, one = Mask("budget", sp.Integer(16)), sp.S.One
    assert mask.kept(P) == P
    assert mask.reach(one, sp.Integer(past)) == min(past + 1, 16)


@pytest.mark.parametrize("most", [None, 2, 5])
@pytest.mark.parametrize("past", [0, 1, 7, 8, 25])
@pytest.mark.parametrize("new", [1, 2, 17])
def test_a_summary_is_a_window_and_a_part_of_what_stands_for_positions(
    most: int | None, past: int, new: int
) -> None:
    mask = Mask("summary", 8, skip=True, stride=4, most=None if most is None else sp.Integer(most))
    far = [sp.Rational(past + j + 1, 4) for j in range(new)]
    far = far if most is None else [min(part, most) for part in far]
    near = [min(past + j + 1, 8) for j in range(new)]
    at = {S: sp.Integer(new), P: sp.Integer(past)}
    assert mask.pairs(S, P, P + S).xreplace(at) == sum(far) + sum(near)
    rows = sp.Rational(past + new, 4)
    rows = rows if most is None else min(rows, most * new)
    assert mask.reach(S, P).xreplace(at) == rows + min(past, 7) + new
    strided = Mask("strided", 4, skip=True)
    assert strided.pairs(S, P, P + S).xreplace(at) == sum(
        sp.Rational(past + j + 1, 4) for j in range(new)
    )


def test_only_a_summary_has_a_stride() -> None:
    with pytest.raises(VerifyError, match="summaries have one"):
        Mask("window", 8, stride=4)


def test_masks_that_do_not_skip_compute_the_rectangle() -> None:
    assert Mask("chunk", sp.Integer(8)).pairs(S, P, P + S) == S * (P + S)


@pytest.mark.parametrize(("kind", "size"), [("chunk", None), ("budget", None), ("causal", 4)])
def test_a_size_is_given_where_it_means_something(kind: str, size: int | None) -> None:
    with pytest.raises(VerifyError):
        Mask(kind, None if size is None else sp.Integer(size))


def test_a_size_may_be_a_plain_number() -> None:
    assert Mask("window", 64) == Mask("window", sp.Integer(64))
    assert str(Mask("window", 64)) == "mask<window size=64>"

"""Sums over a decode loop equal the sums taken step by step, exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from mansard.backends.quantity import Tape
from mansard.backends.sums import pieces, total_of_greatest
from mansard.core.symbols import Expr, P, S, ceil_div, least
from mansard.ir.mask import Mask

step = st.integers(0, 300)


def check(cost: Expr, first: int, last: int, new: int = 1) -> int:
    """Compare the pieces' sum with the sum of every step; return how many pieces there were."""
    tape = Tape()
    slot = tape.add(cost)
    evaluations: dict[int, list[Any]] = {}

    def at(index: int) -> list[Any]:
        return evaluations.setdefault(index, tape.evaluate({P: index, S: new}))

    cut = list(pieces(tape, at, first, last))
    covered = [k for piece in cut for k in range(piece.first, piece.last + 1)]
    assert covered == list(range(first, last + 1))
    summed = sum((Fraction(piece.total(slot)) for piece in cut), Fraction(0))
    assert summed == sum(Fraction(at(k)[slot]) for k in range(first, last + 1))
    return len(cut)


@given(step, step, st.integers(1, 400), st.integers(1, 9))
def test_windowed_attention_sums_exactly(first: int, steps: int, window: int, new: int) -> None:
    mask = Mask("window", sp.Integer(window), skip=True)
    pairs = mask.pairs(S, P, P + S)
    check(7 * pairs + 3 * mask.reach(S, P) + 5, first, first + steps, new)


@given(step, step, st.integers(1, 200), st.integers(1, 200))
def test_two_windows_in_one_table_sum_exactly(first: int, steps: int, a: int, b: int) -> None:
    check(least(P, a) * 3 + least(P + S, b) - least(P, b), first, first + steps)


@given(step, step, st.integers(1, 64))
def test_pages_sum_exactly(first: int, steps: int, page: int) -> None:
    check(page * ceil_div(P + S, sp.Integer(page)) + 2 * P, first, first + steps)


def test_a_staircase_whose_sampled_steps_lie_on_a_line_is_no_line() -> None:
    """From 1 to 513 keys in pages of 128 every quarter of the way is exactly one page more."""
    assert check(ceil_div(P + 1, sp.Integer(128)), 0, 512) > 4


def test_a_quadratic_is_taken_step_by_step() -> None:
    assert check(P**2 + S, 0, 40) == 41


def test_a_long_affine_loop_is_one_piece() -> None:
    assert check(3 * P + 2, 0, 10**4) == 1


def test_a_window_cuts_a_long_loop_into_a_few_pieces() -> None:
    assert check(least(P, 4096), 0, 9_000) <= 4


ends = st.tuples(st.integers(0, 1000), st.integers(0, 1000))


@given(st.lists(ends, min_size=1, max_size=4), st.integers(1, 60))
def test_the_greatest_of_affine_functions_is_summed_between_its_crossings(
    functions: list[tuple[int, int]], steps: int
) -> None:
    starts = [float(a) for a, _ in functions]
    finals = [float(b) for _, b in functions] if steps > 1 else starts
    won = total_of_greatest(starts, finals, steps)

    def value(a: int, b: int, k: int) -> Fraction:
        return Fraction(a) + (Fraction((b - a) * k, steps - 1) if steps > 1 else 0)

    expected = sum(max(value(a, b, k) for a, b in functions) for k in range(steps))
    assert sum(won) == pytest.approx(float(expected), rel=1e-12)


def test_each_winner_gets_the_steps_it_wins() -> None:
    """max(1+k, 3) for k = 0 … 4 is 3, 3, 3 | 4, 5; the tie at k = 2 goes to the one before."""
    assert total_of_greatest([1.0, 3.0], [5.0, 3.0], 5) == [9.0, 9.0]

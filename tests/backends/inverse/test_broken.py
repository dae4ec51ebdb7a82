"""Piecewise-affine functions: sums and maxima agree with their values everywhere."""

from __future__ import annotations

from fractions import Fraction
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from mansard.backends.inverse import broken
from mansard.backends.inverse.broken import Bends, Broken, line, summed
from mansard.backends.inverse.envelope import greatest, winners

number = st.fractions(-50, 50, max_denominator=12)
lines = st.lists(st.tuples(number, number), min_size=1, max_size=5)
place = st.fractions(0, 40, max_denominator=30)


def made(of: list[tuple[Fraction, Fraction]]) -> list[Broken]:
    return [line(base, slope, 0, 40) for base, slope in of]


@settings(deadline=None)
@given(lines, lines, place)
def test_a_sum_of_maxima_has_the_value_of_its_parts(
    a: list[tuple[Fraction, Fraction]], b: list[tuple[Fraction, Fraction]], x: Fraction
) -> None:
    total = summed([greatest(made(a)), greatest(made(b)).scaled(3)])
    expected = max(p + m * x for p, m in a) + 3 * max(p + m * x for p, m in b)
    assert total.at(x) == expected
    piece = next(p for p in total.pieces() if p.low <= x <= p.high)
    assert piece.at(x) == expected


@settings(deadline=None)
@given(lines, lines, place)
def test_a_maximum_of_bent_functions_has_the_greatest_value(
    a: list[tuple[Fraction, Fraction]], b: list[tuple[Fraction, Fraction]], x: Fraction
) -> None:
    bent, low = greatest(made(a)), greatest(made(b)).scaled(-1)
    assert greatest([bent, low]).at(x) == max(bent.at(x), low.at(x))


@settings(deadline=None)
@given(lines, number, place)
def test_where_it_is_below_a_limit_is_exactly_there(
    a: list[tuple[Fraction, Fraction]], limit: Fraction, x: Fraction
) -> None:
    curve = greatest(made(a))
    inside = any(low <= x <= high for low, high in curve.where(limit))
    assert inside == (curve.at(x) <= limit)


@settings(deadline=None)
@given(lines)
def test_the_winner_of_each_piece_is_the_greatest_in_its_middle(
    a: list[tuple[Fraction, Fraction]],
) -> None:
    parts = made(a)
    found = winners(parts)
    assert found[0][0].low == 0
    assert found[-1][0].high == 40
    for piece, which in found:
        middle = (piece.low + piece.high) / 2
        assert parts[which].at(middle) == max(p.at(middle) for p in parts)


@settings(deadline=None)
@given(st.lists(st.tuples(place, number), min_size=1, max_size=60), number, number)
def test_many_bends_are_decided_as_few_are(
    bends: list[tuple[Fraction, Fraction]], base: Fraction, slope: Fraction
) -> None:
    curve = Broken(Fraction(0), Fraction(40), base, slope, Bends(sorted(dict(bends).items())))
    found = []
    for many in (1, 100):
        with patch.object(broken, "MANY", many):
            found.append(list(curve.changing()))
    assert found[0] == found[1]
    assert sum(piece.high - piece.low for piece, _ in found[0]) == 40
    for piece, sign in found[0]:
        for x in (piece.low, (piece.low + piece.high) / 2, piece.high):
            assert sign == 0 or curve.at(x) * sign > 0

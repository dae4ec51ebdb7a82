"""Sums over loops from times at nodes equal the sum of every step."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import mansard as ms
from mansard.backends.calibrated.curves import Place, curve
from mansard.backends.calibrated.knots import around, chords, knots
from mansard.backends.sums import Piece

NODES = np.array([0.0, 1.0, 2.0, 4.0, 9.0, 1000.0, 1090.0, 900_000.0, 981_000.0])
VALUES = np.array([3.0, 1.0, 2.0, 2.5, 7.0, 1e3, 1.2e3, 8.0e5, 9.1e5])[:, None] / 7


def exact(first: int, last: int) -> Fraction:
    """Return the sum of every step, each on the line between its neighbouring nodes."""
    nodes = [int(x) for x in NODES]
    values = [Fraction(v) for v in VALUES[:, 0].tolist()]
    total = Fraction(0)
    for (low, high), (a, b) in zip(pairwise(nodes), pairwise(values), strict=True):
        begin, end = max(first, low), min(last, high - 1)
        if begin <= end:
            count, middle = end - begin + 1, Fraction(begin + end, 2) - low
            total += count * (a + (b - a) * middle / (high - low))
    return total


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 0), (1, 1), (0, 980_999), (3, 5), (8, 9), (899_999, 900_001), (900_000, 900_000), (5, 80)],
)
def test_a_loop_takes_the_sum_of_its_steps_however_deep_it_begins(first: int, last: int) -> None:
    begin, end = (
        Place(np.array([k]), np.array([at - NODES[k]]), np.array([NODES[k + 1] - NODES[k]]))
        for at, k in ((at, int(np.searchsorted(NODES, at, "right")) - 1) for at in (first, last))
    )
    same = begin.which == end.which
    found = Fraction(float(curve(NODES, VALUES).between(begin, end, same)[0]))
    assert abs(found / exact(first, last) - 1) < 1e-14


def test_steps_at_knots_reach_around_a_loop_that_begins_and_ends_between_them() -> None:
    assert around(100.0, 1.0, 5, 5, free=True) == [3, 12]
    assert around(107.0, 1.0, 0, 0, free=True)[0] == 0
    assert around(100.0, 1.0, 5, 5, free=False) == [5]
    contexts = [100 + step for step in around(100.0, 1.0, 0, 400, free=True)]
    assert set(contexts) <= set(knots())
    assert contexts[0] <= 100 < 500 < contexts[-1]


def test_chords_are_every_step_once_and_straight_between_nodes() -> None:
    affine = [Piece(-3, 20, [-3], [20]), Piece(21, 21, [50], [50]), Piece(22, 40, [22], [40])]
    parts = list(chords(affine, [-3, 7, 30, 40], 2, 33, lambda step: [step]))
    assert [step for p in parts for step in range(p.first, p.last + 1)] == list(range(2, 34))
    for part in parts:
        for step in range(part.steps):
            on_line = part.low[0] + part.share(step) * (part.high[0] - part.low[0])
            assert on_line == (50 if part.first == 21 else pytest.approx(part.first + step))


def test_a_list_of_any_contexts_is_its_points_one_by_one() -> None:
    """Contexts so far apart that no table holds them all."""
    engine = ms.study("gemma-2-2b", on="h100-sxm", estimate="calibrated").compiled
    prompts = np.array([1, 2, 5000, 4095, 4096, 40_000_000])
    found = engine.figures(4, prompts, 3, ("decode",))["decode"]
    one_by_one = [engine.point(4, p, 3, ("decode",))["decode"] for p in prompts.tolist()]
    assert found == pytest.approx(one_by_one, rel=1e-13)

"""Reductions of a stream equal their definition, however the stream is cut."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mansard.query.sweeps.reduce import Array, Front, Numbers, Top

METRICS = ("throughput", "tpot", "memory")
COUNT = 10_000


def fed(into: Front | Top, values: dict[str, Array], sizes: list[int]) -> Front | Top:
    """Feed points in blocks of given sizes, over and over."""
    low, turn = 0, 0
    total = len(next(iter(values.values())))
    while low < total:
        high = min(low + sizes[turn % len(sizes)], total)
        numbers = np.arange(low, high)
        into.add({k: v[low:high] for k, v in values.items()}, numbers.__getitem__)
        low, turn = high, turn + 1
    return into


def defined(values: dict[str, Array], metrics: tuple[str, ...]) -> Numbers:
    """Return the front by its definition: nobody is as good in all and better in one."""
    points = np.array([-values[m] if m == "throughput" else values[m] for m in metrics])
    kept = []
    for k in range(points.shape[1]):
        other = points <= points[:, k : k + 1]
        better = points < points[:, k : k + 1]
        kept.append(not (other.all(axis=0) & better.any(axis=0)).any())
    return np.flatnonzero(kept)


@pytest.mark.parametrize("kind", ["real", "tied", "correlated"])
@pytest.mark.parametrize("metrics", [METRICS[:1], METRICS[:2], METRICS])
def test_a_front_equals_its_definition_on_ten_thousand_points(
    metrics: tuple[str, ...], kind: str
) -> None:
    random = np.random.default_rng(7)
    points = random.random((3, COUNT))
    if kind == "tied":
        points = np.floor(points * 30)
    if kind == "correlated":
        points[0] = points[1] + 0.1 * points[0]
    values = dict(zip(METRICS, points, strict=True))
    expected = defined(values, metrics)
    for sizes in ([COUNT], [1000, 37], [512]):
        assert np.array_equal(fed(Front(metrics), values, sizes).numbers, expected)


def test_fronts_of_parts_merge_to_the_front_of_the_whole() -> None:
    random = np.random.default_rng(3)
    values = dict(zip(METRICS, np.floor(random.random((3, COUNT)) * 50), strict=True))
    whole = Front(METRICS)
    for low in range(0, COUNT, 2500):
        part = Front(METRICS)
        numbers = np.arange(low, low + 2500)
        part.add({k: v[low : low + 2500] for k, v in values.items()}, numbers.__getitem__)
        whole.merge(pickle.loads(pickle.dumps(part)))
    assert np.array_equal(whole.numbers, defined(values, METRICS))


def test_unknown_points_are_on_no_front() -> None:
    front = Front(("tpot", "memory"))
    front.add({"tpot": np.array([np.nan, 1.0]), "memory": np.array([1.0, 2.0])}, lambda at: at)
    assert front.numbers.tolist() == [1]


@pytest.mark.parametrize("metric", ["throughput", "tpot"])
def test_the_best_few_equal_a_sort_and_ties_keep_the_first(metric: str) -> None:
    random = np.random.default_rng(5)
    values = {metric: np.floor(random.random(COUNT) * 900)}
    sign = -1 if metric == "throughput" else 1
    expected = np.lexsort((np.arange(COUNT), sign * values[metric]))[:25]
    for sizes in ([COUNT], [100, 7], [26]):
        assert np.array_equal(fed(Top(metric, 25), values, sizes).numbers, expected)


def test_a_front_of_equal_points_does_not_grow_without_end() -> None:
    from mansard.query.sweeps.reduce import MOST

    front = Front(("tpot", "memory"))
    ones = np.ones(MOST)
    for low in (0, MOST):
        front.add({"tpot": ones, "memory": ones}, (np.arange(MOST) + low).__getitem__)
    assert front.numbers.tolist() == [0]
    assert front.dropped > 0

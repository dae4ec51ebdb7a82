"""What a collective costs: bytes over links, hops times latency, two levels."""

from __future__ import annotations

import pytest

from mansard.backends.collectives import Level, seconds
from mansard.core.errors import SpecError

GB = 1e9
LINK = Level(8, 100 * GB, 0.0)


@pytest.mark.parametrize("n", [3, 4, 8, 64])
def test_a_ring_moves_two_times_n_minus_one_nths_of_a_message(n: int) -> None:
    took = seconds("all_reduce", 100 * GB, (Level(n, 100 * GB, 0.0),))
    assert took == pytest.approx(2 * (n - 1) / n)


@pytest.mark.parametrize("n", [2, 8, 64])
def test_a_gather_of_shares_and_a_scatter_of_the_whole_are_half_an_all_reduce(n: int) -> None:
    level = (Level(n, 100 * GB, 0.0),)
    scatter, gather = (
        seconds("reduce_scatter", 8 * GB, level),
        seconds("all_gather", 8 * GB / n, level),
    )
    assert scatter == pytest.approx(gather)
    assert scatter + gather == pytest.approx(2 * (n - 1) / n * 8 / 100)


def test_an_all_to_all_keeps_its_own_share() -> None:
    assert seconds("all_to_all", 8 * GB, (LINK,)) == pytest.approx(7 / 8 * 8 / 100)


def test_small_messages_take_latency_and_the_fewest_hops() -> None:
    slow = (Level(8, 100 * GB, 1e-6),)
    assert seconds("all_reduce", 8.0, slow) == pytest.approx(1e-6, rel=1e-3)  # direct
    assert seconds("all_reduce", 1e6, slow) < 2 * 7 * 1e-6 + 2 * 7 / 8 * 1e6 / (100 * GB)


def test_over_nodes_only_a_shard_crosses_the_network() -> None:
    levels = (Level(8, 400 * GB, 0.0), Level(4, 50 * GB, 0.0))
    inside = 2 * 7 / 8 * 8 / 400
    between = 2 * 3 / 4 * 1 / 50
    assert seconds("all_reduce", 8 * GB, levels) == pytest.approx(inside + between)
    assert seconds("all_gather", 8 * GB / 32, levels) == pytest.approx((inside + between) / 2)


def test_of_an_all_to_all_over_nodes_each_level_carries_its_own_rows_at_once() -> None:
    levels = (Level(8, 400 * GB, 0.0), Level(4, 50 * GB, 0.0))
    network, node = 3 / 4 * 8 / 50, 7 / 8 * (8 / 4) / 400
    assert seconds("all_to_all", 8 * GB, levels) == pytest.approx(max(network, node))


def test_one_rank_sends_nothing() -> None:
    assert seconds("all_reduce", 8 * GB, (Level(1, 1.0, 1.0),)) == 0.0
    assert seconds("send", 8 * GB, ()) == 0.0


def test_an_unknown_collective_has_no_price() -> None:
    with pytest.raises(SpecError, match="no cost"):
        seconds("gossip", 1.0, (LINK,))

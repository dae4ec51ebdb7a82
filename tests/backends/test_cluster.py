"""Several chips: which ranks share a node, what joins nodes, which links a collective crosses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mansard.backends.chips import load
from mansard.backends.cluster import Cluster, cluster, layouts, network, networks
from mansard.backends.collectives import levels
from mansard.core.errors import SpecError, UnknownNameError

H100 = load("h100-sxm")


def test_inner_axes_stay_in_a_node_and_outer_ones_span_nodes() -> None:
    four = Cluster(H100, 8, 4, network("ib-ndr400"), {"tp": 4, "dp": 4, "pp": 2})
    assert four.devices == 32
    assert four.spread("tp") == (4, 1)
    assert four.spread("dp") == (2, 2)
    assert four.spread("pp") == (1, 2)


def test_experts_over_tensor_and_data_ranks_are_innermost() -> None:
    four = Cluster(H100, 8, 4, network("ib-ndr400"), {"dp": 32})
    inside, across = levels(four, "ep", 32)
    assert (inside.ranks, across.ranks) == (8, 4)
    assert across.bytes_per_s == 50e9


def test_a_phase_has_a_layout_of_its_own() -> None:
    one = Cluster(H100, 8, 1, mesh={"tp@prefill": 2, "pp@prefill": 4, "tp@decode": 8})
    assert one.spread("tp@decode") == (8, 1)
    assert layouts(one.mesh) == {
        "prefill": {"tp@prefill": 2, "pp@prefill": 4},
        "decode": {"tp@decode": 8},
    }


def test_nodes_without_a_network_are_an_error_with_the_names_there_are() -> None:
    with pytest.raises(SpecError, match="nothing says what joins") as caught:
        cluster(H100, 4, 8, None, {})
    assert caught.value.hint is not None
    assert "--set network=NAME" in caught.value.hint
    assert "ib-ndr400" in caught.value.hint


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UnknownNameError, match="no network called 'ib-ndr40'"):
        network("ib-ndr40")


def test_every_network_has_a_rate_and_a_source() -> None:
    assert all(n.bytes_per_s > 0 and n.sources for n in networks().values())
    assert network("ib-ndr400").bytes_per_s == 50e9


def test_a_chip_without_a_link_cannot_take_part_in_a_collective() -> None:
    alone = replace(H100, link_bytes_per_s=None)
    with pytest.raises(SpecError, match="states no link"):
        levels(Cluster(alone, 2), "tp", 2)

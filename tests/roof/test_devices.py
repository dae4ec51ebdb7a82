"""Several devices on the command line and in Python."""

from __future__ import annotations

import pytest

import mansard as ms
from mansard.core.errors import SpecError

MIXTRAL = "mixtral-8x7b-v0.1"


def codes(estimate: object) -> set[str]:
    """Codes of an estimate's notes."""
    return {note.code for note in getattr(estimate, "notes", ())}


def test_eight_devices_without_a_word_mean_tp_8_and_that_is_said() -> None:
    silent = ms.analyze("llama-3.1-70b", on="h100-sxm:8")
    said = ms.analyze("llama-3.1-70b", on="h100-sxm:8", techniques=["parallel:tp=8"])
    assert silent.tpot == said.tpot
    assert "M040" in codes(silent)
    assert "M040" not in codes(said)


def test_figures_are_of_one_device_and_the_model_is_whole() -> None:
    eight = ms.analyze("llama-3.1-70b", on="h100-sxm:8", techniques=["parallel:tp=8"])
    assert eight.model.params == 70_553_706_496
    assert eight.memory.weights == 2 * ((70_553_706_496 - 161 * 8192) // 8 + 161 * 8192)
    assert eight.devices == 8
    assert eight.memory.fits


def test_experts_over_data_ranks_serve_a_batch_of_all() -> None:
    techniques = ["moe-routing:imbalance=1.3", "parallel:ep=8,dp=8"]
    done = ms.analyze(MIXTRAL, on="h100-sxm:8", batch=64, techniques=techniques)
    assert done.throughput == pytest.approx(64 * 128 / (done.latency or 0.0))
    assert done.op("layers.dispatch.all_to_all").link_bytes == 8 * 2 * 4096 * 2 * 1.3


@pytest.mark.parametrize(
    ("on", "technique", "said"),
    [
        ("h100-sxm:8", "parallel:tp=16", "use 16 devices"),
        ("h100-sxm:8", "parallel:tp=4", "use 4 devices"),
        ("h100-sxm", "parallel:tp=2", "use 2 devices"),
        ("h100-sxm:8", "parallel:dp=2", "use 2 devices"),
    ],
)
def test_degrees_must_use_every_device_and_no_more(on: str, technique: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        ms.analyze("llama-3.1-8b", on=on, techniques=[technique])
    assert "tp·cp·dp·pp must be the number of devices" in (caught.value.hint or "")


def test_nodes_need_a_network_by_name() -> None:
    with pytest.raises(SpecError, match="what joins the nodes"):
        ms.analyze("llama-3.1-70b", on="h100-sxm:4x8", techniques=["parallel:tp=8,pp=4"])
    done = ms.analyze("llama-3.1-70b", on="h100-sxm:4x8", techniques=["parallel:tp=8,pp=4"],
                      set={"network": "ib-ndr400"})  # fmt: skip
    assert done.devices == 32


def test_a_batch_that_does_not_divide_says_how_full_the_fullest_rank_is() -> None:
    done = ms.analyze("llama-3.1-8b", on="h100-sxm:4", batch=6, techniques=["parallel:dp=4"])
    (note,) = [n for n in done.notes if n.code == "M041"]
    assert "batch 6 over dp=4: the fullest rank has 2" in note.message


def test_another_layout_for_each_phase() -> None:
    techniques = ["parallel{tp=2 dp=4 phase=prefill}", "parallel{tp=8 phase=decode}"]
    done = ms.analyze("llama-3.1-70b", on="h100-sxm:8", batch=8, techniques=techniques)
    alone = ms.analyze("llama-3.1-70b", on="h100-sxm:8", batch=8, techniques=["parallel:tp=8"])
    assert done.tpot == alone.tpot

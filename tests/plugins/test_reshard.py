"""Re-sharding between phases: what moves, counted by hand, and where it is worth it."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp

import mansard as ms
from mansard.core.symbols import B, P
from mansard.testing import is_identity_when, rewritten

MODEL = "llama-3.1-8b"
LAYERS, WIDTH, KV, VOCABULARY, FFN = 32, 4096, 1024, 128256, 14336
LAYER = (2 * WIDTH * WIDTH + 2 * WIDTH * KV + 3 * WIDTH * FFN) * 2
"""Bytes of the matrices of a layer in bf16."""
NORMS = 2 * WIDTH * 2
TABLE = VOCABULARY * WIDTH * 2
CACHE = 2 * B * P * KV * 2
"""Bytes of keys and values of a layer."""
SEESAW = "reshard{prefill-pp=4 decode-tp=4 via=link}"


def payload(program: ms.Program, graph: str, link: str = "") -> sp.Expr:
    """Bytes a device is handed by a graph of moves, over one link or all of them."""
    found = program.graph(graph).cost.payload.items()
    return sp.Add(*(n for (_, where, _), n in found if link in ("", where)))


def test_a_device_receives_what_the_other_layout_left_to_others() -> None:
    """From 8 whole layers to a quarter of 32: 2 of the 8 layers' worth is there already."""
    program = rewritten(MODEL, SEESAW)
    weights = 6 * LAYER + 24 * NORMS + TABLE / 4  # the last stage has the head, not the table
    caches = 6 * CACHE
    assert sp.expand(payload(program, "target@to-decode") - weights - caches) == 0
    back = 6 * LAYER + TABLE * 3 / 4  # a quarter of the head is there, and every norm
    assert sp.expand(payload(program, "target@to-prefill") - back) == 0


def test_through_the_host_weights_come_once_and_caches_go_there_and_back() -> None:
    program = rewritten(MODEL, SEESAW.replace("link", "host"))
    out = payload(program, "target@to-decode", "memory>host")
    assert sp.expand(out - 6 * CACHE) == 0
    came = payload(program, "target@to-decode", "host>memory")
    assert sp.expand(came - 6 * LAYER - 24 * NORMS - TABLE / 4 - 6 * CACHE) == 0


def test_moves_stand_before_each_phase() -> None:
    phases = [step.phase for step in rewritten(MODEL, SEESAW).schedule]
    assert phases[0] == "reshard"
    assert phases.index("prefill") < phases.index("reshard", 1) < phases.index("decode")


def asked(*techniques: str) -> ms.Estimate:
    """An answer on four devices."""
    return ms.analyze(
        MODEL, on="h100-sxm:4", batch=64, prompt=2048, output=129, techniques=techniques, level="O0"
    )


def test_each_phase_is_as_fast_as_where_it_is_laid_out_so_throughout() -> None:
    mixed, stages, ranks = asked(SEESAW), asked("parallel{pp=4}"), asked("parallel{tp=4}")
    assert mixed.prefill.total_s == stages.prefill.total_s
    assert mixed.decode.total_s == ranks.decode.total_s
    assert mixed.latency is not None
    moves_s = mixed.phases["reshard"].total_s
    assert mixed.latency == pytest.approx(
        mixed.prefill.total_s + mixed.decode.total_s + moves_s, rel=1e-12
    )
    assert mixed.memory.kv_cache == ranks.memory.kv_cache


def test_layouts_of_earlier_passes_are_priced_as_they_are() -> None:
    laid_out = ("parallel{pp=4 phase=prefill}", "parallel{tp=4 phase=decode}")
    program = rewritten(MODEL, (*laid_out, "reshard{via=link}"))
    once = rewritten(MODEL, SEESAW)
    for graph in ("target@to-decode", "target@to-prefill"):
        assert payload(program, graph) == payload(once, graph)


def test_one_layout_for_both_phases_moves_nothing() -> None:
    is_identity_when("reshard", MODEL)
    again = rewritten(MODEL, "parallel{tp=2}")
    is_identity_when("reshard{via=host}", again)


@pytest.mark.parametrize(
    ("techniques", "words"),
    [
        (("reshard{prefill-pp=4 decode-tp=2}",), "4 devices in prefill, 2 in decode"),
        (
            ("parallel{dp=2 phase=prefill}", "parallel{tp=2 phase=decode}", "reshard"),
            "deal sequences to ranks differently",
        ),
    ],
)
def test_layouts_that_cannot_follow_each_other_are_refused(
    techniques: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ms.MansardError, match=words) as caught:
        rewritten(MODEL, techniques)
    assert caught.value.hint


def test_a_hybrids_states_move_too() -> None:
    program: Any = rewritten("jamba-1.5-mini", "reshard{prefill-pp=4 decode-tp=4}")
    moved = {leaf.role for leaf in program.graph("target@to-decode").leaves}
    assert moved == {"weight", "cache", "state"}

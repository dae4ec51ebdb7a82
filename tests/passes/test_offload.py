"""Offloading: what moves, what hides behind what, and what stays in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from tests.passes.serving import FAMILIES, O1, applied, model, priced, through

from mansard.backends.chips import load as chip
from mansard.core.errors import MansardError
from mansard.core.symbols import B, P
from mansard.ir.footprint import storages
from mansard.ir.ops import Copy
from mansard.ir.region import Overlap, Repeat

BIG = "llama-3.1-8b"
LAYER = 218_112_000 * 2  # bytes of a layer's weights
KEY = 4096  # bytes a token caches in a layer
LINK = 64e9  # of an H100 to the host


def test_nothing_elsewhere_is_the_identity() -> None:
    assert through(BIG, "offload") is model(BIG)


def test_a_run_of_layers_becomes_two() -> None:
    graph = through(BIG, "offload{weights=0.25}").graph()
    beside = [op for op in graph.ops if isinstance(op, Overlap)]
    stay = [op for op in graph.ops if isinstance(op, Repeat)]
    (run,) = beside[0].body.ops
    assert isinstance(run, Repeat)
    assert ([run.trips], [op.trips for op in stay]) == ([8], [24])
    assert sum(isinstance(op, Copy) for op in run.body.ops) == 9  # of 9 weights of a layer


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_memory_falls_by_the_weights_that_left(share: float) -> None:
    plain, away = (
        priced(model(BIG)).memory,
        priced(through(BIG, f"offload{{weights={share}}}")).memory,
    )
    assert plain.weights - away.weights == share * 32 * LAYER
    assert plain.kv_cache == away.kv_cache


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_memory_falls_by_the_caches_that_left(share: float) -> None:
    away = priced(through(BIG, f"offload{{kv={share}}}"), batch=4).memory
    assert away.kv_cache == (1 - share) * 32 * 4 * 1101 * KEY
    assert away.weights == priced(model(BIG)).memory.weights


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_lost_or_counted_twice(name: str) -> None:
    def stored(pipeline: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for s in storages(through(name, pipeline).graph()).values():
            one = float((s.value.numel * s.copies).xreplace({B: sp.Integer(2), P: sp.Integer(64)}))
            found[s.value.role] = found.get(s.value.role, 0) + one
        return found

    before = stored("offload")
    assert stored("offload{weights=0.5 kv=0.25 activations=1}") == before


def test_weights_cross_the_link_once_a_step() -> None:
    decode = priced(through(BIG, "offload{weights=0.5}")).phases["decode"]
    assert decode.link_bytes == 16 * LAYER
    prefill = priced(through(BIG, "offload{weights=0.5}")).phases["prefill"]
    assert prefill.link_bytes == 16 * LAYER


def test_copies_hide_behind_arithmetic_or_add_to_it() -> None:
    """t = max(compute, in) of the offloaded run against their sum, with the resident run."""
    plain = priced(through(BIG, O1), output=2).phases["decode"]
    layers = sum(r.time_s * r.count for r in plain.ops if r.name.startswith("layers."))
    rest = plain.time_s - layers
    copied = 16 * LAYER / LINK
    added = priced(through(BIG, f"offload{{weights=0.5 overlap=false}},{O1}"), output=2)
    hidden = priced(through(BIG, f"offload{{weights=0.5}},{O1}"), output=2)
    assert added.metrics.tpot_s == pytest.approx(rest + layers + copied, rel=1e-9)
    assert hidden.metrics.tpot_s == pytest.approx(
        rest + layers / 2 + max(layers / 2, copied), rel=1e-9
    )


def test_a_long_prefill_hides_the_copies_altogether() -> None:
    """One layer's copy takes 6.8 ms; 65,536 tokens through it take longer."""
    plain = priced(through(BIG, O1), prompt=65_536).phases["prefill"]
    away = priced(through(BIG, f"offload{{weights=1}},{O1}"), prompt=65_536).phases["prefill"]
    assert away.time_s == pytest.approx(plain.time_s, rel=1e-12)


def test_a_cache_elsewhere_is_copied_in_and_new_rows_written_through() -> None:
    """One step at 1000 cached tokens: 1000 rows come in, one goes out."""
    decode = priced(through(BIG, "offload{kv=1}"), output=2).phases["decode"]
    assert decode.link_bytes == 32 * 1000 * KEY
    written = sum(r.bytes_by_place.get("host", 0) * r.count for r in decode.ops)
    assert written == 32 * KEY
    prefill = priced(through(BIG, "offload{kv=1}")).phases["prefill"]
    assert prefill.link_bytes == 0


def test_hidden_states_go_out_and_come_in() -> None:
    decode = priced(through(BIG, "offload{activations=0.5}"), batch=3).phases["decode"]
    assert decode.link_bytes == 16 * 2 * 3 * 4096 * 2


def test_of_experts_only_the_chosen_are_copied() -> None:
    """Mixtral, one token: 2 of 8 experts of 3·4096·14336, attention, router and norms."""
    expert, attention = 3 * 4096 * 14_336, 2 * 4096 * 4096 + 2 * 4096 * 1024
    layer = 2 * (2 * expert + attention + 8 * 4096 + 2 * 4096)
    decode = priced(through("mixtral-8x7b-v0.1", "offload{weights=1}")).phases["decode"]
    assert decode.link_bytes == 32 * layer


def test_rounding_is_said() -> None:
    (done,) = applied(BIG, "offload{weights=0.3}")[1]
    assert done.changed == "weights of 10 of 32 layers in host"
    assert [(n.code, "taken as 10" in n.message) for n in done.notes] == [("M021", True)]
    assert applied(BIG, "offload{weights=0.5}")[1][0].notes == ()


def test_a_layers_buffer_is_resident_while_it_computes() -> None:
    """A prompt of one token: next to a layer's weights its activations are nothing."""
    away = priced(through(BIG, "offload{weights=1}"), prompt=1, output=2).memory
    assert away.activations == pytest.approx(LAYER, rel=1e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_stands_after_quantization_and_around_fusion(name: str) -> None:
    spec = "offload{weights=0.5 kv=0.5}"
    first, last = through(name, f"{spec},{O1}"), through(name, f"{O1},{spec}")
    assert priced(first).memory.weights == priced(last).memory.weights
    narrow = priced(through(name, f"quantize{{weights=fp8 kv=fp8}},{spec},{O1}")).phases["decode"]
    wide = priced(first).phases["decode"]
    assert narrow.link_bytes < 0.6 * wide.link_bytes
    speculating = priced(through(name, f"{spec},speculative-decode{{draft=self}},{O1}"))
    assert speculating.metrics.tpot_s


def test_a_chip_without_the_link_says_what_to_add() -> None:
    lonely = replace(chip("h100-sxm"), host_link_bytes_per_s=None)
    with pytest.raises(MansardError, match="no bandwidth to 'host'") as caught:
        priced(through(BIG, "offload{weights=1}"), on=lonely)
    assert "hardware.link.host" in (caught.value.hint or "")
    with pytest.raises(MansardError, match="no bandwidth to 'storage'") as caught:
        priced(through(BIG, "offload{weights=1 to=storage}"))
    assert "hardware.link.storage" in (caught.value.hint or "")
    disk = chip("h100-sxm").override("link.storage", "8GB/s")
    decode = priced(through(BIG, "offload{weights=1 to=storage}"), on=disk).phases["decode"]
    assert decode.time_s == pytest.approx(32 * LAYER / 8e9, rel=0.02)


def test_bad_options_are_named() -> None:
    with pytest.raises(MansardError, match="above 1"):
        applied(BIG, "offload{weights=2}")
    with pytest.raises(MansardError, match="moon"):
        applied(BIG, "offload{weights=1 to=moon}")
    with pytest.raises(MansardError, match="already"):
        applied(BIG, "offload{weights=1},offload{kv=1}")

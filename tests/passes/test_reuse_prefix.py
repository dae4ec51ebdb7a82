"""Prefix caching: fewer new tokens, one stored prefix, and who reads it how often."""

from __future__ import annotations

import pytest
from tests.passes.serving import FAMILIES, O1, applied, model, priced, step_s, through

from mansard.core.errors import MansardError
from mansard.core.symbols import P, S, prompt
from mansard.ir.footprint import storages
from mansard.ir.program import Call

BIG = "llama-3.1-8b"
KEY = 131_072  # bytes a token caches in all 32 layers


def test_nothing_cached_is_the_identity() -> None:
    assert through(BIG, "reuse-prefix{hit=0 shared=true}") is model(BIG)


def test_what_is_cached_is_not_new() -> None:
    call = through(BIG, "reuse-prefix{hit=600}").schedule[0]
    assert isinstance(call, Call)
    assert (call.bind[S], call.bind[P]) == (prompt - 600, 600)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prefill_after_a_hit_is_one_step_over_the_rest(name: str) -> None:
    program = through(name, f"reuse-prefix{{hit=600}},{O1}")
    phase = priced(program, batch=2).phases["prefill"]
    assert phase.time_s == pytest.approx(step_s(program, "target", 2, 400, 600, rows=2), rel=1e-12)


def test_linear_work_falls_by_the_share_that_hit() -> None:
    def linear(pipeline: str) -> float:
        rows = priced(through(BIG, pipeline)).phases["prefill"].ops
        layers = (r for r in rows if r.kind == "linear" and r.name != "lm_head")
        return sum(r.flops_by_unit["matrix"] * r.count for r in layers)

    share = linear("reuse-prefix{hit=600}") / linear("reuse-prefix")
    assert share == pytest.approx(1 - 600 / 1000, rel=1e-12)


def test_a_shared_prefix_is_stored_once() -> None:
    own = priced(through(BIG, "reuse-prefix{hit=600}"), batch=8).memory
    shared = priced(through(BIG, "reuse-prefix{hit=600 shared=true}"), batch=8).memory
    assert own.kv_cache == 8 * 1101 * KEY
    assert shared.kv_cache == (600 + 8 * 501) * KEY


def test_a_cascade_reads_the_prefix_once_and_a_plain_kernel_for_everyone() -> None:
    """One decode step of 8 sequences at 1000 cached tokens, less what it appends."""
    b, hit, past = 8, 600, 1000

    def read(options: str) -> float:
        program = through(BIG, f"reuse-prefix{{hit={hit} {options}}},{O1}")
        decode = priced(program, batch=b, prompt=past, output=2).phases["decode"]
        rows = [r for r in decode.ops if r.name == "layers.attention"]
        return sum(r.kv_bytes * r.count for r in rows)

    assert read("") == read("shared=true") == b * (past + 1) * KEY
    assert read("shared=true kernel=cascade") == (hit + b * (past + 1 - hit)) * KEY


def test_pairs_and_arithmetic_do_not_depend_on_where_the_prefix_lies() -> None:
    for name in FAMILIES:
        plain = priced(through(name, f"reuse-prefix{{hit=600}},{O1}"), batch=3)
        cut = priced(through(name, f"reuse-prefix{{hit=600 shared=true}},{O1}"), batch=3)
        for phase in ("prefill", "decode"):
            assert cut.phases[phase].flops == plain.phases[phase].flops
            assert cut.phases[phase].bytes == pytest.approx(plain.phases[phase].bytes, rel=1e-12)


def test_a_window_shares_the_part_of_the_prefix_it_still_sees() -> None:
    """Gemma-2-9B: 21 of 42 layers keep 4095 tokens; a key and value are 8 heads of 256 each.

    After 4500 tokens a windowed layer sees 500 of a sequence's own and 3595 of the prefix.
    """
    program = through("gemma-2-9b", f"reuse-prefix{{hit=4000 shared=true kernel=cascade}},{O1}")
    rows = priced(program, batch=4, prompt=4500, output=2).phases["decode"].ops
    read = {r.name: r.kv_bytes / (2 * 8 * 256 * 2) for r in rows if r.kind == "attention"}
    assert read["layers.attention"] == 4000 + 4 * 501
    assert read["layers.sliding_attention"] == 3595 + 4 * 501


def test_storages_say_what_is_the_prefix() -> None:
    found = storages(through(BIG, "reuse-prefix{hit=600 shared=true}").graph())
    assert found["layers.{i}.k_cache.prefix"].value.shape == (1, 8, 600, 128)
    assert found["layers.{i}.k_cache"].value.shape[2] == P - 600


@pytest.mark.parametrize("hit", [1000, 1001])
def test_a_hit_as_long_as_the_prompt_is_an_error(hit: int) -> None:
    with pytest.raises(MansardError, match="new tokens"):
        priced(through(BIG, f"reuse-prefix{{hit={hit}}}"))


def test_options_are_checked() -> None:
    with pytest.raises(MansardError, match="kernel"):
        applied(BIG, "reuse-prefix{hit=5 kernel=magic}")
    with pytest.raises(MansardError, match="below 0"):
        applied(BIG, "reuse-prefix{hit=-5}")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("first", ["quantize{weights=int4 kv=fp8}", O1])
def test_it_follows_quantization_and_fusion(name: str, first: str) -> None:
    plain = priced(through(name, f"{first},reuse-prefix{{hit=600}}"), batch=4)
    shared = priced(through(name, f"{first},reuse-prefix{{hit=600 shared=true}}"), batch=4)
    assert shared.memory.kv_cache < plain.memory.kv_cache
    assert shared.metrics.tpot_s == pytest.approx(plain.metrics.tpot_s, rel=1e-9)

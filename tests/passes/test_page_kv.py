"""Paged caches occupy whole pages and read a table; everything else stays."""

from __future__ import annotations

import pytest
from tests.passes.rewriting import flops, model, moved, numbers, plain, through

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import SpecError
from mansard.core.symbols import total
from mansard.passes.page_kv import PageKv

LLAMA = "llama-3.1-8b"


@pytest.mark.parametrize(("page", "prompt"), [(1, 100), (16, 90), (16, 100), (256, 513)])
def test_a_sequence_occupies_whole_pages(page: int, prompt: int) -> None:
    program = through(LLAMA, f"page-kv:page={page}")
    memory = estimate(program, chip("h100-sxm"), {"batch": 3, "prompt": prompt, "output": 6}).memory
    assert memory.kv_cache == 3 * 131_072 * (-(-(prompt + 6) // page) * page)


def test_a_step_reads_the_table_and_moves_what_it_did() -> None:
    before, after = model(LLAMA), through(LLAMA, "page-kv")
    for role in ("cache", "weight", "activation"):
        assert plain(moved(before, role) - moved(after, role)) == 0
    assert flops(before) == flops(after)
    table = numbers(moved(after, "table"), B=5, S=1, P=159)
    assert table == 32 * 2 * 5 * 10 * 4  # layers, K and V, sequences, pages, bytes


@pytest.mark.parametrize("name", ["gemma-2-2b", "deepseek-v2-lite"])
def test_paging_and_limiting_commute(name: str) -> None:
    limit = "limit-kv{window=1000 sinks=0}"
    scenario = {"batch": 1, "prompt": 3000, "output": 3}
    held = [
        estimate(through(name, text), chip("h100-sxm"), scenario).memory.kv_cache
        for text in (f"page-kv,{limit}", f"{limit},page-kv")
    ]
    assert held[0] == held[1]


@pytest.mark.parametrize("offload", ["kv=0.5", "kv=1 to=storage", "kv=0.5 overlap=false"])
def test_pages_elsewhere_are_copied_whole_and_read_by_row(offload: str) -> None:
    """The first prompt finds a cache of no rows: nothing is divided by them."""
    both = [f"offload{{{offload}}},page-kv", f"page-kv,offload{{{offload}}}"]
    one, two = (through(LLAMA, text) for text in both)
    scenario = {"batch": 2, "prompt": 100, "output": 6}
    chip_ = chip("h100-sxm")
    if "storage" not in offload:
        priced = [estimate(p, chip_, scenario) for p in (one, two)]
        times = [(p.metrics.ttft_s, p.metrics.tpot_s) for p in priced]
        assert times[0] == pytest.approx(times[1], rel=1e-12)  # sums of another order
        assert priced[0].memory == priced[1].memory
    whole = through(LLAMA, f"offload{{{offload}}}")
    step = {"B": 2, "S": 1, "P": 100}
    assert numbers(moved(one, "cache") - moved(whole, "cache"), **step) == 0
    assert numbers(moved(one, "activation") - moved(whole, "activation"), **step) == 0
    sent, unpaged = (numbers(total(p.graph().cost.payload.values()), **step) for p in (one, whole))
    assert sent * 100 == unpaged * 112  # 7 pages of 16 tokens for 100


def test_facts_of_the_model_are_per_token_still() -> None:
    scenario = {"batch": 1, "prompt": 8, "output": 2}
    facts = estimate(through(LLAMA, "page-kv"), chip("h100-sxm"), scenario).model
    assert facts.kv_bytes_per_token == 131_072


def test_golden_text_and_a_bad_page() -> None:
    text = str(through(LLAMA, "page-kv").graph())
    assert "table %page_table: int32[B, ceil_div(P + S, 16)]" in text
    assert "paged(%layers.k_append, %page_table)" in text
    with pytest.raises(SpecError):
        PageKv(page=0)

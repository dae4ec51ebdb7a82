"""Table 1 of the seed paper: Llama-2-7B on an A6000, 2048 tokens, batch 1, nothing fused.

Yuan et al., LLM Inference Unveiled: Survey and Roofline Model Insights, arXiv:2402.16363, Table 1.
Its norms (7 FLOP an element, no weights) and residual adds (one operand read) are left out: there
mansard differs on purpose, as ``test_paper_figures`` shows.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mansard.backends.estimate import Phase, Row
from mansard.frontends.hf.load import load
from mansard.ir.program import binding

# Name of ours: (FLOP, bytes, FLOP/B, attainable FLOP/s, bound) as the table prints them.
PREFILL = {
    "layers.q_proj": ("69G", "67M", "1024", "155T", "compute"),
    "layers.k_proj": ("69G", "67M", "1024", "155T", "compute"),
    "layers.v_proj": ("69G", "67M", "1024", "155T", "compute"),
    "layers.o_proj": ("69G", "67M", "1024", "155T", "compute"),
    "layers.gate_proj": ("185G", "152M", "1215", "155T", "compute"),
    "layers.up_proj": ("185G", "152M", "1215", "155T", "compute"),
    "layers.down_proj": ("185G", "152M", "1215", "155T", "compute"),
    "layers.scores": ("34G", "302M", "114", "87T", "memory"),
    "layers.values": ("34G", "302M", "114", "87T", "memory"),
    "layers.softmax": ("671M", "537M", "1.25", "960G", "memory"),
}
DECODE = {
    "layers.q_proj": ("34M", "34M", "1", "768G", "memory"),
    "layers.k_proj": ("34M", "34M", "1", "768G", "memory"),
    "layers.v_proj": ("34M", "34M", "1", "768G", "memory"),
    "layers.o_proj": ("34M", "34M", "1", "768G", "memory"),
    "layers.gate_proj": ("90M", "90M", "1", "768G", "memory"),
    "layers.up_proj": ("90M", "90M", "1", "768G", "memory"),
    "layers.down_proj": ("90M", "90M", "1", "768G", "memory"),
    "layers.scores": ("17M", "17M", "0.99", "762G", "memory"),
    "layers.values": ("17M", "17M", "0.99", "762G", "memory"),
    "layers.softmax": ("328K", "262K", "1.25", "960G", "memory"),
}

# The same, exactly: h 4096, f 11008, 32 heads of 128, 2 bytes an element, n = 2048.
N, H, F, HEADS, D = 2048, 4096, 11008, 32, 128
EXACT_PREFILL = {
    "layers.q_proj": (2 * N * H * H, 2 * (H * H + 2 * N * H)),
    "layers.gate_proj": (2 * N * H * F, 2 * (H * F + N * H + N * F)),
    "layers.scores": (2 * HEADS * N * N * D, 2 * (2 * N * H + HEADS * N * N)),
    "layers.softmax": (5 * HEADS * N * N, 2 * 2 * HEADS * N * N),
}
EXACT_DECODE = {
    "layers.q_proj": (2 * H * H, 2 * (H * H + 2 * H)),
    "layers.gate_proj": (2 * H * F, 2 * (H * F + H + F)),
    "layers.scores": (2 * HEADS * N * D, 2 * (H + N * H + HEADS * N)),
    "layers.softmax": (5 * HEADS * N, 2 * 2 * HEADS * N),
}


@pytest.fixture(scope="module")
def prefill(run: Callable[..., Phase]) -> dict[str, Row]:
    graph = load("llama-2-7b").graph()
    return {row.name: row for row in run(graph, binding(1, N, 0)).ops}


@pytest.fixture(scope="module")
def decode(run: Callable[..., Phase]) -> dict[str, Row]:
    graph = load("llama-2-7b").graph()
    return {row.name: row for row in run(graph, binding(1, 1, N - 1)).ops}  # 2048 keys


def printed(value: float) -> str:
    """Return a number as the table prints it: 68719476736 → 69G, 1214.7 → 1215 is ``plain``."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{value / size:.0f}{unit}"
    return f"{value:.0f}"


def plain(value: float) -> str:
    """Return an intensity as the table prints it: three digits, none after a whole number."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")


def line(row: Row) -> tuple[str, str, str, str, str]:
    assert row.intensity is not None
    assert row.attainable_flops_per_s is not None
    flops, moved = printed(row.flops), printed(row.bytes)
    return flops, moved, plain(row.intensity), printed(row.attainable_flops_per_s), row.bound


@pytest.mark.parametrize("name", PREFILL)
def test_prefill_prints_the_papers_digits(name: str, prefill: dict[str, Row]) -> None:
    assert line(prefill[name]) == PREFILL[name]
    assert prefill[name].count == 32


@pytest.mark.parametrize("name", DECODE)
def test_decode_prints_the_papers_digits(name: str, decode: dict[str, Row]) -> None:
    assert line(decode[name]) == DECODE[name]
    assert decode[name].count == 32


@pytest.mark.parametrize("name", EXACT_PREFILL)
def test_prefill_is_exact_to_the_flop_and_the_byte(name: str, prefill: dict[str, Row]) -> None:
    assert (prefill[name].flops, prefill[name].bytes) == EXACT_PREFILL[name]


@pytest.mark.parametrize("name", EXACT_DECODE)
def test_decode_is_exact_to_the_flop_and_the_byte(name: str, decode: dict[str, Row]) -> None:
    assert (decode[name].flops, decode[name].bytes) == EXACT_DECODE[name]

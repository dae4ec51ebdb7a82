"""Chunked prefill: the same pairs, weights once a chunk, and what decoding riders add."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from tests.passes.serving import FAMILIES, O1, applied, model, priced, step_s, through

from mansard.core.errors import MansardError
from mansard.core.symbols import B, P, R, S, T
from mansard.ir.mask import Mask
from mansard.ir.program import Call, binding

BIG = "llama-3.1-8b"
KEY = 131_072  # bytes a token caches in all 32 layers


def chunks(prompt: int, size: int) -> list[tuple[int, int]]:
    """(new, past) of each chunk."""
    return [(min(size, prompt - at), at) for at in range(0, prompt, size)]


@pytest.mark.parametrize("kind", ["causal", "window"])
@pytest.mark.parametrize(("prompt", "size"), [(1024, 256), (1000, 300), (7, 3), (5, 8)])
def test_chunks_compute_the_pairs_of_the_whole_prompt(kind: str, prompt: int, size: int) -> None:
    mask = Mask(kind, sp.Integer(64) if kind == "window" else None, skip=True)

    def pairs(new: int, past: int) -> sp.Expr:
        at = {S: sp.Integer(new), P: sp.Integer(past)}
        return mask.pairs(S, P, P + S).xreplace(at)

    assert sum(pairs(n, p) for n, p in chunks(prompt, size)) == pairs(prompt, 0)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("prompt", "size"), [(1024, 256), (1000, 300)])
def test_a_chunked_prefill_is_the_sum_of_its_steps(name: str, prompt: int, size: int) -> None:
    """Brute force, a call a chunk; only the last one reads the head."""
    program = through(name, f"chunk-prefill{{size={size}}},{O1}")
    *early, last = chunks(prompt, size)
    total = sum(step_s(program, "target", 1, n, p, wants=("hidden",)) for n, p in early)
    total += step_s(program, "target", 1, *last)
    phase = priced(program, prompt=prompt).phases["prefill"]
    assert phase.time_s == pytest.approx(total, rel=1e-12)


def test_arithmetic_stays_and_weights_are_read_once_a_chunk() -> None:
    n, c = 2048, 256
    plain = priced(through(BIG, O1), prompt=n).phases["prefill"]
    cut = priced(through(BIG, f"chunk-prefill{{size={c}}},{O1}"), prompt=n).phases["prefill"]
    assert cut.flops == plain.flops
    head = 128_256 * 4096 * 2
    final_norm, table = 4096 * 2, n * 4096 * 2
    layers = plain.weight_bytes - head - final_norm - table
    assert cut.weight_bytes == head + table + n // c * (layers + final_norm)


def test_keys_of_earlier_chunks_are_read_again() -> None:
    """(N/2)·(N/C - 1) keys beyond the N that a plain prefill reads."""
    n, c = 2048, 256
    plain = priced(through(BIG, O1), prompt=n).phases["prefill"]
    cut = priced(through(BIG, f"chunk-prefill{{size={c}}},{O1}"), prompt=n).phases["prefill"]
    assert cut.kv_bytes - plain.kv_bytes == n // 2 * (n // c - 1) * KEY


@pytest.mark.parametrize("size", [1000, 4096])
def test_a_chunk_as_long_as_the_prompt_is_a_plain_prefill(size: int) -> None:
    cut, plain = priced(through(BIG, f"chunk-prefill{{size={size}}}")), priced(model(BIG))
    assert cut.metrics == plain.metrics
    assert cut.memory == plain.memory


def test_riders_share_the_weights_and_bring_their_own_attention() -> None:
    """One ragged step of 256 new tokens and 8 sequences at 1000 tokens, counted by hand."""
    program = through(BIG, f"chunk-prefill{{size=256 decoding=8 context=1000}},{O1}")
    rows = {r.name: r for r in priced(program, prompt=256).phases["prefill"].ops}
    q = rows["layers.qkv_proj"]
    assert q.flops_by_unit["matrix"] == 2 * (256 + 8) * 4096 * 6144
    assert q.weight_bytes == 4096 * 6144 * 2
    assert rows["lm_head"].flops == 2 * (1 + 8) * 4096 * 128_256
    pairs = 256 * 257 // 2 + 8 * 1001
    attention = rows["layers.attention"]
    assert attention.flops_by_unit["matrix"] == 32 * pairs * 4 * 128
    assert attention.kv_bytes == (256 + 8 * 1001) * 2 * 8 * 128 * 2


def test_a_riders_marginal_cost_is_less_than_a_step_of_its_own() -> None:
    """The step of C + d tokens less that of C, against d sequences decoding alone."""

    def step(riders: int) -> float:
        pipeline = f"chunk-prefill{{size=512 decoding={riders} context=1000}},{O1}"
        return priced(through(BIG, pipeline), prompt=512).phases["prefill"].time_s

    marginal = step(8) - step(0)
    alone = step_s(through(BIG, O1), "target", 8, 1, 1000)
    assert 0 < marginal < alone / 4


def test_a_rider_is_a_group_of_the_step() -> None:
    program = through(BIG, "chunk-prefill{size=100 decoding=3 context=50}")
    loop, last = program.schedule[:2]
    assert isinstance(last, Call)
    (call,) = loop.steps  # type: ignore[union-attr]
    assert [g[0] for g in call.groups][1:] == [3]  # type: ignore[union-attr]
    assert last.bind[B] - call.bind[B] == 0  # type: ignore[union-attr]
    assert last.bind[R] - call.bind[R] == call.bind[B] - 3  # type: ignore[union-attr]


def test_one_ragged_call_equals_its_groups_where_nothing_is_shared() -> None:
    """A ragged step's bytes of cache are those of its two parts called alone."""
    base = through(BIG, O1)
    groups = ((1, 64, 10), (5, 1, 90))
    whole = {**binding(6, 1, 0), T: sp.Integer(69), R: sp.Integer(6)}
    parts = tuple(tuple(map(sp.Integer, g)) for g in groups)
    ragged = Call("target", whole, groups=parts, phase="step")
    joint = priced(replace(base, schedule=(ragged,))).phases["step"]
    alone = [priced(replace(base, schedule=(Call("target", binding(*g), phase="step"),)))
             .phases["step"] for g in groups]  # fmt: skip
    assert joint.kv_bytes == sum(a.kv_bytes for a in alone)


def test_bad_sizes_and_a_program_without_prefill_are_named() -> None:
    with pytest.raises(MansardError, match="below 1"):
        applied(BIG, "chunk-prefill{size=0}")
    decode = replace(model(BIG), schedule=model(BIG).schedule[1:])
    from mansard.passes.chunk_prefill import ChunkPrefill

    assert [n.code for n in ChunkPrefill().run(decode).notes] == ["M020"]

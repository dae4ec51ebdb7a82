"""Kernels that stream: norms, activations, quantisation, recurrences, small batched products."""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.form import (
    ChipFacts,
    Form,
    Number,
    Parameter,
    Sizes,
    cached,
    smooth_max,
)
from mansard.backends.rates import COMPUTE, MEMORY_BOUND, OVERHEAD


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    return z["flops"], z["bytes"]


def _stream_sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    """What is moved, against a block a row."""
    _, e_memory, row_s, resident, _, _ = p
    memory = cached(z["bytes"] / (e_memory * chip.bytes_per_s), z["bytes"], resident, chip)
    return {MEMORY_BOUND: memory, OVERHEAD: row_s * z["rows"]}


def _stream(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    t0, _, _, _, sharp, width_s = p
    memory, rows = _stream_sides(p, z, chip, xp).values()
    return t0 + width_s * z["cols"] + smooth_max(memory, rows, sharp, xp)


STREAM = Form(
    name="stream",
    sizes=("rows", "cols", "bytes", "flops", "peak"),
    parameters=(
        Parameter("t0", 4e-6, 3e-7, 1e-4, 4.5, "launch [s]"),
        Parameter("e_memory", 0.75, 0.02, 1.3, 2.0, "share of the bandwidth"),
        Parameter("row_s", 1e-11, 1e-13, 1e-7, 3.0, "per row, one block each [s]"),
        Parameter("resident", 1.5, 1.0, 8.0, 2.0, "speed of the last level over memory"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("width_s", 1e-12, 1e-14, 1e-8, 3.0, "per column of the longest row [s]"),
    ),
    seconds=_stream,
    work=_work,
    shape=("rows", "cols"),
    sides=_stream_sides,
)


def _scan_sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    """Products of chunks, against what is moved."""
    _, e_memory, e_compute, _, _, _, _, resident, _, _ = p
    memory = cached(z["bytes"] / (e_memory * chip.bytes_per_s), z["held"], resident, chip)
    return {COMPUTE: z["flops"] / (e_compute * z["peak"]), MEMORY_BOUND: memory}


def _scan(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """A recurrence: parallel over sequences and heads, serial over chunks of a sequence.

    Some engines launch its convolution sequence by sequence. ``held`` are the bytes touched: a
    state that is updated where it lies counts once.
    """
    t0, _, _, step_s, block_s, idle, sharp, _, sequence_s, token_s = p
    compute, memory = _scan_sides(p, z, chip, xp).values()
    blocks = z["blocks"]
    busy = xp.minimum(1.0, blocks / chip.sms)
    work = smooth_max(compute, memory, sharp, xp) * xp.power(busy, -idle)
    looped = sequence_s * z["batch"] + token_s * z["tokens"]
    return t0 + step_s * z["steps"] + block_s * blocks + looped + work


SCAN = Form(
    name="scan",
    sizes=("bytes", "held", "flops", "steps", "blocks", "batch", "tokens", "peak"),
    parameters=(
        Parameter("t0", 5e-6, 5e-7, 3e-4, 4.5, "launches [s]"),
        Parameter("e_memory", 0.6, 0.02, 1.3, 2.0, "share of the bandwidth"),
        Parameter("e_compute", 0.2, 0.002, 1.2, 3.0, "share of the matrix peak"),
        Parameter("step_s", 1e-7, 1e-10, 1e-5, 6.0, "per serial step [s]"),
        Parameter("block_s", 1e-10, 1e-13, 1e-6, 6.0, "per channel or head of a sequence [s]"),
        Parameter("idle", 0.1, 1e-3, 1.2, 3.0, "loss when units are idle"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("resident", 1.5, 1.0, 8.0, 2.0, "speed of the last level over memory"),
        Parameter("sequence_s", 1e-9, 1e-12, 1e-4, 6.0, "per sequence, in a loop [s]"),
        Parameter("token_s", 1e-11, 1e-14, 1e-6, 6.0, "per token, whatever its width [s]"),
    ),
    seconds=_scan,
    work=_work,
    shape=("width", "heads"),
    sides=_scan_sides,
)


def _batched_sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    """Whole tiles in waves, against what is moved."""
    _, e_compute, e_memory, wave, _, resident, _, _ = p
    rows, groups = z["rows"], z["groups"]
    tile = xp.where(rows <= 64, 64.0, 128.0)
    waves = groups * xp.ceil(rows / tile) * xp.ceil(z["n"] / 128.0) / chip.sms
    rounded = xp.ceil(waves) / waves
    flops, moved = _batched_work(z, chip, xp)
    padded = xp.ceil(rows / tile) * tile / rows
    compute = flops * padded * xp.power(rounded, wave) / (e_compute * z["peak"])
    memory = cached(moved / (e_memory * chip.bytes_per_s), moved, resident, chip)
    return {COMPUTE: compute, MEMORY_BOUND: memory}


def _batched(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """``groups`` small products ``[rows, k] × [k, n]`` in one launch, quantising kernels added."""
    t0, _, _, _, sharp, _, token, group_s = p
    compute, memory = _batched_sides(p, z, chip, xp).values()
    fixed = t0 + group_s * z["groups"] + token * z["rows"] * z["groups"]
    return fixed + smooth_max(compute, memory, sharp, xp)


def _batched_work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    rows, groups, n, k = z["rows"], z["groups"], z["n"], z["k"]
    moved = groups * (n * k * z["w_bytes"] + rows * (k * z["x_bytes"] + n * 2.0))
    return 2 * groups * rows * n * k, moved


BATCHED = Form(
    name="batched_gemm",
    sizes=("groups", "rows", "n", "k", "x_bytes", "w_bytes", "peak"),
    parameters=(
        Parameter("t0", 5e-6, 5e-7, 1e-4, 4.5, "launch [s]"),
        Parameter("e_compute", 0.5, 0.01, 1.2, 2.0, "share of the matrix peak"),
        Parameter("e_memory", 0.7, 0.02, 1.3, 2.0, "share of the bandwidth"),
        Parameter("wave", 0.3, 1e-3, 1.5, 4.5, "how much of a partial wave is lost"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("resident", 1.5, 1.0, 8.0, 2.0, "speed of the last level over memory"),
        Parameter("token", 1e-12, 1e-14, 1e-8, 6.0, "per row of a group [s]"),
        Parameter("group_s", 1e-9, 1e-12, 1e-6, 6.0, "per group [s]"),
    ),
    seconds=_batched,
    work=_batched_work,
    shape=("groups",),
    sides=_batched_sides,
)

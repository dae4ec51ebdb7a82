"""Matrix products: a launch, a serial depth, tiles in waves, and the quantise kernel before."""

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
from mansard.backends.rates import COMPUTE, MEMORY_BOUND

TILE = 128  # rows and columns of a thread block's tile in CUTLASS's and cuBLAS's large kernels
COPIES = 5  # weights the measurements rotate through, so that they come from memory


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    m, n, k = z["m"], z["n"], z["k"]
    return 2 * m * n * k, m * k * z["x_bytes"] + n * k * z["w_bytes"] + 2 * m * n


def _sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    """Whole tiles in waves, against what is read and written."""
    _, _, _, e_compute, e_read, e_write, wave, _, resident, _, _ = p
    m, n, k = z["m"], z["n"], z["k"]
    rows = xp.where(m <= 64, 64.0, float(TILE))
    down, across = xp.ceil(m / rows), xp.ceil(n / TILE)
    waves = down * across / chip.sms
    rounded = xp.ceil(waves) / waves
    flops = 2.0 * down * rows * across * TILE * k
    compute = flops * xp.power(rounded, wave) / (e_compute * z["peak"])
    weights, reads, writes = n * k * z["w_bytes"], m * k * z["x_bytes"], 2.0 * m * n
    memory = ((weights + reads) / e_read + writes / e_write) / chip.bytes_per_s
    memory = cached(memory, COPIES * weights + reads + writes, resident, chip)
    return {COMPUTE: compute, MEMORY_BOUND: memory}


def _seconds(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """``t0 + s·depth + smoothmax(tiles, bytes) + quantise``.

    The depth of the k loop saturates: split-k cuts long ones. A row of activations stored
    narrower than it computes was quantised by a kernel of its own, one block a row.
    """
    t0, serial, knee, _, e_read, _, _, sharp, _, q0, q_row = p
    m, k = z["m"], z["k"]
    compute, memory = _sides(p, z, chip, xp).values()
    time = t0 + serial * k / (1.0 + k / knee) + smooth_max(compute, memory, sharp, xp)
    if not xp.any(z["quantised"]):
        return time
    moved = m * k * (2.0 + z["x_bytes"]) / (e_read * chip.bytes_per_s)
    return time + z["quantised"] * (q0 + smooth_max(moved, q_row * m, 4.0, xp))


GEMM = Form(
    name="gemm",
    sizes=("m", "n", "k", "x_bytes", "w_bytes", "peak", "quantised"),
    parameters=(
        Parameter("t0", 4e-6, 5e-7, 1e-4, 4.5, "launch [s]"),
        Parameter("serial", 5e-10, 1e-12, 5e-8, 4.5, "per step of the k loop [s]"),
        Parameter("knee", 2000, 100, 1e5, 4.5, "depth where split-k sets in"),
        Parameter("e_compute", 0.7, 0.1, 1.2, 1.2, "share of the matrix peak"),
        Parameter("e_read", 0.85, 0.2, 2.0, 1.2, "share of the bandwidth, reading"),
        Parameter("e_write", 0.85, 0.2, 1.5, 1.2, "share of the bandwidth, writing"),
        Parameter("wave", 0.3, 1e-3, 1.5, 4.5, "how much of a partial wave is lost"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("resident", 1.5, 1.0, 5.0, 1.5, "speed of the last level over memory"),
        Parameter("q0", 2e-6, 1e-8, 1e-4, 4.5, "launch of the quantise kernel [s]"),
        Parameter("q_row", 1e-10, 1e-12, 1e-7, 6.0, "quantise kernel, per row [s]"),
    ),
    seconds=_seconds,
    work=_work,
    shape=("n", "k"),
    sides=_sides,
)

"""Where fewer weight bits stop helping: Llama-2-13B on an A6000, one token, context 1024."""

from __future__ import annotations

import pytest
from tests.passes.rewriting import model, through

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.symbols import batch
from mansard.ir.program import TARGET, Call, binding


@pytest.mark.parametrize(("bits", "expected"), [(16, 214), (8, 107), (4, 54), (2, 27), (1, 14)])
def test_gate_proj_turns_compute_bound_at_the_published_batch(bits: int, expected: int) -> None:
    """Yuan 2024 (arXiv:2402.16363), fig. 9; rates of its §3.2: 154.84 TFLOP/s, 768 GB/s."""
    from dataclasses import replace

    hardware = chip("rtx-a6000").override("peak.matrix.fp16", "154.8385 TFLOPS")
    hardware = hardware.override("memory.bandwidth", "768 GB/s")
    text = f"quantize{{weights=int{bits} dequantize=free}}"
    program = model("llama-2-13b") if bits == 16 else through("llama-2-13b", text)
    once = replace(program, schedule=(Call(TARGET, binding(batch, 1, 1023), phase="step"),))

    def bound(size: int) -> str:
        rows = (
            estimate(once, hardware, {"batch": size, "prompt": 1, "output": 1}).phases["step"].ops
        )
        return next(r.bound for r in rows if r.name == "layers.gate_proj")

    near = [b for b in range(expected - 3, expected + 4) if bound(b) == "compute"]
    assert near == list(range(near[0], expected + 4))
    assert abs(near[0] - expected) <= 1

"""The forms there are, and how many bytes an element of a stored dtype takes."""

from __future__ import annotations

from mansard.backends.calibrated.attention import DECODE, MLA_DECODE, MLA_PREFILL, PREFILL
from mansard.backends.calibrated.engine import ENGINE
from mansard.backends.calibrated.exchange import COLLECTIVE, DISPATCH
from mansard.backends.calibrated.experts import EXPERTS
from mansard.backends.calibrated.form import Form
from mansard.backends.calibrated.gemm import GEMM
from mansard.backends.calibrated.latent import MLA_MODULE
from mansard.backends.calibrated.network import NETWORK
from mansard.backends.calibrated.streams import BATCHED, SCAN, STREAM
from mansard.core.errors import unknown_name

FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        GEMM, PREFILL, DECODE, MLA_PREFILL, MLA_DECODE, MLA_MODULE, EXPERTS, COLLECTIVE, DISPATCH,
        STREAM, SCAN, BATCHED, NETWORK, ENGINE,
    )
}  # fmt: skip

STORED: dict[str, tuple[float, float, str]] = {
    "bfloat16": (2.0, 2.0, "bf16"),
    "bf16": (2.0, 2.0, "bf16"),
    "fp16": (2.0, 2.0, "fp16"),
    "half": (2.0, 2.0, "fp16"),
    "fp8": (1.0, 1.0, "fp8"),
    "fp8_block": (1.0, 1.0, "fp8"),
    "nvfp4": (0.5625, 0.5625, "fp4"),  # 4.5 bits: one fp8 scale for 16
    "int8_wo": (2.0, 1.0, "fp16"),
    "int4_wo": (2.0, 0.516, "fp16"),  # 4.125 bits: one fp16 scale for 128
    "sq": (1.0, 1.0, "int8"),
    "int8": (1.0, 1.0, "int8"),
    "w4a8_mxfp4_mxfp8": (1.031, 0.531, "fp8"),  # one 8-bit scale for 32
    "w4a16_mxfp4": (2.0, 0.531, "bf16"),
    "mxfp4": (0.531, 0.531, "fp4"),
    "w4a16_nvfp4": (2.0, 0.5625, "bf16"),
    "w4a8_nvfp4_fp8": (1.0, 0.5625, "fp8"),
}
"""Name of a scheme → (bytes of an activation, bytes of a weight, dtype it computes in)."""


def form(name: str) -> Form:
    """Return the form called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FORMS:
        raise unknown_name("kind of kernel", name, tuple(FORMS))
    return FORMS[name]


def scheme(dtype: str) -> tuple[float, float, str]:
    """Return (bytes of an activation, bytes of a weight, compute dtype) of a scheme.

    Raises:
        UnknownNameError: it is not in ``STORED``.
    """
    if dtype not in STORED:
        raise unknown_name("dtype of a measurement", dtype, tuple(STORED))
    return STORED[dtype]

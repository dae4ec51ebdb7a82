"""What an engine adds to its kernels: scheduling, sampling and launches around them.

Kernels are measured alone. Whole networks are slower for what happens between them, which five
parameters describe; they are fitted on whole static batches, the sum of the kernels being known.
"""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.form import ChipFacts, Form, Number, Parameter, Sizes


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    """The bound of the same batch, as if memory had moved it."""
    return 0.0 * z["bound_s"], z["bound_s"] * chip.bytes_per_s


def _seconds(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """``steps·(step + layers·(layer + ranks) + sequences·sequence)``, kernels slowed."""
    step_s, layer_s, ranks_s, sequence_s, prefill, decode, attend = p
    several = xp.where(z["tp"] > 1, 1.0, 0.0)
    layer = layer_s + several * ranks_s
    fixed = z["steps"] * (step_s + z["layers"] * layer + z["batch"] * sequence_s)
    first, rest, attention = z["prefill_s"], z["decode_s"], z["attention_s"]
    return fixed + prefill * first + decode * rest + attend * attention


ENGINE = Form(
    name="engine",
    sizes=(
        "layers", "hidden", "parameters", "tp", "batch", "steps", "prefill_s", "decode_s",
        "attention_s", "bound_s", "peak",
    ),
    parameters=(
        Parameter("step_s", 5e-4, 1e-6, 5e-2, 2.0, "per step [s]"),
        Parameter("layer_s", 5e-6, 1e-8, 1e-3, 2.0, "per layer and step [s]"),
        Parameter("ranks_s", 5e-6, 1e-8, 1e-3, 2.0, "per layer with several ranks [s]"),
        Parameter("sequence_s", 1e-5, 1e-8, 1e-2, 3.0, "per sequence and step [s]"),
        Parameter("prefill", 1.05, 0.8, 6.0, 0.5, "time of a prefill's kernels, of alone"),
        Parameter("decode", 1.05, 0.8, 6.0, 0.3, "time of a decode's kernels, of alone"),
        Parameter("attend", 1.05, 0.6, 4.0, 0.5, "time of decode attention, of alone"),
    ),
    seconds=_seconds,
    work=_work,
    shape=("layers", "hidden", "parameters"),
)  # fmt: skip

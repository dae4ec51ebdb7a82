"""What an engine adds to its kernels: scheduling, sampling and launches around them.

Kernels are measured alone. Whole networks are slower for what happens between them, which a few
parameters describe; they are fitted on whole static batches and on first tokens, the sum of the
kernels being known. Batches alone do not tell a prefill from what every sequence adds to a step:
where as many tokens are read as are made, both grow with batch times length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mansard.backends.calibrated.form import ChipFacts, Form, Number, Parameter, Sizes


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    """The bound of the same batch, as if memory had moved it."""
    return 0.0 * z["bound_s"], z["bound_s"] * chip.bytes_per_s


def _seconds(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """``steps·(step + layers·(layer + ranks) + sequences·sequence)``, kernels slowed."""
    step_s, layer_s, ranks_s, sequence_s, prefill, decode, attend, grouped, widen = p
    several = xp.where(z["tp"] > 1, 1.0, 0.0)
    layer = layer_s + several * ranks_s
    fixed = z["steps"] * (step_s + z["layers"] * layer + z["batch"] * sequence_s)
    attention = z["attention_s"] + grouped * z["grouped_s"]
    slowed = prefill * z["prefill_s"] + decode * z["decode_s"] + attend * attention
    return fixed + slowed + widen * z["widen_s"]


ENGINE = Form(
    name="engine",
    sizes=(
        "layers", "hidden", "parameters", "tp", "batch", "steps", "prefill_s", "decode_s",
        "attention_s", "grouped_s", "widen_s", "bound_s", "peak",
    ),
    parameters=(
        Parameter("step_s", 5e-4, 1e-6, 5e-2, 2.0, "per step [s]"),
        Parameter("layer_s", 5e-6, 1e-8, 1e-3, 2.0, "per layer and step [s]"),
        Parameter("ranks_s", 5e-6, 1e-8, 1e-3, 2.0, "per layer with several ranks [s]"),
        Parameter("sequence_s", 1e-5, 1e-8, 1e-2, 3.0, "per sequence and step [s]"),
        Parameter("prefill", 1.1, 0.8, 6.0, 0.2, "time of a prefill's kernels, of alone"),
        Parameter("decode", 1.05, 0.8, 6.0, 0.3, "time of a decode's kernels, of alone"),
        Parameter("attend", 1.05, 0.6, 4.0, 0.5, "time of decode attention, of alone"),
        Parameter("grouped", 1.8, 1.0, 4.0, 0.15, "the same where heads share a cache, over that",
                  absent=1.0),  # attend was fitted to both
        Parameter("widen", 35.0, 1.0, 500.0, 0.5, "operations to widen an element of an fp8 cache",
                  absent=35.0),  # of the unit that widens, not of the engine
    ),
    seconds=_seconds,
    work=_work,
    shape=("layers", "hidden", "parameters"),
)  # fmt: skip


def is_first(steps: Number) -> Any:
    """Mark what is a first token: batches of one step."""
    return steps <= 1


@dataclass(frozen=True)
class Slowing:
    """How many times as long as alone the kernels of a phase take in an engine.

    Args:
        plain: all of them.
        grouped: of those, decode attention whose query heads share heads of the cache.
        widen: operations a query head spends on an element of a cache in fp8, beside its kernel, on
            a chip that has no fp8.
    """

    plain: float = 1.0
    grouped: float = 1.0
    widen: float = 0.0

    def of(self, form: str, z: Sizes, xp: Any) -> Number:
        """Return it for a kernel of a form and sizes."""
        if form != "attention_decode" or self.grouped == self.plain:
            return self.plain
        return xp.where(z["heads"] > z["kv_heads"], self.grouped, self.plain)


def slowing(values: tuple[float, ...] | None, phase: str, kind: str) -> Slowing:
    """Return how much slower than alone a kind of kernel runs in a phase.

    Args:
        values: of the engine's parameters; None where there is no engine.
        phase: of the schedule.
        kind: of row.
    """
    if values is None:
        return Slowing()
    prefill, decode, attend, grouped, widen = values[-5:]
    if phase != "decode":
        return Slowing(prefill, prefill)
    if kind != "attention":
        return Slowing(decode, decode)
    return Slowing(attend, attend * grouped, widen)

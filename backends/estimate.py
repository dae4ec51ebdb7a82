"""What a backend answers: phases of rows, memory, metrics - numbers in SI base units."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field

from mansard.core.records import dataclass

Number = int | float
PREFILL, DECODE, ENCODE, DENOISE = "prefill", "decode", "encode", "denoise"


def called_once(phases: Iterable[str]) -> bool:
    """Say whether phases make no tokens: a batch is called once, and its latency their total."""
    named = set(phases)
    return bool(named) and not named & {PREFILL, DECODE}


def made_in(phases: Collection[str], sizes: Collection[str], source: str) -> str:
    """Return what throughput counts: tokens, or of a model that is called once what it makes.

    Args:
        phases: that are asked for.
        sizes: of the scenario, which the model depends on.
        source: what the program was read from.
    """
    if not called_once(phases):
        return "tokens"
    if DENOISE in phases:
        return "images"
    if "prompt" in sizes:
        return "sequences"
    return "inputs" if source == "onnx" else "images"


@dataclass(frozen=True)
class Row:
    """One kernel of a phase; figures are per occurrence, ``count`` times them is the step's.

    Args:
        name: of the checkpoint's module, or of the kernel.
        kind: linear, attention, rms_norm …
        count: occurrences in one step of the phase.
        flops, bytes: arithmetic [FLOP] and traffic [B]; the next four split the traffic.
        intensity: FLOP/B; None when nothing moves.
        bound: compute, vector, memory or link.
        attainable_flops_per_s: the roof over this intensity, for the unit that does most.
        time_s: the greatest of the times its resources need.
        share: of the phase's time.
        compute_dtype: what the matrix unit (or else the vector unit) computes in, after fallback.
        weight_encoding: how the weight it reads lies, in the text form.
        unit: matrix, vector or none.
        time_by_resource_s: resource → time it alone would need.
        members: names of the ops fused into it, when more than one.
        because: the passes that touched it, with their reasons.
        formulas: "flops", "bytes" … → the symbolic expression, as text.
        ideal_s: the bound's time, where ``time_s`` is calibrated; None where it is the bound.
        low_s, high_s: the band of ``time_s``.
        basis: the measurements it rests on, in words.
    """

    name: str
    kind: str
    count: Number
    flops: Number
    bytes: Number
    weight_bytes: Number
    activation_bytes: Number
    kv_bytes: Number
    link_bytes: Number
    intensity: float | None
    bound: str
    attainable_flops_per_s: float | None
    time_s: float
    share: float
    compute_dtype: str
    weight_encoding: str
    unit: str
    graph: str
    device: str
    dims: Mapping[str, Number | str]
    flops_by_unit: Mapping[str, Number]
    bytes_by_place: Mapping[str, Number]
    time_by_resource_s: Mapping[str, float] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    formulas: Mapping[str, str] = field(default_factory=dict)
    ideal_s: float | None = None
    low_s: float | None = None
    high_s: float | None = None
    basis: str = ""


@dataclass(frozen=True)
class Phase:
    """The mean step of a phase: sums over its rows.

    Args:
        name: prefill, decode, encode …
        steps: how many steps the phase has; figures are of the mean one.
        time_s: sum over kernels of the greatest of their resources' times.
        overlapped_s: the greatest resource's sum: no schedule is faster.
        time_by_resource_s: bound → time of the rows it bounds.
        kernels: launches in one step.
    """

    name: str
    steps: Number
    time_s: float
    flops: Number
    bytes: Number
    weight_bytes: Number
    activation_bytes: Number
    kv_bytes: Number
    link_bytes: Number
    bound: str
    time_by_resource_s: Mapping[str, float]
    overlapped_s: float
    first_step_s: float
    last_step_s: float
    kernels: Number
    ops: tuple[Row, ...]

    @property
    def total_s(self) -> float:
        """Time of all its steps."""
        return self.time_s * self.steps


@dataclass(frozen=True)
class Memory:
    """Bytes on one device at the worst moment of the schedule.

    Args:
        overhead: the driver's reserve where a source gives one, else 0.
        capacity: of the device; None when unknown.
        pools: the same of a device of each pool, where the schedule names several; the figures
            themselves are then those of the fullest.
    """

    weights: Number
    kv_cache: Number
    activations: Number
    overhead: Number
    capacity: Number | None
    pools: Mapping[str, Memory] = field(default_factory=dict)

    @property
    def total(self) -> Number:
        """All of it."""
        return self.weights + self.kv_cache + self.activations + self.overhead

    @property
    def fits(self) -> bool | None:
        """Whether it does; None when the capacity is unknown."""
        return None if self.capacity is None else self.total <= self.capacity


@dataclass(frozen=True)
class Metrics:
    """What users steer by; None where it does not apply.

    Args:
        energy_j: of one batch [J].
        cost: of one batch, in the currency of the price.
        cost_per_mtok: of a million generated tokens.
    """

    ttft_s: float | None = None
    tpot_s: float | None = None
    latency_s: float | None = None
    throughput_tok_s: float | None = None
    tokens_per_s_per_user: float | None = None
    energy_j: float | None = None
    cost: float | None = None
    cost_per_mtok: float | None = None

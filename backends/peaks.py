"""Which rate of a chip serves a dtype: its own, one of the same width, or the next wider."""

from __future__ import annotations

from collections.abc import Mapping

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass

UNITS = ("matrix", "vector")
STRUCTURES = ("dense", "2:4")
DTYPES = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp6", "fp4", "int4")

Peaks = Mapping[tuple[str, str, str], int | float]
"""FLOP/s by (unit, dtype, structure)."""

_HALF = ("fp16", "bf16", "fp32")
_WIDER = {
    "fp64": (),
    "fp32": (),
    "tf32": ("fp32",),
    "bf16": ("fp16", "fp32"),
    "fp16": ("bf16", "fp32"),
    "fp8": _HALF,
    "int8": _HALF,
    "fp6": ("fp8", *_HALF),
    "fp4": ("fp8", *_HALF),
    "int4": ("int8", *_HALF),
}
"""Same width first, then wider. tf32 holds 10 mantissa bits: it never stands in for fp32."""

_DERIVED = "derived: the fp32 non-matrix rate"


@dataclass(frozen=True)
class Peak:
    """The rate a kernel can reach at most, and how it was found.

    Attributes:
        flops_per_s: FLOP/s; None when the chip states no rate that could bound the work.
        dtype: the dtype whose rate it is.
        note: a sentence for a warning when that is not the dtype asked for, else None.
        vector_source: for the vector unit, where its rate comes from.
    """

    flops_per_s: int | float | None
    dtype: str
    note: str | None = None
    vector_source: str | None = None


def rate_class(dtype: str) -> str:
    """Return the dtype whose rate ``dtype`` is looked up under.

    >>> rate_class("fp8_e4m3"), rate_class("int3"), rate_class("nvfp4"), rate_class("uint8")
    ('fp8', 'int4', 'fp4', 'int8')
    """
    low = dtype.lower().removeprefix("mx").removeprefix("nv")
    if low in DTYPES:
        return low
    if low.startswith(("e4m3", "e5m2")):
        return "fp8"
    for family in ("fp8", "fp6", "fp4"):
        if low.startswith(family):
            return family
    digits = low.removeprefix("u").removeprefix("int")
    if low.removeprefix("u").startswith("int") and digits.isascii() and digits.isdigit():
        bits = int(digits)
        if 1 <= bits <= 8:
            return "int4" if bits <= 4 else "int8"
    raise unknown_name("dtype with a compute rate", dtype, DTYPES)


def find_peak(
    chip: str, peaks: Peaks, unsupported: frozenset[str], unit: str, dtype: str, structure: str
) -> Peak:
    """Find the rate of one unit for one dtype; see ``Hardware.peak``."""
    if unit not in UNITS:
        raise unknown_name("compute unit", unit, UNITS)
    if structure not in STRUCTURES:
        raise SpecError(f"no rate for structure {structure!r}", hint="'dense' or '2:4'")
    if unit == "vector":
        return _vector(chip, peaks, dtype)
    wanted = rate_class(dtype)
    found = _dense(chip, peaks, unsupported, wanted, dtype)
    if structure == "dense":
        return found
    sparse = peaks.get(("matrix", found.dtype, structure))
    if sparse is not None:
        return Peak(sparse, found.dtype, found.note)
    lacking = f"{chip} states no {structure} {found.dtype} rate: computed at the dense rate"
    return Peak(found.flops_per_s, found.dtype, _join(found.note, lacking))


def _dense(chip: str, peaks: Peaks, unsupported: frozenset[str], wanted: str, dtype: str) -> Peak:
    own = _matrix(peaks, wanted)
    if own is not None:
        exact = not wanted.startswith("int") or dtype.lower().removeprefix("u") == wanted
        note = (
            None if exact else f"{chip} has no {dtype} matrix rate: computed at the {wanted} rate"
        )
        return Peak(own, wanted, note)
    lacking = f"{chip} {'has' if wanted in unsupported else 'states'} no {dtype} matrix rate"
    for wider in _WIDER[wanted]:
        rate = _matrix(peaks, wider)
        if rate is not None:
            return Peak(rate, wider, f"{lacking}: computed at the {wider} rate")
    for narrower in ("fp16", "bf16"):
        rate = _matrix(peaks, narrower)
        if rate is not None and wanted in ("fp64", "fp32", "tf32"):
            return Peak(rate, narrower, f"{lacking}: bounded by the {narrower} rate, it is slower")
    return Peak(None, wanted, f"{lacking} and no wider one: bounded by memory only")


def _matrix(peaks: Peaks, dtype: str) -> int | float | None:
    """The dense rate of products of matrices; fp32 ones may run on the non-matrix unit."""
    own = peaks.get(("matrix", dtype, "dense"))
    if own is None and dtype == "fp32":
        return peaks.get(("vector", "fp32", "dense"))
    return own


def _vector(chip: str, peaks: Peaks, dtype: str) -> Peak:
    own = peaks.get(("vector", dtype, "dense"))
    if own is not None:
        return Peak(own, dtype, vector_source="stated")
    fp32 = peaks.get(("vector", "fp32", "dense"))
    if fp32 is not None:
        return Peak(fp32, "fp32", vector_source=_DERIVED)
    return Peak(
        None, "fp32", f"{chip} states no vector rate: vector work is bounded by memory only"
    )


def _join(*notes: str | None) -> str:
    return "; ".join(n for n in notes if n)

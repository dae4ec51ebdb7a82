"""Fit a chip from a user's own measurements: one CSV, a row per kernel.

Columns: ``kind`` (gemm, attention_prefill, attention_decode, collective, stream), ``dtype``, one
of ``us``, ``ms``, ``s`` (the time of one kernel), optionally ``framework`` and ``kernel``, and the
sizes of the kind, empty where another kind's:

    gemm               m n k
    attention_*        batch q_len kv_len heads kv_heads head_dim, kv_dtype unless 16 bits
    collective         bytes (the whole message) ranks; ``kernel`` is all_reduce, all_gather …
    stream             rows cols bytes (read and written)
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mansard.backends.calibrated import fitting
from mansard.backends.calibrated.exchange import SHARE
from mansard.backends.calibrated.facts import facts, peak
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Calibration, Key, ParameterSet
from mansard.backends.calibrated.registry import form, scheme
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError, UnknownNameError, unknown_name

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
SIZES = {
    "gemm": ("m", "n", "k"),
    "attention_prefill": ("batch", "q_len", "kv_len", "heads", "kv_heads", "head_dim"),
    "attention_decode": ("batch", "q_len", "kv_len", "heads", "kv_heads", "head_dim"),
    "collective": ("bytes", "ranks"),
    "stream": ("rows", "cols", "bytes"),
}
TEXTS = ("kind", "dtype", "framework", "kernel", "kv_dtype")
KNOWN = {*TEXTS, *UNITS, *(name for names in SIZES.values() for name in names)}
SLOWEST_S = 60.0  # a kernel that takes a minute was given in another unit


@dataclass(frozen=True)
class Report:
    """What a fit found.

    Args:
        calibration: the sets; its text is ``calibration.to_toml()``.
        faster: rows faster than the bound, in words; they were kept out.
        left: sets that could not be fitted, and why.
    """

    calibration: Calibration
    faster: tuple[str, ...]
    left: tuple[str, ...]


def fit(text: str, chip: Hardware, *, where: str = "measurements") -> Report:
    """Fit one chip from the text of a CSV.

    Raises:
        SpecError: columns, units, numbers or times are wrong, or no set has rows enough.
    """
    rows, faster = _kept(_read(text, chip, where), chip)
    sets: list[ParameterSet] = []
    left: list[str] = []
    for columns in fitting.columns(rows, facts(chip)):
        reason = _lacking(columns)
        if reason:
            left.append(f"{columns.key.text()}: {reason}")
            continue
        ratio = fitting.held_back(columns)
        sets.append(fitting.summarise(columns, fitting.fit(columns), ratio))
    if not sets:
        reasons = "; ".join(left) or f"all {len(faster)} rows are faster than the bound"
        raise SpecError(
            f"{where}: nothing to fit: {reasons}",
            hint=f"a set needs {fitting.FEWEST} rows of at least two shapes",
        )
    return Report(Calibration(chip.id, tuple(sets)), tuple(faster), tuple(left))


def _lacking(columns: Columns) -> str:
    if columns.rows < fitting.FEWEST:
        return f"{columns.rows} rows, {fitting.FEWEST} are needed"
    if columns.shapes < 2 or len(np.unique(columns.fold)) < 2:
        return "one shape only: nothing can be held back, measure at least four"
    return ""


def _kept(rows: list[Measurement], chip: Hardware) -> tuple[list[Measurement], list[str]]:
    known = facts(chip)
    kept, faster = [], []
    for row in rows:
        law = form(row.key.form)
        bound = float(law.bound_s(row.sizes, known))
        _, moved = law.work(row.sizes, known, np)
        if row.seconds * 1.05 < bound and moved > known.cache_bytes:
            said = f"{row.file}: {row.seconds * 1e6:.4g} us, the bound is {bound * 1e6:.4g} us"
            faster.append(f"{said} ({row.text})")
        else:
            kept.append(row)
    return kept, faster


def _read(text: str, chip: Hardware, where: str) -> list[Measurement]:
    table = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    names = [name.strip() for name in table.fieldnames or ()]
    unit = _unit(names, where)
    rows = []
    for number, record in enumerate(table, start=2):
        clean = {str(k).strip(): str(v or "").strip() for k, v in record.items() if k is not None}
        rows.append(_row(clean, unit, chip, f"{where}, line {number}"))
    if not rows:
        raise SpecError(f"{where}: no rows", hint=f"columns: {', '.join(sorted(KNOWN))}")
    return rows


def _unit(names: list[str], where: str) -> str:
    """Return the column that holds the time, the header being checked."""
    for name in names:
        if name not in KNOWN:
            error = unknown_name("column", name, sorted(KNOWN))
            raise SpecError(f"{where}: {error.message}", hint=error.hint)
    times = [name for name in UNITS if name in names]
    if len(times) != 1:
        raise SpecError(
            f"{where}: {len(times)} columns of time", hint="name one column us, ms or s"
        )
    for name in ("kind", "dtype"):
        if name not in names:
            raise SpecError(f"{where}: no column {name!r}", hint="it says what was measured")
    return times[0]


def _row(record: Mapping[str, str], unit: str, chip: Hardware, where: str) -> Measurement:
    kind = record["kind"]
    if kind not in SIZES:
        error = unknown_name("kind of kernel", kind, tuple(SIZES))
        raise SpecError(f"{where}: {error.message}", hint=error.hint)
    given = {name: _positive(record, name, where) for name in SIZES[kind]}
    seconds = _positive(record, unit, where) * UNITS[unit]
    if seconds > SLOWEST_S:
        raise SpecError(
            f"{where}: a kernel of {seconds:.4g} s", hint=f"is column {unit!r} in another unit?"
        )
    sizes = _sizes(kind, given, record, chip, where)
    key = Key(kind, record.get("framework", ""), _dtype(kind, record), "", record.get("kernel", ""))
    law = form(kind)
    key = replace(key, family=law.family(sizes))
    text = ",".join(record.values())
    shape = tuple(sizes[name] for name in law.shape)
    return Measurement(key, chip.id, sizes, shape, seconds, text, where)


def _positive(record: Mapping[str, str], name: str, where: str) -> float:
    written = record.get(name, "")
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value <= 0:
        raise SpecError(f"{where}: {name} is {written!r}", hint="a positive number")
    return value


def _dtype(kind: str, record: Mapping[str, str]) -> str:
    dtype = record["dtype"]
    if kind.startswith("attention"):
        return f"{dtype}/{record.get('kv_dtype') or 'bfloat16'}"
    return dtype


def _sizes(
    kind: str, given: dict[str, float], record: Mapping[str, str], chip: Hardware, where: str
) -> dict[str, float]:
    if kind == "collective":
        op = record.get("kernel", "")
        if op not in SHARE or given["ranks"] < 2:
            hint = f"kernel is one of {', '.join(SHARE)}, ranks at least 2"
            raise SpecError(f"{where}: {op!r} over {given['ranks']:g} ranks", hint=hint)
        share = SHARE[op] * (given["ranks"] - 1) / given["ranks"]
        return given | {"share": share, "peak": 1.0}
    try:
        x, w, computes = scheme(record["dtype"])
        kv_bytes = scheme(record.get("kv_dtype") or "bfloat16")[0]
    except UnknownNameError as error:
        raise SpecError(f"{where}: {error.message}", hint=error.hint) from error
    rate = peak(chip, computes)
    match kind:
        case "gemm":
            narrow = float(x < 2)
            return given | {"x_bytes": x, "w_bytes": w, "quantised": narrow, "peak": rate}
        case "stream":
            return given | {"flops": 0.0, "peak": rate}
    d = given.pop("head_dim")
    if given["q_len"] > given["kv_len"]:
        raise SpecError(f"{where}: q_len is more than kv_len", hint="kv_len counts new tokens too")
    return given | {"qk": d, "v": d, "kept": 2 * d, "kv_bytes": kv_bytes, "peak": rate}

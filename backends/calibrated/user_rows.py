"""Read a user's own measurements: one CSV, a row per kernel.

Columns: ``kind`` (gemm, attention_prefill, attention_decode, moe, collective, stream), ``dtype``,
one of ``us``, ``ms``, ``s`` (the time of one kernel), optionally ``framework`` and ``kernel``, and
the sizes of the kind, empty where another kind's:

    gemm               m n k
    attention_*        batch q_len kv_len heads kv_heads head_dim, kv_dtype unless 16 bits
    moe                tokens hidden inter top_k experts, one layer, routing balanced
    collective         bytes (the whole message) ranks; ``kernel`` is all_reduce, all_gather …
    stream             rows cols bytes (read and written); ``kernel`` is rms_norm, add, quantize …
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from mansard.backends.calibrated.exchange import SHARE
from mansard.backends.calibrated.facts import peak
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.registry import STORED, form, scheme
from mansard.backends.calibrated.routing import load
from mansard.backends.calibrated.rows import STREAMS
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError, UnknownNameError, nearest, unknown_name

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
SIZES = {
    "gemm": ("m", "n", "k"),
    "attention_prefill": ("batch", "q_len", "kv_len", "heads", "kv_heads", "head_dim"),
    "attention_decode": ("batch", "q_len", "kv_len", "heads", "kv_heads", "head_dim"),
    "moe": ("tokens", "hidden", "inter", "top_k", "experts"),
    "collective": ("bytes", "ranks"),
    "stream": ("rows", "cols", "bytes"),
}
TEXTS = ("kind", "dtype", "framework", "kernel", "kv_dtype")
TIMED = re.compile(r"time|dur|latency|micro|milli|sec|elapsed|(^|[^a-z])[num]?s($|[^a-z])", re.I)
"""Matches the name of a column that holds a time."""

KNOWN = {*TEXTS, *UNITS, *(name for names in SIZES.values() for name in names)}
ALIASES = {"bf16": "bfloat16", "fp16": "bfloat16", "half": "bfloat16", "int8": "sq"}
"""Dtypes as users write them → as calibrations are looked up."""

MOST_ROWS = 50_000  # read and fitted in a quarter of a minute
SLOWEST_S = 60.0  # a kernel that takes a minute was given in another unit


def read(text: str, chip: Hardware, where: str) -> tuple[str, dict[int, Measurement]]:
    """Return the column of the time and the rows by the lines they stand in.

    Raises:
        SpecError: columns, units, numbers or times are wrong.
    """
    table = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    names = [name.strip() for name in table.fieldnames or ()]
    unit = _unit(names, where)
    _check_length(text, where)
    rows = {}
    for number, record in enumerate(table, start=2):
        at = f"{where}, line {number}"
        if None in record:
            raise SpecError(
                f"{at}: {len(record) - 1 + len(record[None])} cells, the header has {len(names)}",
                hint="write numbers without separators of thousands: 4096",
            )
        clean = {str(k).strip(): str(v or "").strip() for k, v in record.items()}
        row = _row(clean, unit, chip, at)
        rows[number] = replace(row, file=where)
    if not rows:
        raise SpecError(f"{where}: no rows", hint=f"columns: {', '.join(sorted(KNOWN))}")
    return unit, rows


def _check_length(text: str, where: str) -> None:
    """Raise where a table is so long that reading it takes minutes.

    Raises:
        SpecError: it is.
    """
    lines = text.count("\n")
    if lines > MOST_ROWS:
        raise SpecError(
            f"{where}: {lines} lines, at most {MOST_ROWS} are read",
            hint="some hundred rows a set are enough: keep one measurement of each shape, and few"
            " shapes of a kind",
        )


def _unit(names: list[str], where: str) -> str:
    """Return the column that holds the time, the header being checked."""
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        raise SpecError(f"{where}: one column, {names[0]!r}", hint="separate by commas")
    for name in names:
        if name in KNOWN:
            continue
        near = [f"did you mean {' or '.join(map(repr, o))}?" for o in (nearest(name, KNOWN),) if o]
        if TIMED.search(name):
            near = ["the time is a column us, ms or s, named after its unit;"]
        raise SpecError(
            f"{where}: {name!r} is not a column mansard knows",
            hint=" ".join([*near, f"known: {', '.join(sorted(KNOWN))}"]),
        )
    for name, times_written in Counter(names).items():
        if times_written > 1:
            raise SpecError(f"{where}: {times_written} columns {name!r}", hint="keep one of them")
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
    needed = (*SIZES[kind], *(("kernel",) if kind in ("collective", "stream") else ()))
    for name in needed:
        if name not in record:
            raise SpecError(
                f"{where}: no column {name!r}, which {kind} needs",
                hint=f"{kind} needs the columns {', '.join(needed)}",
            )
    given = {name: _positive(record, name, where) for name in SIZES[kind]}
    seconds = _positive(record, unit, where) * UNITS[unit]
    if seconds > SLOWEST_S:
        raise SpecError(
            f"{where}: a kernel of {seconds:.4g} s", hint=f"is column {unit!r} in another unit?"
        )
    sizes = _sizes(kind, given, record, chip, where)
    kernel = _kernel(kind, record, where)
    key = Key(kind, record.get("framework", ""), _dtype(kind, record), "", kernel)
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
    if name not in UNITS and not value.is_integer():
        raise SpecError(f"{where}: {name} is {written!r}", hint="sizes are whole numbers")
    return value


def _dtype(kind: str, record: Mapping[str, str]) -> str:
    """Return the dtype the set is looked up by."""
    dtype = ALIASES.get(record["dtype"], record["dtype"])
    match kind:
        case "attention_prefill" | "attention_decode":
            cached = record.get("kv_dtype") or "bfloat16"
            return f"bfloat16/{ALIASES.get(cached, cached)}"
        case "collective":
            return record.get("kernel", "")
        case "stream":
            return "fp8" if record.get("kernel") == "quantize" else "fp16"
    return dtype


def _kernel(kind: str, record: Mapping[str, str], where: str) -> str:
    """Return the kernel the set is looked up by.

    Raises:
        SpecError: a stream that is none of those that are looked up.
    """
    given = record.get("kernel", "")
    if kind == "collective":
        return ""
    if kind != "stream":
        return given
    if given not in STREAMS:
        error = unknown_name("kernel of a stream", given, tuple(STREAMS))
        raise SpecError(f"{where}: {error.message}", hint=error.hint)
    return STREAMS[given]


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
        raise SpecError(f"{where}: {error.message}", hint=f"one of {', '.join(STORED)}") from error
    rate = peak(chip, computes)
    match kind:
        case "gemm":
            narrow = float(x < 2)
            return given | {"x_bytes": x, "w_bytes": w, "quantised": narrow, "peak": rate}
        case "stream":
            return given | {"flops": 0.0, "peak": rate}
        case "moe":
            return _routed(given, w) | {"peak": rate}
    d = given.pop("head_dim")
    if given["q_len"] > given["kv_len"]:
        raise SpecError(f"{where}: q_len is more than kv_len", hint="kv_len counts new tokens too")
    return given | {"qk": d, "v": d, "kept": 2 * d, "kv_bytes": kv_bytes, "peak": rate}


def _routed(given: dict[str, float], w_bytes: float) -> dict[str, float]:
    tokens, experts, top_k = (int(given[name]) for name in ("tokens", "experts", "top_k"))
    got = load(tokens, experts, top_k, 1, 0.0)
    routed = {"rows": got.rows, "active": got.active, "tiles": got.tiles, "tile": got.tile}
    return given | routed | {"model_inter": given["inter"], "matrices": 3.0, "w_bytes": w_bytes}

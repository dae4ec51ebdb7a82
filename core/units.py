"""Quantities as text: ``80 GiB`` becomes a number at the edge, a number becomes ``80.0 GB`` again.

Inside mansard everything is SI: bytes, seconds, FLOP/s, watts, hertz.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from mansard.core.errors import SpecError

_SI = {p: Fraction(1000) ** n for n, p in enumerate(("", "k", "M", "G", "T", "P", "E", "Z"))}
_IEC = {p: Fraction(1024) ** n for n, p in enumerate(("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_SMALL = {"m": Fraction(1, 10**3), "u": Fraction(1, 10**6), "n": Fraction(1, 10**9)}


def _with(
    prefixes: dict[str, Fraction], *units: str, scale: Fraction | int = 1
) -> dict[str, Fraction]:
    return {p + u: factor * scale for p, factor in prefixes.items() for u in units}


_BYTES = {
    **_with(_SI | {"K": Fraction(1000)}, "B"),
    **_with(_IEC, "B"),
    **_with(_SI, "bit", scale=Fraction(1, 8)),
    "byte": Fraction(1),
    "bytes": Fraction(1),
}
_TIME = {
    **_with({"": Fraction(1)} | _SMALL, "s"),
    **dict.fromkeys(("sec", "second", "seconds"), Fraction(1)),
    "min": Fraction(60),
    "h": Fraction(3600),
}
_ENERGY = {
    **_with({"m": Fraction(1, 1000)} | _SI, "J"),
    **_with(_SI, "Wh", scale=3600),
}
_FLOPS = ("FLOPS", "FLOP/s", "Flop/s", "FLOPs/s", "flop/s", "flops", "OPS", "OP/s", "OPs/s")
_TOKENS = {
    s: Fraction(n)
    for n, forms in ((1, ("", "tok", "token", "tokens")), (1024, "kK"), (1024**2, "mM"))
    for s in forms
}
_COUNTED = ("", "tok", "token", "tokens", "req", "request", "requests")
_UNITS: dict[str, dict[str, Fraction]] = {
    "bytes": _BYTES,
    "bytes/s": {f"{u}/s": factor for u, factor in _BYTES.items()},
    "flop/s": _with(_SI, *_FLOPS),
    "time": _TIME,
    "power": _with({"m": Fraction(1, 1000)} | _SI, "W"),
    "energy": _ENERGY,
    "frequency": _with(_SI, "Hz"),
    "tokens": _TOKENS,
    "sequences": {unit: n for unit, n in _TOKENS.items() if "tok" not in unit},
    "dollars/h": dict.fromkeys(("$/h", "USD/h", "$/hr", "USD/hr"), Fraction(1)),
    "1/s": {
        f"{what}/{per}": factor * many
        for what, many in (*dict.fromkeys(_COUNTED, 1).items(), ("ktok", 1000))
        for per, factor in (("s", Fraction(1)), ("min", Fraction(1, 60)), ("h", Fraction(1, 3600)))
    },
    "number": {"": Fraction(1), "%": Fraction(1, 100)},
}
EXAMPLE = {
    "bytes": "80GB (decimal) or 80GiB",
    "bytes/s": "3.35TB/s",
    "flop/s": "989.4 TFLOPS or 1979 TOPS",
    "time": "20ms, 150us or 1.5s",
    "power": "700W",
    "energy": "500J, 2kJ or 1.5Wh",
    "frequency": "1830MHz",
    "tokens": "2048, 8k (8192) or 1m (1,048,576)",
    "sequences": "16 or 1k (1024)",
    "dollars/h": "2.50$/h",
    "1/s": "5/s, 5 tok/s or 300 req/min",
    "number": "16 or 0.5",
}
BASE = {
    "bytes": "B", "bytes/s": "B/s", "flop/s": "FLOP/s", "time": "s", "power": "W",
    "energy": "J", "frequency": "Hz", "tokens": "", "sequences": "",
    "dollars/h": "$/h", "1/s": "/s", "number": "",
}  # fmt: skip
"""Dimension → the unit whose number is the one held inside."""
_FOLDED = {
    dimension: {unit.lower(): factor for unit, factor in reversed(units.items())}
    for dimension, units in _UNITS.items()
}
_QUANTITY = re.compile(
    r"\s*\$?(?P<sign>[+-]?)"
    r"(?P<whole>[0-9]{1,3}(?:[ _,][0-9]{3})+|[0-9]+)?(?P<fraction>\.[0-9]*)?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3}))?\s*(?P<unit>[^0-9\s].*)?"
)
_LONGEST = 64
_LIMIT = Fraction(10) ** 36


@lru_cache(maxsize=4096)
def parse(text: str, dimension: str, *, bare: bool = False) -> int | float:
    """Read a quantity in SI base units; an ``int`` where it is integral.

    Args:
        text: a number and a unit; thousands may be grouped by ``,``, ``_`` or a space.
        dimension: one of ``bytes``, ``bytes/s``, ``flop/s``, ``time``, ``power``, ``energy``,
            ``frequency``, ``tokens``, ``sequences``, ``dollars/h``, ``1/s``, ``number``.
        bare: a number without a unit counts in base units instead of being refused.

    Raises:
        SpecError: not a finite number, no unit, a unit of another dimension, or negative.

    >>> parse("80GiB", "bytes"), parse("80 GB", "bytes"), parse("3.35TB/s", "bytes/s")
    (85899345920, 80000000000, 3350000000000)
    >>> parse("20ms", "time"), parse("989.4 TFLOPS", "flop/s"), parse("1k", "tokens")
    (0.02, 989400000000000, 1024)
    """
    units = _UNITS.get(dimension)
    if units is None:
        raise SpecError(f"no dimension called {dimension!r}", hint=f"one of: {', '.join(_UNITS)}")
    hint = f"write it like {EXAMPLE[dimension]}"
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or not any(
        c in "0123456789" for c in match["whole"] or match["fraction"] or ""
    ):
        raise SpecError(f"cannot read {shown!r} as {dimension}", hint=hint)
    amount = _amount(match)
    unit = re.sub(r"\s+", "", match["unit"] or "").replace("µ", "u").replace("μ", "u")
    if dimension == "dollars/h" and "$" in text and not unit.startswith("$"):
        unit = f"${unit}"
    elif "$" in text and dimension != "dollars/h":
        raise SpecError(f"{shown!r} is a price, not {dimension}", hint=hint)
    factor = _factor(unit, dimension)
    if factor is None and not unit and (bare or amount == 0):
        factor = Fraction(1)
    if factor is None:
        raise SpecError(_why(shown, unit, dimension), hint=hint)
    value = amount * factor
    if value < 0 and dimension != "number":
        raise SpecError(f"{shown!r} is negative: {dimension} cannot be", hint=hint)
    if abs(value) > _LIMIT:
        raise SpecError(f"{shown!r} is too large to be {dimension}", hint=hint)
    if dimension in ("tokens", "sequences") and value.denominator != 1:
        raise SpecError(f"{shown!r} is not a whole number of {dimension}", hint=hint)
    return value.numerator if value.denominator == 1 else float(value)


def _amount(match: re.Match[str]) -> Fraction:
    whole = re.sub(r"[ _,]", "", match["whole"] or "0")
    fraction = match["fraction"] or "."
    number = Fraction(f"{match['sign']}{whole}{fraction}0")
    return number * Fraction(10) ** int(match["exponent"] or 0)


def _factor(unit: str, dimension: str) -> Fraction | None:
    exact = _UNITS[dimension].get(unit)
    if exact is None and unit == unit.lower():
        return _FOLDED[dimension].get(unit)
    return exact


def _why(shown: str, unit: str, dimension: str) -> str:
    if not unit:
        return f"{shown!r} has no unit: {dimension} needs one"
    other = next((d for d in _UNITS if _factor(unit, d) is not None), None)
    if other:
        return f"{shown!r} is {other}, not {dimension}"
    if re.fullmatch(r"[KMGTPE]i?b(/s)?", unit):
        byte, bit = unit.replace("b", "B"), unit.replace("b", "bit")
        return f"{shown!r} is ambiguous: {byte} are bytes, {bit} are bits"
    return f"{shown!r} has an unknown unit {unit!r} for {dimension}"


def format_count(value: float | None) -> str:
    """Write a count: whole below 1000, three digits and a decimal prefix above.

    >>> format_count(198), format_count(999.9996), format_count(8030261248), format_count(None)
    ('198', '1.00 k', '8.03 G', '-')
    """
    if isinstance(value, int) and abs(value) < 1000:
        return str(value)
    return _format(value, _DECIMAL, "")


def format_bytes(value: float | None) -> str:
    """Write bytes in decimal units (an 80 GiB chip shows 85.9 GB).

    >>> format_bytes(85899345920), format_bytes(0), format_bytes(512), format_bytes(999_999)
    ('85.9 GB', '0 B', '512 B', '1.00 MB')
    """
    if isinstance(value, int) and abs(value) < 1000:
        return f"{value} B"
    return _format(value, _DECIMAL, "B")


def format_flops(value: float | None, *, per_second: bool = False) -> str:
    """Write FLOPs, or a FLOP rate.

    >>> format_flops(68.72e9), format_flops(989.4e12, per_second=True)
    ('68.7 GFLOP', '989 TFLOP/s')
    """
    return _format(value, _DECIMAL, "FLOP/s" if per_second else "FLOP")


def format_rate(value: float | None, unit: str = "B/s") -> str:
    """Write a rate, by default a bandwidth.

    >>> format_rate(3.35e12), format_rate(1234.5, "tok/s")
    ('3.35 TB/s', '1.23 ktok/s')
    """
    return _format(value, _DECIMAL, unit)


def format_time(value: float | None) -> str:
    """Write seconds, with a prefix below one second, in minutes and hours above sixty.

    >>> format_time(0.02), format_time(4.5e-6), format_time(59.999), format_time(7200)
    ('20.0 ms', '4.50 µs', '1.00 min', '2.00 h')
    """
    return _format(value, _CLOCK, "")


_DECIMAL = tuple((1000.0**n, p) for n, p in reversed(list(enumerate(("", *"kMGTPE")))))
_CLOCK = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def _format(value: float | None, scales: tuple[tuple[float, str], ...], unit: str) -> str:
    """Write three significant digits in the largest scale whose *rounded* amount reaches one."""
    if value is None:
        return "-"
    number = float(value)
    if number != number or abs(number) == float("inf"):
        return str(number)
    base = next(s for f, s in scales if f == 1) + unit
    if number == 0:
        return f"0 {base}".strip()
    factor, prefix = next(((f, s) for f, s in scales if abs(_round(number / f)) >= 1), scales[-1])
    return f"{_digits(_round(number / factor))} {prefix}{unit}".strip()


def _round(number: float) -> float:
    return float(f"{number:.3g}")


def _digits(number: float) -> str:
    size = abs(number)
    if size >= 1e4:
        return f"{number:.2e}"
    places = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{number:.{places}f}" if size >= 1 else f"{number:.3g}"

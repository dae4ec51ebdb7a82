"""Straight-line programs as Python source: one point in microseconds, grids as compiled loops.

The text holds nothing but numbers and names made here: no name and no value of a user's enters it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mansard.backends.engine.straight import Straight, raised

_WRITTEN: Mapping[str, str] = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}",
    "max": "{0} if {0} >= {1} else {1}", "min": "{0} if {0} <= {1} else {1}",
    "floor": "floor({0})", "power": "power({0}, {1})", "where": "{1} if {0} else {2}",
    "less": "{0} < {1}", "and": "{0} and {1}",
}  # fmt: skip
_NAMES: Mapping[str, Any] = {
    "floor": math.floor, "power": raised, "nan": math.nan, "inf": math.inf,
}  # fmt: skip


def scalar(line: Straight, names: Sequence[str]) -> Callable[..., tuple[float, ...]]:
    """Return a function of the axes, as floats, that returns the results at one point.

    A division by nothing raises ``ZeroDivisionError``.
    """
    arguments = ", ".join(f"x{k}" for k in range(len(line.axes)))
    written = "".join(f"    {text}\n" for text, _ in _statements(line, names))
    results = ", ".join(_value(line, line.shown[name]) for name in names)
    source = f"def at({arguments}):\n{written}    return ({results},)\n"
    found: Callable[..., tuple[float, ...]] = defined(source, "at")
    return found


def nest(line: Straight, names: Sequence[str]) -> str:
    """Return the source of ``at``: loops over the axes that fill an array of each result.

    What an inner axis does not change is computed outside its loop.
    """
    count = len(line.axes)
    inside: list[list[str]] = [[] for _ in range(count + 1)]
    for statement, depth in _statements(line, names):
        inside[depth].append(statement)
    axes = ", ".join(f"a{k}" for k in range(count))
    results = ", ".join(f"r{k}" for k in range(len(names)))
    lines = [f"def at({axes}, {results}):", *(f"    {t}" for t in inside[0])]
    for k in range(count):
        pad = "    " * (k + 1)
        lines += [f"{pad}for i{k} in range(a{k}.size):", f"{pad}    x{k} = a{k}[i{k}]"]
        lines += [f"{pad}    {t}" for t in inside[k + 1]]
    at = ", ".join(f"i{k}" for k in range(count))
    pad = "    " * (count + 1)
    lines += [f"{pad}r{k}[{at}] = {_value(line, line.shown[n])}" for k, n in enumerate(names)]
    return "\n".join(lines) + "\n"


def compiled(line: Straight, names: Sequence[str]) -> Callable[..., None]:
    """Return ``nest`` compiled by numba (the extra ``fast``).

    Raises:
        ImportError: numba is not installed.
    """
    from numba import njit

    jit = njit(error_model="numpy")
    function = defined(nest(line, names), "at", {"power": jit(raised)})  # it calls no plain Python
    found: Callable[..., None] = jit(function)
    return found


def _statements(line: Straight, names: Sequence[str]) -> list[tuple[str, int]]:
    """Return assignments in order, each with how many axes lie around it."""
    found = []
    for k in line.needed(names):
        step = line.steps[k]
        if step.op in ("constant", "symbol"):
            continue
        value = _WRITTEN[step.op].format(*(_value(line, a) for a in step.args))
        found.append((f"v{k} = {value}", line.masks[k].bit_length()))
    return found


def _value(line: Straight, k: int) -> str:
    step = line.steps[k]
    if step.op == "symbol":
        return f"x{line.axes.index(str(step.value))}"
    if step.op == "constant":
        assert not isinstance(step.value, str)
        known = step.value if isinstance(step.value, bool) else float(step.value)
        return f"({known!r})"
    return f"v{k}"


def defined(
    source: str, name: str, names: Mapping[str, Any] = MappingProxyType({})
) -> Callable[..., Any]:
    """Return the function that source made here defines; ``names`` are meant otherwise."""
    space = {**_NAMES, **names}
    exec(compile(source, "<mansard steps>", "exec"), space)  # noqa: S102 - numbers and names of ours
    found: Callable[..., Any] = space[name]
    return found

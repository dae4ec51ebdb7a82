"""Which sizes of a scenario a program depends on: others count for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import sympy as sp

from mansard.core.symbols import SCENARIO
from mansard.ir.program import Program


def occurring(program: Program) -> frozenset[str]:
    """Return the names of the scenario's symbols that a program's schedule mentions.

    An encoder makes no output, a denoiser reads no prompt: their calls bind neither.
    """
    names = {symbol: name for name, symbol in SCENARIO.items()}
    return frozenset(names[s] for s in _symbols(program.schedule) if s in names)


def _symbols(part: object) -> Iterator[sp.Basic]:
    if isinstance(part, sp.Basic):
        yield from part.free_symbols
    elif isinstance(part, Mapping):
        yield from _symbols(tuple(part.values()))
    elif isinstance(part, (tuple, list)):
        for each in part:
            yield from _symbols(each)
    elif is_dataclass(part):
        yield from _symbols(tuple(getattr(part, f.name) for f in fields(part)))

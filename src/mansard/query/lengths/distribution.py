"""A distribution of one length: ``lognormal(2k,0.8)``, ``uniform(1k,4k)``, or a CSV of lengths.

>>> found = read_lengths("uniform(3,5)")
>>> found.values, found.mean
((3.0, 4.0, 5.0), 4.0)
>>> round(read_lengths("lognormal(2k,0.8)").mean / 2048, 6)     # exp(0.8**2 / 2)
1.377128
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from mansard.core import units
from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.query.lengths.csv_file import HINT, read_rows

_CALL = re.compile(r"\s*([a-z]+)\s*\(([^()]*)\)\s*")
KINDS = ("lognormal", "uniform")
NODES = 64
"""Of a quadrature: far more than a smooth integrand over a density needs."""
MOST_EXACT = 65_536
"""Lengths of a uniform distribution that are added one by one."""
LARGEST = 1e9


@dataclass(frozen=True)
class Lengths:
    """A distribution of one length.

    Args:
        text: as it was written.
        values: lengths in tokens; of a density, the nodes of its quadrature.
        weights: of each; they add to 1.
    """

    text: str
    values: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The expected length."""
        return math.fsum(v * w for v, w in zip(self.values, self.weights, strict=True))


def is_spread(value: object) -> bool:
    """Say whether a length is written as a distribution."""
    return isinstance(value, str) and (
        _CALL.fullmatch(value) is not None or value.strip().lower().endswith(".csv")
    )


def read_lengths(text: str, column: str = "") -> Lengths:
    """Read a distribution.

    Args:
        text: ``lognormal(MEDIAN,SIGMA)``: the logarithm is normal, about that of the median;
            ``uniform(FIRST,LAST)``: every whole length between them; or the path of a CSV with a
            length a line.
        column: of a CSV with several.

    Raises:
        SpecError: none of these, or values that are no lengths.
    """
    if text.strip().lower().endswith(".csv"):
        counts = Counter(row[0] for row in read_rows(text.strip(), (column,)))
        return _counted(text, counts)
    found = _CALL.fullmatch(text)
    parts = [p.strip() for p in found[2].split(",")] if found else []
    if found is None or found[1] not in KINDS or len(parts) != 2:
        raise SpecError(f"cannot read {text[:60]!r} as a length", hint=HINT)
    first = units.parse(parts[0], "tokens", bare=True)
    if first < 1:
        raise SpecError(f"{text[:60]!r}: a length of {first}", hint="lengths begin at 1")
    if found[1] == "lognormal":
        return _lognormal(text, float(first), float(units.parse(parts[1], "number")))
    last = units.parse(parts[1], "tokens", bare=True)
    if last < first or last > LARGEST:
        raise SpecError(f"{text[:60]!r} runs backwards" if last < first else f"{text[:60]!r} is "
                        "longer than any prompt", hint="write uniform(FIRST,LAST)")  # fmt: skip
    return _uniform(text, int(first), int(last))


def _lognormal(text: str, median: float, sigma: float) -> Lengths:
    import numpy as np

    if not 0 < sigma <= 3:
        raise SpecError(f"{text[:60]!r}: a sigma of {sigma:g}", hint="it lies above 0, up to 3")
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    values = np.maximum(median * np.exp(sigma * nodes), 1.0)
    return _kept(text, values, weights / weights.sum())


def _uniform(text: str, first: int, last: int) -> Lengths:
    import numpy as np

    count = last - first + 1
    if count <= MOST_EXACT:
        return Lengths(text, tuple(map(float, range(first, last + 1))), (1 / count,) * count)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return _kept(text, (first + last) / 2 + (last - first) / 2 * nodes, weights / 2)


def _kept(text: str, values: Any, weights: Any) -> Lengths:
    """Return nodes, those left out whose weight is nothing."""
    kept = weights > 1e-18
    return Lengths(text, tuple(values[kept].tolist()), tuple(weights[kept].tolist()))


def _counted(text: str, counts: Counter[int]) -> Lengths:
    total = counts.total()
    found = sorted(counts.items())
    return Lengths(text, tuple(float(v) for v, _ in found), tuple(n / total for _, n in found))

"""Lengths that are distributions: ``lognormal(2k,0.8)``, ``uniform(1k,4k)``, or a CSV of lengths.

Every batch is of one length; metrics are expectations over lengths, by exact sums over the lengths
there are or by quadrature. A mean length in their place is right only where costs are affine in it.

>>> found = read_lengths("uniform(3,5)")
>>> found.values, found.mean
((3.0, 4.0, 5.0), 4.0)
>>> round(read_lengths("lognormal(2k,0.8)").mean / 2048, 6)     # exp(0.8**2 / 2)
1.377128
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.backends.estimate import Metrics
from mansard.core import units
from mansard.core.errors import SpecError
from mansard.core.notes import Note

if TYPE_CHECKING:
    from mansard.backends.cluster import Cluster
    from mansard.backends.engine.compiled import Compiled, Stepwise

_CALL = re.compile(r"\s*([a-z]+)\s*\(([^()]*)\)\s*")
KINDS = ("lognormal", "uniform")
NODES = 64
"""Of a quadrature: far more than a smooth integrand over a density needs."""
MOST_EXACT = 65_536
"""Lengths of a uniform distribution that are added one by one."""
MOST_PAIRS = 20_000_000
MOST_BYTES = 200_000_000
LARGEST = 1e9
_HINT = "write 2048, lognormal(2k,0.8), uniform(1k,4k) or the path of a .csv"


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


@dataclass(frozen=True)
class Mix:
    """A distribution of prompts and outputs.

    Args:
        text: as it was written.
        prompts: tokens of each combination.
        outputs: likewise.
        weights: of each; they add to 1.
    """

    text: str
    prompts: tuple[float, ...]
    outputs: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def mean(self) -> tuple[int, int]:
        """The expected prompt and output, rounded."""
        return tuple(  # type: ignore[return-value]
            max(1, round(math.fsum(v * w for v, w in zip(column, self.weights, strict=True))))
            for column in (self.prompts, self.outputs)
        )

    def expected(
        self, engine: Compiled | Stepwise, batch: Any, names: tuple[str, ...]
    ) -> dict[str, Any]:
        """Return the expectation of figures for each batch size, all of one length at a time.

        Throughput is the tokens of all over the time of all, and what is per user the inverse of
        the expected time per token.
        """
        import numpy as np

        batches = np.atleast_1d(np.asarray(batch, dtype=float))
        weights = np.array(self.weights)
        prompts, outputs = np.array(self.prompts), np.array(self.outputs)
        asked = tuple(dict.fromkeys((*names, *_NEEDED)))
        found = {name: np.empty(batches.size) for name in asked}
        for k, b in enumerate(batches.tolist()):
            values = engine.figures(b, prompts, outputs, asked)
            for name, column in values.items():
                known = np.broadcast_to(column, weights.shape)
                found[name][k] = _mean(known, weights, skip=name == "tpot" and outputs.min() < 2)
        found["throughput"] = batches * float(weights @ outputs) / found["period"]
        found["tokens_per_s_per_user"] = 1.0 / found["tpot"]
        return {name: found[name] for name in names}

    def beyond(self, tokens: int) -> float:
        """Return the share of requests longer than so many tokens."""
        longer = (w for p, n, w in zip(self.prompts, self.outputs, self.weights, strict=True)
                  if p + n > tokens)  # fmt: skip
        return math.fsum(longer)


@dataclass(frozen=True)
class Averaged:
    """An engine whose figures are expectations over lengths, whatever lengths it is given.

    Args:
        engine: of one length at a time.
        mix: the lengths.
    """

    engine: Compiled | Stepwise
    mix: Mix

    @property
    def cluster(self) -> Cluster:
        """The devices."""
        return self.engine.cluster

    def figures(self, batch: Any, prompt: Any, output: Any, names: Sequence[str]) -> dict[str, Any]:
        """Return the expectation of each figure, one a batch size."""
        return self.mix.expected(self.engine, batch, tuple(names))

    def grid(self, axes: object, names: Sequence[str], *, fast: bool = False) -> None:
        """Return nothing: expectations are taken of lists."""


_NEEDED = ("tpot", "period")


def _mean(values: Any, weights: Any, skip: bool) -> float:
    """Return an expectation; of the time per token only over requests that have one."""
    import numpy as np

    if values[0] == values.min() == values.max():
        return float(values[0])
    if skip:
        known = np.isfinite(values)
        return float(values[known] @ weights[known] / weights[known].sum()) if known.any() else (
            math.nan)  # fmt: skip
    return float(values @ weights)


def metrics_of(
    engine: Compiled | Stepwise, mix: Mix, batch: int
) -> tuple[Metrics, float]:  # fmt: skip
    """Return the expectation of the metrics, and the expected tokens of a request."""
    names = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user")
    found = mix.expected(engine, batch, names)
    known = {n: None if v[0] != v[0] else float(v[0]) for n, v in found.items()}
    tokens = math.fsum(n * w for n, w in zip(mix.outputs, mix.weights, strict=True))
    return Metrics(
        ttft_s=known["ttft"], tpot_s=known["tpot"], latency_s=known["latency"],
        throughput_tok_s=known["throughput"],
        tokens_per_s_per_user=known["tokens_per_s_per_user"],
    ), tokens  # fmt: skip


def expectations(mix: Mix) -> Note:
    """Return the note of figures that are expectations over lengths."""
    words = f"{mix.text}: metrics are expectations over {len(mix.weights):,} lengths"
    return Note("M073", f"{words}, each batch of one length")


def said(mix: Mix, max_context: int | None) -> Note:
    """Return the note of an answer over lengths, whose rows are of the mean ones."""
    p, n = mix.mean
    words = f"{expectations(mix).message}; rows and memory are those of {p:,} and {n:,} tokens"
    beyond = mix.beyond(max_context) if max_context else 0.0
    if beyond > 0.001 and max_context:
        words += f"; {beyond:.1%} of requests are longer than the model's {max_context:,}"
    return Note("M073", words)


def is_spread(value: object) -> bool:
    """Say whether a length is written as a distribution."""
    return isinstance(value, str) and (
        _CALL.fullmatch(value) is not None or value.strip().lower().endswith(".csv")
    )


def read_sizes(
    prompt: int | str | None, output: int | str | None, context: int | None,
    default: tuple[int, int],
) -> tuple[int | None, int | None, Mix | None]:  # fmt: skip
    """Return prompt and output as numbers, and what they are the mean of.

    Raises:
        SpecError: text that is no distribution; or one beside ``context``.
    """
    for name, given in (("prompt", prompt), ("output", output)):
        if isinstance(given, str) and not is_spread(given):
            raise SpecError(f"{name} is {given[:40]!r}, neither a whole number nor a distribution",
                            hint=_HINT)  # fmt: skip
    mix = read_mix(prompt, output, default)
    if mix is None:
        assert not isinstance(prompt, str)  # refused above: it is no distribution either
        assert not isinstance(output, str)
        return prompt, output, None
    if context is not None:
        raise SpecError("context asks for one length, prompt or output for a distribution",
                        hint="give either context, or prompt and output")  # fmt: skip
    return *mix.mean, mix


def read_mix(prompt: object, output: object, default: tuple[int, int]) -> Mix | None:
    """Return the distribution of two lengths; None where both are plain numbers or missing.

    One CSV given for both is read pair by pair, from its columns ``prompt`` and ``output``; any
    other two lengths are independent.

    Raises:
        SpecError: text that is neither a number nor a distribution, or too many combinations.
    """
    if not is_spread(prompt) and not is_spread(output):
        return None
    if prompt == output and str(prompt).strip().lower().endswith(".csv"):
        return _pairs(str(prompt).strip())
    p, n = (_one(given, otherwise, name) for given, otherwise, name in
            ((prompt, default[0], "prompt"), (output, default[1], "output")))  # fmt: skip
    if len(p.values) * len(n.values) > MOST_PAIRS:
        raise SpecError(
            f"{len(p.values):,} prompts and {len(n.values):,} outputs are too many combinations",
            hint="give both as columns of one .csv, which is read pair by pair",
        )
    prompts = tuple(v for v in p.values for _ in n.values)
    outputs = tuple(v for _ in p.values for v in n.values)
    weights = tuple(a * b for a in p.weights for b in n.weights)
    return Mix(f"prompt {p.text}, output {n.text}", prompts, outputs, weights)


def _one(given: object, otherwise: int, column: str) -> Lengths:
    if given is None:
        given = otherwise
    if isinstance(given, str) and is_spread(given):
        return read_lengths(given, column)
    value = given if isinstance(given, int) else units.parse(str(given), "tokens", bare=True)
    return Lengths(f"{value}", (float(value),), (1.0,))


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
        counts = Counter(row[0] for row in _rows(text.strip(), (column,)))
        return _counted(text, counts)
    found = _CALL.fullmatch(text)
    parts = [p.strip() for p in found[2].split(",")] if found else []
    if found is None or found[1] not in KINDS or len(parts) != 2:
        raise SpecError(f"cannot read {text[:60]!r} as a length", hint=_HINT)
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


def _pairs(path: str) -> Mix:
    counts = Counter((p, n) for p, n in _rows(path, ("prompt", "output")))
    total = counts.total()
    found = sorted(counts.items())
    return Mix(
        f"pairs of {path}", tuple(float(p) for (p, _), _ in found),
        tuple(float(n) for (_, n), _ in found), tuple(c / total for _, c in found),
    )  # fmt: skip


def _rows(path: str, columns: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the whole numbers of some columns; without a header, of the first ones."""
    file = Path(path).expanduser()
    try:
        if file.stat().st_size > MOST_BYTES:
            raise SpecError(f"{path[:80]}: larger than 200 MB", hint="sample it first")
        with file.open(encoding="utf-8-sig", newline="") as stream:
            at: list[int] | None = None
            found = 0
            for number, row in enumerate(csv.reader(stream), 1):
                if not row or not "".join(row).strip():
                    continue
                if at is None:
                    at, header = _columns(path, row, columns)
                    if header:
                        continue
                found += 1
                yield tuple(_length(path, number, row, k) for k in at)
            if not found:
                raise SpecError(f"{path[:80]}: no lengths in it", hint="write one a line")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"{path[:80]}: cannot be read: {reason}", hint=_HINT) from error


def _columns(path: str, row: list[str], columns: tuple[str, ...]) -> tuple[list[int], bool]:
    """Return where columns are, and whether the row is a header."""
    names = [cell.strip().lower() for cell in row]
    if all(re.fullmatch(r"[+-]?[\d.]+", cell) for cell in names if cell):
        return list(range(len(columns))), False
    if len(columns) == 1 and columns[0] not in names and len(names) == 1:
        return [0], True
    missing = next((c for c in columns if c not in names), None)
    if missing is not None:
        raise SpecError(f"{path[:80]}: no column {missing!r} in {', '.join(names)[:80]}",
                        hint="name the columns prompt and output")  # fmt: skip
    return [names.index(c) for c in columns], True


def _length(path: str, line: int, row: list[str], at: int) -> int:
    text = row[at].strip() if at < len(row) else ""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise SpecError(f"{path[:80]}, line {line}: {text[:40]!r} is no length",
                        hint="lengths are whole numbers from 1")  # fmt: skip
    return int(text)

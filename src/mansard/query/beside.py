"""What stands beside a calibrated metric: the bound, the ratio to it and the ends of the band.

And which estimate an answer is, with what it rests on: the same keys in every document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mansard.query.metrics import METRICS

if TYPE_CHECKING:
    from mansard.core.notes import Note
    from mansard.query.estimate import Estimate

METRICS_BESIDE = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user")
PARTS = ("ideal", "ratio", "low", "high")
FIGURES_BESIDE = tuple(f"{name}_{part}" for name in METRICS_BESIDE for part in PARTS
                       if part != "ratio")  # fmt: skip
"""What an engine is asked for of every row."""
_UNITS = ("_tok_s", "_s")


def field(metric: str, part: str) -> str:
    """Return the name of a column, its unit last.

    >>> field("ttft", "low"), field("throughput", "ideal"), field("tpot", "ratio")
    ('ttft_low_s', 'throughput_ideal_tok_s', 'tpot_ratio')
    """
    unit = METRICS[metric].field.removeprefix(metric)
    return f"{metric}_{part}{'' if part == 'ratio' else unit}"


FIELDS_BESIDE = tuple(field(name, part) for name in METRICS_BESIDE for part in PARTS)


RESTS = ("framework", "bands_of", "basis")
"""What of a calibrated answer is true of a whole table of them, whose rows have their bands."""


def kind(estimate: Estimate) -> dict[str, Any]:
    """Return which estimate it is; of a calibrated one its bands, the bound and its sets, too."""
    said = estimate.calibrated
    return {"estimate": estimate.kind, **(said.to_dict() if said is not None else {})}


def rests(estimate: Estimate) -> dict[str, Any]:
    """Return which estimate it is, and what it rests on, without figures of one scenario."""
    return {name: v for name, v in kind(estimate).items() if name in ("estimate", *RESTS)}


def warned(notes: Iterable[Note]) -> list[dict[str, str]]:
    """Return notes as documents have them, each once."""
    return [{"code": n.code, "message": n.message} for n in dict.fromkeys(notes)]


def columns(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return column → values, from an engine's figures of the metrics and beside them."""
    found: dict[str, Any] = {}
    for name in METRICS_BESIDE:
        values = {part: figures[f"{name}_{part}"] for part in PARTS if part != "ratio"}
        values["ratio"] = figures[name] / values["ideal"]
        found |= {field(name, part): values[part] for part in PARTS}
    return found


def record(estimate: Estimate | None) -> dict[str, float | None]:
    """Return column → value of one answer; None where it is unknown."""
    found: dict[str, float | None] = dict.fromkeys(FIELDS_BESIDE)
    said = estimate.calibrated if estimate is not None else None
    if estimate is None or said is None:
        return found
    for name in METRICS_BESIDE:
        key = METRICS[name].field
        value, ideal = getattr(estimate.metrics, key), said.ideal.get(key)
        band = said.bands.get(key)
        found[field(name, "ideal")] = ideal
        found[field(name, "ratio")] = value / ideal if value is not None and ideal else None
        found[field(name, "low")] = band.low if band else None
        found[field(name, "high")] = band.high if band else None
    return found

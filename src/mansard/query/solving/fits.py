"""What a calibrated row rests on: its factor over the bound, and the parameters fitted for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mansard.backends.estimate import Row
from mansard.query.estimate import Estimate

if TYPE_CHECKING:
    from mansard.backends.calibrated.work import Basis


def factor(row: Row) -> float | None:
    """Return how many times its bound a row takes; None where it has none, as an engine."""
    return row.time_s / row.ideal_s if row.ideal_s else None


def calibrated_op(row: Row) -> dict[str, Any]:
    """Return the keys of a calibrated row beside those of every row; nothing of the bound's."""
    if not row.basis:
        return {}
    return {
        "ideal_s": row.ideal_s, "factor": factor(row), "low_s": row.low_s, "high_s": row.high_s,
        "basis": row.basis,
    }  # fmt: skip


def bases_of(estimate: Estimate, rows: list[Row]) -> list[Basis]:
    """Return the sets that rows rest on, as often as the answer does, most of the time first."""
    if estimate.calibrated is None:
        return []
    words = {row.basis.partition("; engine: ")[0] for row in rows}
    engines = {row.basis.partition("; engine: ")[2] for row in rows}
    found = [b for b in estimate.calibrated.bases if b.set in words | engines]
    return sorted(found, key=lambda basis: basis.form == "engine")


def fits(estimate: Estimate) -> list[dict[str, Any]]:
    """Return every set of an answer with its parameters, where they are from, and their band."""
    assert estimate.calibrated is not None
    return [_record(basis, share) for basis, share in estimate.calibrated.shares]


def _record(basis: Basis, share: float) -> dict[str, Any]:
    told: dict[str, Any] = {"set": basis.set, "form": basis.form, "share": share}
    if basis.fit is None:
        return told
    one, (low, high) = basis.fit.found.one, basis.fit.band
    return told | {
        "parameters": {p.name: value for p, value in basis.fit.parameters},
        "meanings": {p.name: p.meaning for p, _ in basis.fit.parameters},
        "error": one.error, "low": low, "high": high, "wider": basis.fit.found.wider,
        "rows": one.rows, "shapes": one.shapes, "source": one.source, "sha256": one.digest,
        "fitted": one.date, "chips": list(one.chips),
    }  # fmt: skip

"""Time every row of a program by its calibration, beside the bound, and band the sum."""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.predict import Prediction, Predictor
from mansard.backends.calibrated.rows import RowFigures, figures
from mansard.backends.cluster import Cluster
from mansard.backends.roofline import Work
from mansard.backends.sums import Piece
from mansard.backends.table import TableRow
from mansard.backends.totals import RowTotal
from mansard.ir.program import Program
from mansard.ir.value import MEMORY

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
WEIGHTS = (7 / 90, 32 / 90, 12 / 90, 32 / 90, 7 / 90)  # Boole's rule: five points of a stretch


class CalibratedTotal(RowTotal):
    """A row that also sums its predicted time; quantities are affine along a piece."""

    predictor: Predictor
    predicted: list[Prediction]

    def take(self, piece: Piece, weight: float) -> float:
        """Add a piece; return the bound's time [s]."""
        bound_s = super().take(piece, weight)
        again = float(piece.start[self.row.count]) * weight * piece.steps
        if piece.steps == 1 or piece.start == piece.end:
            points: tuple[tuple[float, list[Any]], ...] = ((1.0, piece.start),)
        else:
            points = tuple(
                (w, [a + (b - a) * share for a, b in zip(piece.start, piece.end, strict=True)])
                for share, w in zip(SHARES, WEIGHTS, strict=True)
            )
        found = [self.at(values).times(w * again) for w, values in points]
        median = max(sum(f.median_s for f in found), bound_s)
        low = max(sum(f.low_s for f in found), bound_s)
        high = max(sum(f.high_s for f in found), median)
        self.predicted.append(Prediction(median, low, high, found[0].kind, found[0].basis))
        return bound_s

    def at(self, values: Any) -> Prediction:
        """Predict one occurrence at a point."""
        row = self.row
        dims = {k: v if isinstance(v, str) else float(values[v]) for k, v in row.dims.items()}
        bound_s = max((self.priced.seconds(r, values) for r in self.priced.resources), default=0.0)
        one = RowFigures(
            kind=row.kind,
            dims=dims,
            flops=sum(float(values[s]) for s in row.flops.values()),
            bytes=sum(float(values[s]) for (p, _), s in row.traffic.items() if p == MEMORY),
            payload={
                (op, float(n)): float(values[s])
                for (op, _, n), s in row.payload.items()
                if op != "copy"
            },
            weight=row.weight,
            bound_s=bound_s,
        )
        return self.predictor.predict(figures(one, self.predictor.chip), PLAIN)


class CalibratedWork(Work):
    """Prices a program twice: the bound, and every row's prediction in ``rows``."""

    def __init__(self, program: Program, cluster: Cluster):
        super().__init__(program, cluster)
        self.predictor = Predictor(cluster.chip)
        self.rows: list[CalibratedTotal] = []

    def total(self, row: TableRow) -> RowTotal:
        """Return a row's sum, which keeps its predictions."""
        bound = super().total(row)
        made = CalibratedTotal(row, bound.priced)
        made.predictor, made.predicted = self.predictor, []
        self.rows.append(made)
        return made

"""A row of a phase in calibrated time: its bound and its band, added over the steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mansard.backends.calibrated.knots import Chord
from mansard.backends.calibrated.predict import Fit, Prediction
from mansard.backends.calibrated.pricing import CalibratedPrice
from mansard.backends.estimate import Row
from mansard.backends.hardware import Hardware
from mansard.backends.sums import Piece
from mansard.backends.totals import RowTotal


@dataclass
class CalibratedTotal(RowTotal):
    """A row summed over the steps of a phase, with its bound and its band.

    Args:
        bound_s: of the same occurrences.
        low_s, high_s: the band of their time.
        form: of kernels, whose errors go the same way.
        basis: the set it rests on, in words.
        fit: the set itself.
        slower: than alone, in the engine.
        widen_s: see ``Prediction``.
    """

    bound_s: float = 0.0
    low_s: float = 0.0
    high_s: float = 0.0
    form: str = ""
    basis: str = ""
    fit: Fit | None = None
    slower: float = 1.0
    widen_s: float = 0.0

    def _spend(self, piece: Piece, again: float) -> float:
        """Add the time of a piece: its bound's resources, and what is predicted at its ends.

        Resources win as often as they do in the bound; what each alone needs is the bound's.
        """
        price = self.priced
        assert isinstance(price, CalibratedPrice)
        (bound_a, a), (bound_b, b), share = _ends(price, piece)
        won = self._busy(price.alone, piece, again)
        bound_s = sum(won.values())
        times = again * piece.steps

        def mean(low: float, high: float) -> float:
            return (low + (high - low) * share) * times

        time_s = mean(a.median_s, b.median_s) if bound_s else 0.0
        for name, alone_s in won.items():
            part = alone_s / bound_s if bound_s else 0.0
            self.won[name] = self.won.get(name, 0.0) + part * time_s
        self.bound_s += mean(bound_a, bound_b)
        self.low_s += mean(a.low_s, b.low_s)
        self.high_s += mean(a.high_s, b.high_s)
        self.widen_s += mean(a.widen_s, b.widen_s)
        self.form, self.basis, self.fit, self.slower = b.kind, b.basis, b.fit, b.slower
        return time_s

    def end_s(self, piece: Piece, which: int) -> float:
        """Return the time of the row in the first call of a piece (0) or its last one (-1) [s]."""
        if not isinstance(piece, Chord):
            return super().end_s(piece, which)
        price = self.priced
        assert isinstance(price, CalibratedPrice)
        (_, a), (_, b), _ = _ends(price, piece)
        share = piece.share(0 if which == 0 else piece.steps - 1)
        once = (a.median_s + (b.median_s - a.median_s) * share) if price.resources else 0.0
        return once * float(piece.start[self.row.count])

    def shown(self, steps: float, total_s: float, chip: Hardware) -> Row:
        """Return the row as the mean step of the phase has it, with its bound and band."""
        n = self.occurrences
        return replace(
            super().shown(steps, total_s, chip),
            ideal_s=self.bound_s / n,
            low_s=self.low_s / n,
            high_s=self.high_s / n,
            basis=self.basis,
        )


def _ends(
    price: CalibratedPrice, piece: Piece
) -> tuple[tuple[float, Prediction], tuple[float, Prediction], float]:
    """Return what is predicted at both ends of a line, and how far along it the mean step is."""
    if isinstance(piece, Chord):
        return price.at(piece.low), price.at(piece.high), piece.middle
    return price.at(piece.start), price.at(piece.end), 0.5

"""What a sweep keeps of its points: all, a Pareto front, or the best few."""

from __future__ import annotations

from collections.abc import Sequence

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.query.sweeps.metrics import KNOWN, read_metric
from mansard.query.sweeps.reduce import Front, Reduction, Top

MOST_ROWS = 2_000_000
"""Rows of a result that is not reduced."""


@dataclass(frozen=True)
class Asked:
    """How points are reduced.

    Args:
        pareto: metrics of a front.
        best: metric of the few that are kept.
        top: how many.
        unfit: whether points that do not fit the memory are kept, too.
    """

    pareto: tuple[str, ...] = ()
    best: str = ""
    top: int = 0
    unfit: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """What must be known of every point."""
        return self.pareto or ((self.best,) if self.best else ())

    def reduction(self) -> Reduction:
        """Return what keeps the points, empty."""
        return Front(self.pareto) if self.pareto else Top(self.best, self.top)

    def __str__(self) -> str:
        if self.pareto:
            return f"Pareto front of {', '.join(self.pareto)}"
        return f"best {self.top} by {self.best}" if self.best else ""


def read_asked(
    pareto: Sequence[str] | str, top: int | None, best: str | None, unfit: bool
) -> Asked:
    """Return which reduction the arguments of ``sweep`` ask for.

    Raises:
        SpecError: two questions at once, or the best few by nothing.
    """
    names = [n.strip() for n in pareto.split(",")] if isinstance(pareto, str) else list(pareto)
    if not names and top is None and best is None:
        return Asked()
    if names and (top is not None or best is not None):
        raise SpecError("a Pareto front and the best few are two questions",
                        hint="give --pareto, or --top and --best")  # fmt: skip
    if names:
        metrics = tuple(dict.fromkeys(read_metric(n) for n in names))
        return Asked(pareto=metrics, unfit=unfit)
    if best is None:
        raise SpecError("the best by what?", hint=f"add --best with one of: {', '.join(KNOWN)}")
    count = 1 if top is None else top
    if count < 1 or count > MOST_ROWS:
        raise SpecError(f"the best {count} points", hint=f"1 to {MOST_ROWS:,}")
    return Asked(best=read_metric(best), top=count, unfit=unfit)

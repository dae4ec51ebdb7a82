"""Runs of an axis that ranks cannot share: too small to be worth it, or not divisible."""

from __future__ import annotations

import sympy as sp

from mansard.core.errors import SpecError
from mansard.ir.op import Op
from mansard.passes.parallel.layout import Run

MANY_DIVISORS, MOST_LISTED = 4096, 10


def uneven(op: Op, run: Run, ranks: int, axis: str) -> SpecError:
    """Return the error of a product whose result ranks cannot share evenly, with what divides."""
    degree, blocks = axis.partition("@")[0], run.blocks
    size = f"{int(blocks):,}" if blocks.is_Integer else str(blocks)
    hint = "use another degree"
    if blocks.is_Integer and blocks > 0:
        several = [d for d in sp.divisors(int(blocks)) if d <= MANY_DIVISORS]
        rest = ", …" if len(several) > MOST_LISTED else ""
        hint = f"{degree} must divide it: {', '.join(map(str, several[:MOST_LISTED]))}{rest}"
    return SpecError(
        f"{degree}={ranks} does not divide the {size} {run.noun} of {op.name}", hint=hint
    )


def is_single(run: Run, ranks: int) -> bool:
    """Whether a run is one block, a part of one, or fewer columns than ranks: not worth cutting."""
    if not run.blocks.is_number:
        return False
    few = run.noun == "columns" and run.blocks < ranks
    return bool(few or run.blocks < 1 or (run.blocks == 1 and not run.copies))

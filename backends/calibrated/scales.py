"""How the scales of a kernel's weight lie: one a block of it, or one a row or the whole tensor.

Kernels differ: those of blocks scale partial sums inside their loop over k, the others scale once,
at the end [DeepSeek-AI 2024 V3, §3.3.2].
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mansard.backends.table import TableRow

GROUPED = re.compile(r"fp8g(\d+)s")
"""The text of an encoding in fp8 with scales of groups, and their size."""


def lie_in_blocks(row: TableRow, rows: Iterable[TableRow]) -> bool:
    """Say whether the fp8 weight of a row has a scale for each block.

    An encoding says how many elements share a scale, not where they lie: 16384 of them are a block
    of 128 x 128, or a row of that length. A row's are as many as the row is long, or several times
    that where ranks divide it; blocks are of one size in matrices of any width. So scales are of
    rows where the width of every matrix of that encoding divides the group.

    Args:
        row: of the table.
        rows: all of the table's.
    """
    found = GROUPED.match(row.weight)
    if found is None:
        return False
    group = int(found[1])
    alike = (width for other in rows if other.weight == row.weight for width in _widths(other))
    return any(group % width for width in alike)


def _widths(row: TableRow) -> Iterable[int]:
    """Return how many inputs each weight of a row's encoding has."""
    for value in row.cost.reads:
        if value.role == "weight" and str(value.encoding) == row.weight:
            width = value.shape[-1]
            if width.is_Integer:
                yield int(width)

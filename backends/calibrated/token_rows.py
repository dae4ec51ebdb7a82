"""Rows that depend on the tokens of a call alone: a table of their sum, exact within each tile.

Products and norms of a prefill see the batch times the prompt. Forms round tokens up to whole
tiles, and along a tile their sum is smooth: a cubic through four of its tokens is exact to the last
digits once a tile is a thousandth of the tokens; below that every number of tokens has an entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mansard.backends.calibrated.columns import BLOCK, Parts
from mansard.backends.calibrated.kernel_rows import KernelRow
from mansard.backends.calibrated.traced_rows import TracedRows
from mansard.backends.engine.polynomials import Space
from mansard.backends.quantity import Terms
from mansard.core.symbols import batch, prompt

TILE = 128
"""Tokens within which no form rounds up: the tiles of forms are this long, or half."""
SINGLY = 1 << 17
"""Tokens below which each number of them has an entry."""
MOST = 1 << 27
"""Tokens of a table, at most."""
NODES = np.array([0.0, 42.0, 85.0, 127.0])
"""Tokens short of a full tile through which the cubic goes."""
CHECKED = 64.0
"""Tokens short of one at which it is held to the forms."""
AGREES = 1e-13
WORTH = 0.5
"""Scenarios asked for that are worth an entry of a table."""


def is_of_tokens(space: Space, terms: Terms) -> bool:
    """Say whether a polynomial depends on the batch and the prompt by their product alone."""
    for monomial in terms:
        powers = {space.atoms[slot].symbol: e for slot, e in monomial}
        if powers.get(batch, 0) != powers.get(prompt, 0):
            return False
        inner = (dict(a) for slot, _ in monomial for a in space.atoms[slot].args)
        if not all(is_of_tokens(space, a) for a in inner):
            return False
    return True


class TokenRows:
    """Rows of a call that depend on its tokens alone.

    Args:
        rows: of a call, such ones.
        space: of their polynomials.
    """

    def __init__(self, rows: Sequence[KernelRow], space: Space) -> None:
        self.rows = rows
        self._traced = TracedRows(rows, space, {prompt: 1.0})
        self._tables: dict[tuple[bool, int], TokenTable] = {}
        self._asked = 0

    def table(self, batches: Any, prompts: Any, bands: bool, count: int) -> TokenTable | None:
        """Return their sums as a table; None where evaluating them is sooner done.

        Args:
            batches: there are.
            prompts: there are.
            bands: whether half-widths count.
            count: of scenarios, which are counted over all calls.
        """
        most = float(np.max(batches)) * float(np.max(prompts))
        whole = all((v == np.floor(v)).all() for v in (batches, prompts))
        if not self.rows or not whole or not SINGLY < most <= MOST:
            return None
        octaves = math.ceil(math.log2(most))
        entries = SINGLY + 5 * 2**octaves // TILE
        self._asked += count
        if (bands, octaves) not in self._tables:
            if self._asked < WORTH * entries:
                return None
            few, many = (
                self._traced.over(bands, (1.0, SINGLY)),
                self._traced.over(bands, (float(SINGLY), 2.0**octaves)),
            )
            if few is None or many is None:
                return None
            self._tables[bands, octaves] = TokenTable(few, many, 2**octaves)
        return self._tables[bands, octaves]


class TokenTable:
    """Sums of rows by tokens.

    Args:
        few: they, evaluated at numbers of tokens up to ``SINGLY``.
        many: at larger ones.
        most: tokens.
    """

    def __init__(
        self, few: Callable[[Any], Parts], many: Callable[[Any], Parts], most: int
    ) -> None:
        self._many = many
        self._singly = _evaluated(few, np.arange(1.0, SINGLY + 1))
        full = np.arange(SINGLY // TILE + 1, most // TILE + 1) * float(TILE)
        at = np.linalg.inv(np.vander(NODES, increasing=True))
        nodes = [_evaluated(many, full - short) for short in NODES]
        between = _evaluated(many, full - CHECKED)
        self._cubics: dict[tuple[str, str], Any] = {}
        self._odd = np.zeros(full.size, dtype=bool)
        for key, held in between.items():
            cubic = at @ np.array([node[key] for node in nodes])
            found = np.polynomial.polynomial.polyval(CHECKED, cubic)
            self._odd |= np.abs(found - held) > AGREES * np.abs(held)
            self._cubics[key] = cubic
        self._some_odd = bool(self._odd.any())

    def at(self, tokens: Any) -> Parts:
        """Return the sums at arrays of whole numbers of tokens."""
        tile = np.ceil(tokens * (1.0 / TILE))
        short = TILE * tile - tokens
        which = tile.astype(np.intp)
        which -= SINGLY // TILE + 1
        one_by_one = tokens <= SINGLY
        if self._some_odd:
            odd = self._odd.take(which, mode="clip") & ~one_by_one
            beyond = np.flatnonzero(odd)
            exact = self._many(tokens.ravel()[beyond]) if beyond.size else {}
        few = np.flatnonzero(one_by_one)
        singly = tokens.ravel()[few].astype(np.intp) - 1
        found = {}
        for key, (c0, c1, c2, c3) in self._cubics.items():
            value = c3.take(which, mode="clip") * short
            value += c2.take(which, mode="clip")
            value *= short
            value += c1.take(which, mode="clip")
            value *= short
            value += c0.take(which, mode="clip")
            flat = value.reshape(-1)
            flat[few] = self._singly[key].take(singly)
            if self._some_odd and beyond.size:
                flat[beyond] = exact[key]
            found[key] = value
        return found


def _evaluated(at: Callable[[Any], Parts], tokens: Any) -> dict[tuple[str, str], Any]:
    """Evaluate rows at many numbers of tokens, a stretch at a time."""
    parts = [at(tokens[low : low + BLOCK]) for low in range(0, tokens.size, BLOCK)]
    sizes = [tokens[low : low + BLOCK].size for low in range(0, tokens.size, BLOCK)]
    return {
        key: np.concatenate([np.broadcast_to(p[key], n) for p, n in zip(parts, sizes, strict=True)])
        for key in parts[0]
    }

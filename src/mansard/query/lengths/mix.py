"""A distribution of prompts and outputs, and the expectation of figures over it.

Every batch is of one length; metrics are expectations over lengths, by exact sums over the lengths
there are or by quadrature. A mean length in their place is right only where costs are affine in it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.backends.engine.compiled import Compiled
    from mansard.backends.engine.stepwise import Stepwise


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

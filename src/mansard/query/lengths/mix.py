"""A distribution of prompts and outputs, and the expectation of figures over it.

Every batch is of one length; metrics are expectations over lengths, by exact sums over the lengths
there are or by quadrature. A mean length in their place is right only where costs are affine in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from mansard.core.records import dataclass

BOTH = ("prompt", "output")

if TYPE_CHECKING:
    from mansard.query.engines import Engine


BLOCK = 65_536
"""Points that are evaluated at once: every length of some batches."""


@dataclass(frozen=True)
class Mix:
    """A distribution of prompts and outputs.

    Args:
        text: as it was written.
        prompts: tokens of each combination.
        outputs: likewise.
        weights: of each; they add to 1.
        spread: which of the two are distributions.
        written: how each of those was.
    """

    text: str
    prompts: tuple[float, ...]
    outputs: tuple[float, ...]
    weights: tuple[float, ...]
    spread: tuple[str, ...] = BOTH
    written: Mapping[str, str] = field(default_factory=dict)

    @property
    def means(self) -> tuple[float, float]:
        """The expected prompt and output."""
        return tuple(  # type: ignore[return-value]
            math.fsum(v * w for v, w in zip(column, self.weights, strict=True))
            for column in (self.prompts, self.outputs)
        )

    @property
    def mean(self) -> tuple[int, int]:
        """The expected prompt and output, rounded."""
        return tuple(max(1, round(mean)) for mean in self.means)  # type: ignore[return-value]

    def expected(
        self, engine: Engine, batch: Any, names: tuple[str, ...],
        prompt: Any = None, output: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the expectation of figures at each point, a batch being of one length.

        Throughput is the tokens of all over the time of all, and what is per user the inverse of
        the expected time per token.

        Args:
            engine: of one length at a time.
            batch: sequences, one a point, or one for all.
            names: of figures.
            prompt: likewise, in place of the own ones where these are no distribution.
            output: likewise.
        """
        import numpy as np

        given = (batch, 0 if prompt is None else prompt, 0 if output is None else output)
        batches, *sizes = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in given))
        own = {"prompt": self.prompts, "output": self.outputs}
        fixed = {"prompt": prompt is not None, "output": output is not None}
        weights = np.array(self.weights)
        times = (_PER_USER[name] for name in names if name in _PER_USER)
        asked = tuple(dict.fromkeys((*names, *times)))
        found = {name: np.empty(batches.size) for name in asked}
        tokens = np.empty(batches.size)
        step = max(1, BLOCK // weights.size)
        for first in range(0, batches.size, step):
            at = slice(first, first + step)
            count = batches[at].size
            prompts, outputs = (
                np.repeat(size[at], weights.size)
                if fixed[name] and name not in self.spread
                else np.tile(self._column(own[name], engine), count)
                for name, size in zip(own, sizes, strict=True)
            )
            each = np.repeat(batches[at], weights.size)
            values = engine.figures(each, prompts, outputs, asked)
            for name, column in values.items():
                if name in _RATES:  # all tokens over all time: the mean of what a batch takes
                    column = each * outputs / column
                known = np.broadcast_to(column, weights.size * count).reshape(count, -1)
                found[name][at] = _mean(known, weights, skip=name.startswith("tpot"))
            tokens[at] = _mean(outputs.reshape(count, -1), weights)
        for name in _RATES:
            if name in found:
                found[name] = batches * tokens / found[name]
        for rate, time in _PER_USER.items():
            if rate in found:
                found[rate] = 1.0 / found[time]
        return {name: found[name] for name in names}

    def _column(self, lengths: tuple[float, ...], engine: Engine) -> Any:
        """Return lengths as an engine takes them: one that goes step by step takes whole ones."""
        import numpy as np

        return np.rint(lengths) if engine.method == "stepwise" else np.array(lengths)

    def beyond(self, tokens: int) -> float:
        """Return the share of requests longer than so many tokens."""
        longer = (w for p, n, w in zip(self.prompts, self.outputs, self.weights, strict=True)
                  if p + n > tokens)  # fmt: skip
        return math.fsum(longer)


_RATES = ("throughput", "throughput_ideal", "throughput_low", "throughput_high")
_PER_USER = {
    "tokens_per_s_per_user": "tpot", "tokens_per_s_per_user_ideal": "tpot_ideal",
    "tokens_per_s_per_user_low": "tpot_high", "tokens_per_s_per_user_high": "tpot_low",
}  # fmt: skip
"""What is per user → the time a token takes, whose expectation it is one over."""


def _mean(values: Any, weights: Any, skip: bool = False) -> Any:
    """Return the expectation of each row; of the time per token over requests that have one."""
    import numpy as np

    found = (values * weights).sum(axis=1)
    if skip and not np.isfinite(found).all():
        known = np.isfinite(values)
        share = (known * weights).sum(axis=1)
        total = (np.where(known, values, 0.0) * weights).sum(axis=1)
        found = np.where(share > 0, total / np.where(share > 0, share, 1.0), math.nan)
    same = (values == values[:, :1]).all(axis=1)  # the weights add to 1 but for rounding
    return np.where(same, values[:, 0], found)

"""Polynomials over atoms as numpy source: what depends on one number is done once for it.

Three functions are written: of the batches there are, of the prompts (or contexts) there are, and
of scenarios, which looks up what the first two found. The text holds nothing but numbers and names
made here: no name and no value of a user's enters it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mansard.backends.calibrated.form_ranges import FormRanges
from mansard.backends.calibrated.knees import knee, whole_power
from mansard.backends.calibrated.numpy_steps import BATCH, BOTH, PROMPT, Line, Writer
from mansard.backends.engine.generated import defined
from mansard.backends.engine.polynomials import Space
from mansard.backends.quantity import Terms

NAMES: Mapping[str, Any] = {
    "ceil": np.ceil, "maximum": np.maximum, "minimum": np.minimum, "where": np.where,
    "less": np.less, "power": np.power, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "knee": knee, "whole_power": whole_power,
}  # fmt: skip


class Written:
    """Functions of arrays that polynomials become.

    Args:
        space: of the polynomials.
        results: by key.
        ranges: of their atoms.

    Raises:
        UndecidedError: a function that is not written.
    """

    def __init__(
        self, space: Space, results: Mapping[tuple[str, str], Terms], ranges: FormRanges
    ) -> None:
        writer = Writer(space, ranges)
        self.keys = tuple(results)
        shown = [writer.result(terms) for terms in results.values()]
        lines, names = writer.lines, {**NAMES, **writer.links}
        of_batch, of_prompt = (list(writer.gathered[level]) for level in (BATCH, PROMPT))
        self._batches = _function(("b",), of_batch, lines[BATCH], names)
        self._prompts = _function(("p",), of_prompt, lines[PROMPT], names)
        arguments = ("b", "p", "of_batch", "of_prompt", *of_batch, *of_prompt)
        self._both = _function(arguments, shown, lines[BOTH], names)
        self.steps = len(lines[BOTH])
        """How many are done at every scenario."""

    def on(self, batches: Any, prompts: Any) -> Callable[..., dict[tuple[str, str], Any]]:
        """Return what gives the results at scenarios, what they share done once.

        Args:
            batches: there are.
            prompts: there are.
        """
        with np.errstate(all="ignore"):
            small = (*self._batches(batches), *self._prompts(prompts))

        def at(b: Any, p: Any, of_batch: Any, of_prompt: Any) -> dict[tuple[str, str], Any]:
            """Return the results at scenarios.

            Args:
                b: their batches.
                p: their prompts.
                of_batch: picks, of values of the batches there are, theirs.
                of_prompt: picks, of values of the prompts there are, theirs.
            """
            with np.errstate(all="ignore"):
                found = self._both(b, p, of_batch, of_prompt, *small)
            return dict(zip(self.keys, found, strict=True))

        return at


def _function(
    arguments: Iterable[str], shown: list[str], lines: list[Line],
    names: Mapping[str, Any],
) -> Callable[..., tuple[Any, ...]]:  # fmt: skip
    """Return a function of written steps; what nothing needs any more is let go."""
    last = {arg: k for k, (_, _, args) in enumerate(lines) for arg in args}
    made = {name for name, _, _ in lines}
    text = [f"def at({', '.join(arguments)}):"]
    for k, (name, written, args) in enumerate(lines):
        text.append(f"    {name} = {written}")
        done = {a for a in args if last[a] == k and a in made and a not in shown}
        if done:
            text.append(f"    del {', '.join(sorted(done))}")
    text.append(f"    return ({''.join(f'{name}, ' for name in shown)})")
    found: Callable[..., tuple[Any, ...]] = defined("\n".join(text) + "\n", "at", names)
    return found

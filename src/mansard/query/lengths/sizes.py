"""Prompt and output as a question gives them: numbers, distributions, or a CSV of both."""

from __future__ import annotations

from collections import Counter

from mansard.core import units
from mansard.core.errors import SpecError
from mansard.query.lengths.csv_file import HINT, read_rows
from mansard.query.lengths.distribution import Lengths, is_spread, read_lengths
from mansard.query.lengths.mix import Mix

MOST_PAIRS = 20_000_000


def read_sizes(
    prompt: int | str | None, output: int | str | None, context: int | str | None,
    default: tuple[int, int],
) -> tuple[int | None, int | None, Mix | None]:  # fmt: skip
    """Return prompt and output as numbers, and what they are the mean of.

    Raises:
        SpecError: text that is no distribution; or one beside ``context``.
    """
    prompt, output = (_plain(n, given) for n, given in (("prompt", prompt), ("output", output)))
    mix = read_mix(prompt, output, default)
    if mix is None:
        assert not isinstance(prompt, str)  # it would be a distribution
        assert not isinstance(output, str)
        return prompt, output, None
    if context is not None:
        raise SpecError("context asks for one length, prompt or output for a distribution",
                        hint="give either context, or prompt and output")  # fmt: skip
    return *mix.mean, mix


def _plain(name: str, given: int | str | None) -> int | str | None:
    """Return ``8k`` as a number, a distribution as it is."""
    if not isinstance(given, str) or is_spread(given):
        return given
    try:
        return int(units.parse(given, "tokens"))
    except SpecError as error:
        raise SpecError(
            f"{name} is {given[:40]!r}, neither a whole number nor a distribution", hint=HINT
        ) from error


def read_mix(prompt: object, output: object, default: tuple[int, int]) -> Mix | None:
    """Return the distribution of two lengths; None where both are plain numbers or missing.

    One CSV given for both is read pair by pair, from its columns ``prompt`` and ``output``; any
    other two lengths are independent.

    Raises:
        SpecError: text that is neither a number nor a distribution, or too many combinations.
    """
    if not is_spread(prompt) and not is_spread(output):
        return None
    if prompt == output and str(prompt).strip().lower().endswith(".csv"):
        return _pairs(str(prompt).strip())
    p, n = (_one(given, otherwise, name) for given, otherwise, name in
            ((prompt, default[0], "prompt"), (output, default[1], "output")))  # fmt: skip
    if len(p.values) * len(n.values) > MOST_PAIRS:
        raise SpecError(
            f"{len(p.values):,} prompts and {len(n.values):,} outputs are too many combinations",
            hint="give both as columns of one .csv, which is read pair by pair",
        )
    prompts = tuple(v for v in p.values for _ in n.values)
    outputs = tuple(v for _ in p.values for v in n.values)
    weights = tuple(a * b for a in p.weights for b in n.weights)
    given = {"prompt": prompt, "output": output}
    spread = tuple(name for name, value in given.items() if is_spread(value))
    texts = {name: str(given[name]) for name in spread}
    return Mix(f"prompt {p.text}, output {n.text}", prompts, outputs, weights, spread, texts)


def _one(given: object, otherwise: int, column: str) -> Lengths:
    if given is None:
        given = otherwise
    if isinstance(given, str) and is_spread(given):
        return read_lengths(given, column)
    value = given if isinstance(given, int) else units.parse(str(given), "tokens", bare=True)
    return Lengths(f"{value}", (float(value),), (1.0,))


def _pairs(path: str) -> Mix:
    counts = Counter((p, n) for p, n in read_rows(path, ("prompt", "output")))
    total = counts.total()
    found = sorted(counts.items())
    return Mix(
        f"pairs of {path}", tuple(float(p) for (p, _), _ in found),
        tuple(float(n) for (_, n), _ in found), tuple(c / total for _, c in found),
        written={"prompt": path, "output": path},
    )  # fmt: skip

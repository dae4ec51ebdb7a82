"""A page's question: JSON → what ``study`` takes, every part checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.query.lengths import Mix, read_sizes
from mansard.query.scenario import DEFAULT_OUTPUT, DEFAULT_PROMPT, Scenario, make_scenario
from mansard.query.settings import READERS
from mansard.serve.names import Names

MOST_TECHNIQUES = 40
LONGEST_TEXT = 2000
FILES = ("calibration",)
"""Overrides that name a file."""


@dataclass(frozen=True)
class Question:
    """A whole scenario.

    Args:
        model: its name.
        on: chip and count.
        scenario: sequences, lengths, phase.
        techniques: pipeline texts, in order.
        level: "O0" or "O1".
        changed: overrides, sorted.
        kind: "ideal" or "calibrated".
        price: of a device and hour.
        mix: lengths as distributions, where they are.
        unsaid: whether nobody gave the prompt.
        lengths: of prompt and output as they were given, where one is a distribution.
    """

    model: str
    on: str
    scenario: Scenario
    techniques: tuple[str, ...] = ()
    level: str = "O1"
    changed: tuple[tuple[str, str], ...] = ()
    kind: str = "ideal"
    price: float | None = None
    mix: Mix | None = None
    unsaid: bool = False
    lengths: tuple[int | str | None, int | str | None] | None = None

    @property
    def program(self) -> tuple[object, ...]:
        """What decides the program and the devices: everything but sizes and the estimate."""
        return (
            self.model, self.on, self.techniques, self.level, self.changed,
            self.scenario.single_step,
        )  # fmt: skip


def read_question(body: Mapping[str, Any], names: Names) -> Question:
    """Read a question.

    Raises:
        MansardError: a key nothing is called, a value of another type, or a name that may not be
            named.
    """
    values = dict(_values(body))
    files = [key for key in values.get("set", {}) if key in FILES]
    if files:
        raise SpecError(f"{files[0]} names a file, which a page may not", hint="leave it out")
    for name, example in (("model", "llama-3.1-8b"), ("on", "h100-sxm")):
        if name not in values:
            raise SpecError(f"the question names no {name}", hint=f'for example "{example}"')
    techniques = values.get("techniques", ())
    if len(techniques) > MOST_TECHNIQUES:
        raise SpecError(f"{len(techniques)} techniques", hint=f"at most {MOST_TECHNIQUES}")
    names.model(values["model"])
    names.check_techniques(techniques)
    prompt, output, context = (values.get(n) for n in ("prompt", "output", "context"))
    p, n, mix = read_sizes(prompt, output, context, (DEFAULT_PROMPT, DEFAULT_OUTPUT))
    asked = make_scenario(values.get("batch", 1), p, n, values.get("phase", "both"), context)
    return Question(
        model=values["model"],
        on=names.chip(values["on"]),
        scenario=asked,
        techniques=techniques,
        level=values.get("level", "O1"),
        changed=tuple(sorted(values.get("set", {}).items())),
        kind=values.get("estimate", "ideal"),
        price=values.get("price"),
        mix=mix,
        unsaid=prompt is None and context is None,
        lengths=None if mix is None else (prompt, output),
    )


def _values(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    if not isinstance(body, Mapping):
        raise SpecError("a question is a JSON object", hint='{"model": …, "on": …}')
    found = []
    for name, value in body.items():
        if name not in READERS:
            raise unknown_name("part of a question", str(name)[:60], READERS)
        if value is None or value == "":
            continue
        if len(str(value)) > LONGEST_TEXT:
            raise SpecError(f"{name} is too long", hint=f"at most {LONGEST_TEXT} characters")
        if name in ("prompt", "output") and str(value).strip().lower().endswith(".csv"):
            raise SpecError(
                f"{name} names a file, which a page may not", hint="2048, or uniform(1k,4k)"
            )
        try:
            found.append((name, READERS[name](value)))
        except SpecError as error:
            raise SpecError(f"{name}: {error.message}", hint=error.hint) from error
    return found

"""Cases of a sweep: each combination of what needs a program or prices of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.query.scenario import Scenario
from mansard.query.study import Study
from mansard.query.sweeps.axes import Axis, placed
from mansard.query.sweeps.fields import JOINS, as_number, is_field

LISTED = 10_000
"""Points that are evaluated as a list; for more a program of their own ranges is made."""


@dataclass(frozen=True)
class Case:
    """One combination of the axes the engine cannot evaluate at once.

    Args:
        number: counts them.
        at: axis → the index of its value.
        study: with those values.
        fields: axes of the chip whose values the engine evaluates at once.
        points: combinations of what the engine evaluates at once.
    """

    number: int
    at: Mapping[str, int]
    study: Study
    fields: tuple[Axis, ...] = ()
    points: int = 1


@dataclass(frozen=True)
class Layout:
    """The axes of a sweep over a study.

    Args:
        study: what does not vary.
        axes: in the order the user gave them.
    """

    study: Study
    axes: tuple[Axis, ...]

    @property
    def structural(self) -> tuple[Axis, ...]:
        """Axes of which each value is a case of its own."""
        return tuple(a for a in self.axes if a not in self.inner)

    @cached_property
    def inner(self) -> tuple[Axis, ...]:
        """Axes that the engine evaluates at once: sizes, and rates of the chip."""
        return tuple(a for a in self.axes if a.is_size or a in self.fields)

    @cached_property
    def fields(self) -> tuple[Axis, ...]:
        """Those of the chip."""
        return tuple(a for a in self.axes if is_field(a, self.study))

    @property
    def points_of_case(self) -> int:
        """Combinations of what the engine evaluates at once."""
        return math.prod(len(a.values) for a in self.inner)

    @property
    def cases(self) -> int:
        """How many cases."""
        return math.prod(len(a.values) for a in self.structural)

    @property
    def points(self) -> int:
        """How many points in all."""
        return self.cases * self.points_of_case

    def grid(self) -> dict[str, Sequence[float]]:
        """Return batch, prompt and output: the values of an axis, or the one of the study.

        Fields of the chip come after them.
        """
        asked = self.study.scenario
        found: dict[str, Sequence[float]] = {
            "batch": (asked.batch,), "prompt": (asked.prompt,), "output": (asked.output,)
        }  # fmt: skip
        for axis in self.inner:
            found[parameter(axis)] = numbers(axis)
        return found

    def case_at(self, number: int) -> dict[str, int]:
        """Return axis → the index of its value in a case."""
        at: dict[str, int] = {}
        rest = number
        for axis in reversed(self.structural):
            rest, at[axis.name] = divmod(rest, len(axis.values))
        return at

    def cases_at(self, at: Mapping[str, Any]) -> Any:
        """Return the number of the case of each point, from the indices of its values."""
        found: Any = 0 * next(iter(at.values()), 0)
        for axis in self.structural:
            found = found * len(axis.values) + at[axis.name]
        return found

    def case(self, number: int) -> Case:
        """Return one case; the last axis varies fastest.

        Raises:
            MansardError: a value that no option or field takes.
        """
        at = self.case_at(number)
        # What joins devices may be stated by an axis alone, and a program needs some of it.
        first = (a for a in self.fields if a.name.startswith(JOINS))
        chosen = {a.name: (a, a.values[at.get(a.name, 0)]) for a in (*self.structural, *first)}
        return Case(number, at, changed(self.study, chosen), self.fields, self.points_of_case)


def parameter(axis: Axis) -> str:
    """Return what the engine calls an axis: a context is a prompt that is cached."""
    return "prompt" if axis.name == "context" else axis.name


def numbers(axis: Axis) -> Sequence[float]:
    """Return the values of an axis the engine evaluates at once."""
    return axis.values if axis.is_size else [as_number(v, True) or 0.0 for v in axis.values]


def changed(study: Study, chosen: Mapping[str, tuple[Axis, Any]]) -> Study:
    """Return a study with the values of structural axes."""
    changed: dict[str, object] = dict(study.set)
    options: dict[str, dict[str, Any]] = {}
    source, on = study.source, study.on
    for name, (axis, value) in chosen.items():
        match axis.kind:
            case "model":
                source = value
            case "on":
                on = value
            case "technique":
                technique, _, key = name.partition(".")
                options.setdefault(technique, {})[key] = value
            case _:
                changed[name] = str(value)
    techniques = placed(study.techniques, options) if options else study.techniques
    return replace(study, source=source, on=on, techniques=techniques, set=changed)


def laid_out(study: Study, axes: Sequence[Axis]) -> Layout:
    """Check how axes go with each other and with the study.

    Raises:
        SpecError: an axis given twice, or ``context`` beside prompt, output or another phase.
    """
    names = [a.name for a in axes]
    if not names:
        raise SpecError("nothing varies", hint="add --vary batch=1..512x2, or ask analyze")
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"the axis {name} is given twice", hint="put its values in one list")
    if {"prompt", "context"} & set(names):
        study = replace(study, unsaid=False)
    asked = study.scenario
    spread = () if study.mix is None else (*study.mix.spread, "context")
    clash = next((n for n in names if n in spread), None)
    if study.mix is not None and clash:
        raise SpecError(f"{clash} varies, but lengths are a distribution: {study.mix.text}",
                        hint=f"give either --vary {clash}=… or a distribution")  # fmt: skip
    if "context" in names:
        clash = next((n for n in ("prompt", "output") if n in names), None)
        if clash or asked.phase == "prefill":
            raise SpecError(
                f"context asks for one decode step, {clash or 'phase'} for something else",
                hint="vary either context, or prompt and output",
            )
        if study.given:
            raise SpecError(
                f"context says how many tokens are cached, so {' and '.join(study.given)}"
                f" {'has' if len(study.given) == 1 else 'have'} no place",
                hint="vary either context, or prompt and output",
            )
        asked = Scenario(asked.batch, asked.prompt, 2, "decode", single_step=True)
    elif asked.single_step:
        clash = next((n for n in ("prompt", "output") if n in names), None)
        if clash:
            raise SpecError(f"{clash} varies, but context asks for one decode step",
                            hint="vary context, or leave --context out")  # fmt: skip
    elif asked.phase == "decode":
        outputs = next((a.values for a in axes if a.name == "output"), (asked.output,))
        if min(outputs) < 2:
            raise SpecError("with an output of 1 there is no decode step",
                            hint="begin the axis output at 2")  # fmt: skip
    return Layout(replace(study, scenario=asked), tuple(axes))


def parts(layout: Layout, most: int) -> Iterator[tuple[int, dict[str, tuple[int, int]]]]:
    """Yield (case, axis → first index and one after the last) of at most ``most`` points."""
    lengths = [len(a.values) for a in layout.inner]
    spans: list[list[tuple[int, int]]] = []
    left = most
    for n in reversed(lengths):
        step = max(1, min(n, left))
        spans.insert(0, [(k, min(k + step, n)) for k in range(0, n, step)])
        left = max(1, left // step)
    for number in range(layout.cases):
        for chosen in itertools.product(*spans):
            names = [a.name for a in layout.inner]
            yield number, dict(zip(names, chosen, strict=True))

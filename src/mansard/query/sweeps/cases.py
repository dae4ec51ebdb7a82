"""Cases of a sweep: each combination of what needs a program or prices of its own."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query import tables
from mansard.query.concerns import UNRESERVED
from mansard.query.lengths import Averaged
from mansard.query.scenario import Scenario
from mansard.query.study import Study
from mansard.query.sweeps.axes import Axis, placed
from mansard.query.sweeps.fields import JOINS, OneByOne, as_number, is_field, varied
from mansard.query.sweeps.once import Once
from mansard.query.tables import Made, Table
from mansard.query.target import target_of

if TYPE_CHECKING:
    from mansard.ir.program import Origin
    from mansard.query import engines
    from mansard.query.prepare import Prepared

    Engine: TypeAlias = "engines.Engine | OneByOne | Averaged | Once | Table"


@dataclass(frozen=True)
class Case:
    """One combination of the axes the engine cannot evaluate at once.

    Args:
        number: counts them.
        at: axis → the index of its value.
        study: with those values.
        fields: axes of the chip whose values the engine evaluates at once.
    """

    number: int
    at: Mapping[str, int]
    study: Study
    fields: tuple[Axis, ...] = ()


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
        return Case(number, at, changed(self.study, chosen), self.fields)


def parameter(axis: Axis) -> str:
    """Return what the engine calls an axis: a context is a prompt that is cached."""
    return "prompt" if axis.name == "context" else axis.name


def numbers(axis: Axis) -> Sequence[float]:
    """Return the values of an axis the engine evaluates at once."""
    return axis.values if axis.is_size else [as_number(v, True) or 0.0 for v in axis.values]


def figures_at(engine: Engine, columns: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the figures at points: batch, prompt and output, then fields of the chip if any."""
    b, p, n = (columns[name] for name in ("batch", "prompt", "output"))
    fields = {k: v for k, v in columns.items() if "." in k}
    given = (fields,) if fields else ()
    found: dict[str, Any] = cast(Any, engine).figures(b, p, n, names, *given)
    return found


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


def longest_of(scenario: Scenario, origin: Origin | Made) -> int:
    """Return the tokens of the longest sequence that the model's context bounds."""
    if isinstance(origin, Made):
        return origin.longest(scenario)
    from mansard.query.sequence import longest

    return longest(scenario, origin)


MOST_PROGRAMS = 64


@dataclasses.dataclass
class Engines:
    """Programs that cases share, each loaded, rewritten and lowered once.

    Args:
        notes: what their figures rest on.
        prompts: case → the prompt that its model reads, where that is shorter than the default.
        origins: model → where it is from, and whether it makes tokens, the sizes it has.
    """

    notes: list[Note] = field(default_factory=list)
    prompts: dict[int, int] = field(default_factory=dict)
    origins: dict[str, tuple[Origin | Made, bool, Set[str]]] = field(default_factory=dict)
    _programs: dict[object, tuple[Prepared, engines.Engine]] = field(default_factory=dict)
    _tables: dict[int, Table | None] = field(default_factory=dict)
    _last: tuple[object, engines.Engine | OneByOne] | None = None

    def of(self, case: Case) -> Engine:
        """Return the engine of a case.

        Raises:
            MansardError: the model, the hardware or a technique cannot be had like this.
        """
        if not case.fields and (table := self._table(case)) is not None:
            return table
        from mansard.ir.occurring import occurring
        from mansard.query.sequence import as_long_as_it_takes, generates

        study = case.study
        program = _program(study)
        key = (program, study.on, tuple(sorted((k, str(v)) for k, v in study.set.items())))
        if self._last is None or self._last[0] != key:
            made = self._made(study, program)
            self._last = (key, varied(made, study, case.fields) if case.fields else made)
        engine: Engine = self._last[1]
        if not engine.cluster.chip.reserve_bytes and UNRESERVED not in self.notes:
            self.notes.append(UNRESERVED)
        whole = engine if study.mix is None else Averaged(cast(Any, engine), study.mix)
        ready, _ = self._programs[program]
        tokens = generates(ready.program)
        most: int | None = None
        if study.unsaid and not study.scenario.single_step and study.mix is None:
            asked, said = as_long_as_it_takes(study.scenario, ready.origin)
            self.notes += [note for note in said if note not in self.notes]
            most = asked.prompt if said else None
        if most is not None:
            self.prompts[case.number] = most
        sizes = occurring(ready.program)
        self.origins[ready.origin.name] = ready.origin, tokens, sizes
        if not tokens or most is not None:
            return Once(cast(Any, whole), most, tokens)
        if not case.fields:
            said = (*ready.program.origin.notes, *ready.notes)
            about = Made(ready.origin.name, ready.origin.max_context, sizes, said)
            tables.keep(study, engine, ready, about, case.number)
        return whole

    def _table(self, case: Case) -> Table | None:
        """Return the table of a case from disk, its notes taken in."""
        if case.number not in self._tables:
            self._tables[case.number] = tables.recall(case.study, case.number)
            if (found := self._tables[case.number]) is not None:
                unreserved = () if found.cluster.chip.reserve_bytes else (UNRESERVED,)
                said = (*found.made.notes, *unreserved)
                self.notes += [note for note in said if note not in self.notes]
                self.origins[found.made.name] = found.made, True, found.made.sizes
        return self._tables[case.number]

    def _made(self, study: Study, program: object) -> engines.Engine:
        if program in self._programs:
            prepared, first = self._programs[program]
            target = target_of(study.on, study.set)
            if target.devices == prepared.target.devices:
                target.check(prepared.program.mesh)
                return first.on(target.laid_out(prepared.program.mesh))
        engine = study.compiled
        while len(self._programs) >= MOST_PROGRAMS:
            del self._programs[next(iter(self._programs))]
        self._programs[program] = (study.prepared, engine)
        self.notes += (*study.prepared.program.origin.notes, *study.prepared.notes)
        return engine


DEVICES = ("hardware", "network")
"""Sections of overrides that change no program."""


def _program(study: Study) -> object:
    """Return what a program is made of: studies that agree on it share one."""
    changed = study.set.items()
    overrides = sorted((k, str(v)) for k, v in changed if k.partition(".")[0] not in DEVICES)
    source = study.source
    if isinstance(source, Mapping):
        source = json.dumps(source, sort_keys=True, default=str)
    asked = study.scenario
    return (source, study.techniques, study.level, tuple(overrides), asked.phase, asked.single_step)


def unusable(error: MansardError) -> bool:
    """Say whether an error is about one combination, not about a name nobody knows."""
    return not isinstance(error, UnknownNameError)


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

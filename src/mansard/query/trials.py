"""What a distribution adds, tried on bundled models: each is lowered once, for all of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mansard.core.errors import MansardError, UnknownNameError, VerifyError
from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.backends.estimate import Phase
    from mansard.ir.program import Program
    from mansard.passes.technique import Outcome, Pass
    from mansard.plugins.laws import WorkDone

FIRST = (
    "gpt2", "llama-3.1-8b", "mixtral-8x7b-v0.1", "gemma-2-9b", "deepseek-v2-lite", "qwen3-8b",
    "bloom-560m", "mamba-130m", "jamba-1.5-mini", "rwkv-4-7b", "gpt-oss-20b", "falcon-7b",
)  # fmt: skip
"""Bundled models that differ most, tried first, so that a short check is a wide one."""


@dataclass(frozen=True)
class Trial:
    """What became of one technique or backend on one model.

    Args:
        thing: kind and name: ``technique quantize``.
        model: it was tried on.
        rule: of what broke; empty where everything held, or nothing was to do.
        said: how it broke, or why it does not apply; empty where everything held.
    """

    thing: str
    model: str
    rule: str = ""
    said: str = ""

    @property
    def held(self) -> bool:
        """Whether it applied and broke no rule."""
        return not self.said


@dataclass(frozen=True)
class Subject:
    """A technique as it is tried.

    Args:
        shown: with the options of its example.
        same: with those that change nothing, where it has such.
        first: what must have run before, each with its own example.
    """

    shown: Pass
    same: Pass | None = None
    first: tuple[Pass, ...] = ()


def subject(name: str, cls: type[Pass]) -> Subject:
    """Return a technique as its class says that it is shown.

    Raises:
        MansardError: the options of its example or identity cannot be read.
    """
    from mansard.passes.pipeline import parse
    from mansard.query.techniques import known_passes, with_programs

    known = {name: cls}
    (shown,) = parse(f"{name}{{{cls.example}}}" if cls.example else name, known)
    same = parse(f"{name}{{{cls.identity}}}", known)[0] if cls.identity else None
    first: tuple[Pass, ...] = ()
    if cls.requires:
        others = known_passes()
        texts = (f"{n}{{{e}}}" if (e := others[n].example) else n for n in cls.requires)
        first = parse(",".join(texts), others)
    return Subject(with_programs(shown), same, first)


def models(most: int | None = None) -> Sequence[str]:
    """Return bundled models in the order in which they are tried."""
    from mansard.frontends.hf import bundled

    names = bundled.names()
    rest = [n for n in names if n not in FIRST]
    return [*(n for n in FIRST if n in names), *rest][:most]


def on_model(model: str, owner: str) -> tuple[Trial, ...]:
    """Try everything of a distribution on a bundled model."""
    from mansard.query.source import load

    techniques, backends = _subjects(owner)
    program = load(model)
    runs = _Runs(program)
    made = [_tried(f"technique {n}", model, functools.partial(_keeps_laws, s, runs))
            for n, s in techniques]  # fmt: skip
    made += [_tried(f"backend {n}", model, functools.partial(_answers, text, program))
             for n, text in backends]  # fmt: skip
    return tuple(made)


def something(owner: str) -> bool:
    """Whether a distribution has techniques or backends."""
    return any(_subjects(owner))


@functools.cache
def _subjects(owner: str) -> tuple[list[tuple[str, Subject]], list[tuple[str, str]]]:
    """Return the techniques of a distribution that can be tried, and its backends as texts."""
    from mansard.plugins import registry

    techniques = []
    for name, provided in registry.passes().items():
        if provided.owner == owner:
            try:
                techniques.append((name, subject(name, provided.thing)))
            except MansardError:
                continue  # its description is wrong, which is said once, not for every model
    backends = [
        (name, f"{name}:{example}" if (example := getattr(found.thing, "example", "")) else name)
        for name, found in registry.backends().items()
        if found.owner == owner
    ]
    return techniques, backends


class BrokenRuleError(Exception):
    """A rule that was broken: its name, and how."""


class NothingToDoError(Exception):
    """Nothing to do, and why."""


def _tried(thing: str, model: str, attempt: Callable[[], None]) -> Trial:
    """Return what became of an attempt; whatever it raises is told."""
    try:
        attempt()
    except BrokenRuleError as broken:
        rule, said = broken.args
        return Trial(thing, model, rule, said)
    except NothingToDoError as idle:
        return Trial(thing, model, said=str(idle))
    except VerifyError as error:
        return Trial(thing, model, "graph", error.message)
    except MansardError as error:
        if error.hint:
            return Trial(thing, model, said=error.message)
        return Trial(thing, model, "refusal", f"no hint of what to do: {error.message}")
    except Exception as error:
        return Trial(thing, model, "graph", f"{type(error).__name__}: {error}")
    return Trial(thing, model)


class _Runs:
    """A program after what techniques require, each made once, with the work it does."""

    def __init__(self, program: Program):
        self._plain = program
        self._known: dict[tuple[str, ...], Program | MansardError] = {}
        self._work: dict[int, WorkDone] = {}

    def after(self, first: tuple[Pass, ...]) -> Program:
        """Return the program after some passes.

        Raises:
            MansardError: one of them does not apply.
        """
        from mansard.passes.pipeline import run

        key = tuple(map(str, first))
        if key not in self._known:
            try:
                self._known[key] = run(self._plain, first)[0] if first else self._plain
            except MansardError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, MansardError):
            raise found
        return found

    def work(self, program: Program) -> WorkDone:
        """Return the arithmetic of a program that ``after`` returned."""
        from mansard.plugins.laws import work

        if id(program) not in self._work:
            self._work[id(program)] = work(program)
        return self._work[id(program)]


def _keeps_laws(technique: Subject, runs: _Runs) -> None:
    """Run a technique on one model: identity, a valid graph, conservation, text form.

    Raises:
        BrokenRuleError: a rule.
        NothingToDoError: it found nothing to change.
        MansardError: it does not apply.
    """
    from mansard.plugins.laws import reads_back, removed, work

    shown, same = technique.shown, technique.same
    program = runs.after(technique.first)
    if same is not None and same.run(program).program is not program:
        raise BrokenRuleError("identity", f"{same} changes it")
    done = shown.run(program)
    if done.program is program:
        raise NothingToDoError(_because(done))
    after = done.program.verified()
    try:
        left = work(after)
    except UnknownNameError as error:
        raise BrokenRuleError(
            "graph", f"its schedule and graphs differ: {error.message}"
        ) from error
    if not shown.removes and (gone := removed(runs.work(program), left)):
        units = ", ".join(f"{n:.3g} {unit}" for unit, n in gone.items())
        raise BrokenRuleError("conservation", f"{units} FLOP are gone")
    if wrong := reads_back(after):
        raise BrokenRuleError("text form", wrong)


def _because(done: Outcome) -> str:
    """Return why a technique changed nothing: its own note.

    Raises:
        BrokenRuleError: it has none.
    """
    said = "; ".join(note.message for note in done.notes)
    if not said:
        raise BrokenRuleError("refusal", "it changes nothing and does not say so")
    return said


def _answers(text: str, program: Program) -> None:
    """Ask a backend about one model: numbers that can be, and the work that is there.

    Raises:
        BrokenRuleError: a rule.
        MansardError: it does not answer for this model.
    """
    from mansard.backends import chips
    from mansard.backends.cluster import Cluster
    from mansard.plugins.laws import CHIP, SLACK, SMALL
    from mansard.query.backends import read_backend

    on = Cluster(chips.load(CHIP), 1)
    answer = read_backend(text)(program, on, SMALL, ())
    bound = read_backend(None)(program, on, SMALL, ())
    if bad := next((name for name, n in _numbers(answer) if not 0 <= n < float("inf")), ""):
        raise BrokenRuleError("numbers", f"{bad} is negative, infinite or no number")
    for name, phase in bound.phases.items():
        told = answer.phases.get(name)
        if told is None:
            raise BrokenRuleError("phases", f"{name} is not answered")
        if abs(_flops(told) - _flops(phase)) > SLACK * _flops(phase):
            raise BrokenRuleError(
                "work", f"{name} has {_flops(told):.6g} FLOP, not {_flops(phase):.6g}"
            )
        if _flops(phase) and not told.time_s > 0:
            raise BrokenRuleError("numbers", f"{name} takes no time")


def _flops(phase: Phase) -> float:
    return float(phase.flops) * float(phase.steps)


def _numbers(answer: Any) -> Iterator[tuple[str, float]]:
    """Yield what an answer says by name; what is unknown is left out."""
    yield from ((name, float(n)) for name, n in answer.figures.items())
    for name, value in (*vars(answer.metrics).items(), *vars(answer.memory).items()):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)
    for phase in answer.phases.values():
        yield f"{phase.name} time_s", float(phase.time_s)
        yield from ((f"{phase.name} {row.name} time_s", float(row.time_s)) for row in phase.ops)

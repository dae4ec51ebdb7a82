"""Questions whose devices or whose technique's option is one value after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from mansard.core.errors import MansardError
from mansard.query.solving.question import Question
from mansard.query.solving.unknowns import DEVICES, Unknown, bits
from mansard.query.techniques import known_passes, read_techniques


def ordered(unknown: Unknown) -> bool:
    """Say whether greater and smaller mean something for its values."""
    if unknown.kind != "option":
        return True
    try:
        for value in unknown.values:
            rank(value)
    except MansardError:
        return False
    return True


def rank(value: Any) -> float:
    """Return what values of an option are ordered by: numbers, or bits of a format."""
    try:
        return float(value)
    except ValueError:
        return bits(str(value))


def candidates(question: Question, unknown: Unknown) -> Iterator[tuple[Any, Question]]:
    """Yield each value of an option, or number of devices, with its question."""
    for value in unknown.values:
        if unknown.kind == DEVICES:
            name = str(question.study.on).partition(":")[0]
            yield (
                value,
                question.changed(on=f"{name}:{value}", techniques=_respread(question, value)),
            )
        else:
            yield value, question.changed(techniques=_with_option(question, unknown.key, value))


def _respread(question: Question, devices: int) -> tuple[Any, ...]:
    """Let a plain ``parallel{tp=N}`` follow the devices; one device needs none."""
    passes = read_techniques(question.study.techniques)
    follows = (f"parallel{{tp={devices}}}",) if devices > 1 else ()
    return tuple(q for p in passes for q in (follows if _is_plain_tp(p) else (p,)))


def _is_plain_tp(technique: Any) -> bool:
    if technique.name != "parallel":
        return False
    return all(getattr(technique, f.name) == f.default for f in fields(technique) if f.name != "tp")


def _with_option(question: Question, key: str, value: Any) -> tuple[Any, ...]:
    from mansard.passes.options import options, written
    from mansard.passes.pipeline import parse

    technique, _, option = key.partition(".")
    passes = read_techniques(question.study.techniques)
    there = [k for k, p in enumerate(passes) if p.name == technique]
    known = known_passes()
    unit = options(known[technique])[option].metadata.get("unit", "")
    text = f"{technique}{{{option}={written(value, unit)}}}"
    if not there:
        return (*passes, text)
    made = parse(text, known)[0]
    name = options(type(made))[option].name
    changed = replace(passes[there[0]], **{name: getattr(made, name)})
    return tuple(changed if k == there[0] else p for k, p in enumerate(passes))

"""``plugins check``: whether what a distribution provides is described, and keeps the laws."""

from __future__ import annotations

import inspect
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from mansard.core.errors import MansardError, unknown_name
from mansard.core.records import dataclass
from mansard.query import trials
from mansard.query.trials import Trial

if TYPE_CHECKING:
    from mansard.passes.technique import Pass


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Args:
        thing: kind and name of what it is about: ``technique my-window``.
        what: the rule: metadata, docs, identity, conservation, text form, …
        problem: what is wrong; empty where it holds.
        said: what was seen, where it holds.
    """

    thing: str
    what: str
    problem: str = ""
    said: str = ""


def check(
    name: str, limit_s: float = 60.0, most: int | None = None, jobs: int = 1
) -> tuple[Finding, ...]:
    """Check everything a distribution provides.

    Args:
        name: of the distribution, or of its plugin; ``mansard`` is the bundled ones.
        limit_s: after this long nothing is tried on another model.
        most: how many bundled models techniques and backends are tried on at most.
        jobs: processes that try them.

    Raises:
        UnknownNameError: nothing of that name is installed.
        PluginError: it cannot be loaded.
    """
    from mansard.plugins import registry
    from mansard.plugins.loading import registry as loaded

    owners = loaded().owners
    owner = owners.get(name, name)
    if owner not in owners.values():
        raise unknown_name("installed plugin", name, [*owners, *owners.values()])
    found = [*_metadata(owner)]
    tried = _by_thing(tried_on(owner, limit_s, most, jobs))
    for technique, provided in registry.passes().items():
        if provided.owner == owner:
            thing = f"technique {technique}"
            found += _technique(technique, provided.thing, tried.get(thing, []))
    for kind, op in registry.ops().items():
        if op.owner == owner:
            found += _described(f"op {kind}", op.thing)
    for chip, text in registry.hardware().items():
        if text.owner == owner:
            found += _chip(chip)
    for model, config in registry.models().items():
        if config.owner == owner and config.thing:
            found += _model(model)
    for each, frontend in registry.frontends().items():
        if frontend.owner == owner:
            found += _described(f"frontend {each}", type(frontend.thing))
    for each, backend in registry.backends().items():
        if backend.owner == owner:
            thing = f"backend {each}"
            found += _described(thing, type(backend.thing))
            found += _backend(thing, tried.get(thing, []))
    return tuple(found)


def tried_on(
    owner: str, limit_s: float = 60.0, most: int | None = None, jobs: int = 1
) -> Iterator[Trial]:
    """Try the techniques and backends of a distribution on bundled models.

    Args:
        owner: the distribution.
        limit_s: no further model is begun after this long.
        most: how many models at most.
        jobs: processes that share the models.
    """
    until = time.monotonic() + limit_s
    names = trials.models(most)
    if not trials.something(owner):
        return
    if jobs > 1:
        from concurrent.futures import ProcessPoolExecutor, as_completed

        with ProcessPoolExecutor(jobs) as pool:
            asked = [pool.submit(_in_time, name, owner, until) for name in names]
            for done in as_completed(asked):
                yield from done.result()
        return
    for at, name in enumerate(names):
        yield from _in_time(name, owner, until if at else math.inf)


def _in_time(model: str, owner: str, until: float) -> tuple[Trial, ...]:
    """Try what a distribution adds on a model, unless it is too late."""
    return trials.on_model(model, owner) if time.monotonic() < until else ()


def _by_thing(tried: Iterable[Trial]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in tried:
        found.setdefault(trial.thing, []).append(trial)
    return found


def _metadata(owner: str) -> Iterator[Finding]:
    try:
        about = metadata.metadata(owner)
    except metadata.PackageNotFoundError:
        yield Finding(owner, "metadata", "the distribution is not installed, only its modules are")
        return
    needs = metadata.requires(owner) or []
    bad = []
    if not about.json.get("summary"):
        bad.append("no description")
    if owner != "mansard" and not any(re.match(r"mansard\b(?!-)", n) for n in needs):
        bad.append("it does not depend on mansard")
    yield Finding(owner, "metadata", "; ".join(bad), f"version {about['Version']}")


def _described(thing: str, cls: type) -> Iterator[Finding]:
    text = inspect.getdoc(cls) if "__doc__" in vars(cls) and cls.__doc__ else None
    generated = bool(text and text.startswith(f"{cls.__name__}("))  # a dataclass writes one itself
    missing = "no docstring" if not text or generated else ""
    yield Finding(thing, "docs", missing, "described")


def _technique(name: str, cls: type[Pass], tried: Sequence[Trial]) -> Iterator[Finding]:
    thing = f"technique {name}"
    yield from _described(thing, cls)
    missing = [w for w in ("source", "assumes") if not getattr(cls, w)]
    yield Finding(thing, "source", f"no {' and no '.join(missing)}" if missing else "", cls.source)
    try:
        as_tried = trials.subject(name, cls)
    except MansardError as error:
        yield Finding(thing, "options", f"its example or identity: {error.message}")
        return
    shown, same = as_tried.shown, as_tried.same
    held = {
        "graph": "valid",
        "identity": str(same) if same is not None else "none stated",
        "conservation": f"leaves out {shown.removes}" if shown.removes else "no FLOP is gone",
        "text form": "reads back",
    }
    yield from _tried(thing, str(shown), tried, held)


def _backend(thing: str, tried: Sequence[Trial]) -> Iterator[Finding]:
    held = {"phases": "each is answered", "work": "the program's", "numbers": "finite, not less"
            " than 0"}  # fmt: skip
    yield from _tried(thing, thing, tried, held)


def _tried(
    thing: str, shown: str, tried: Sequence[Trial], held: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield where a thing applies, and each rule with the first model that breaks it."""
    broken: dict[str, str] = {}
    for trial in tried:
        if trial.rule:
            broken.setdefault(trial.rule, f"{shown} on {trial.model}: {trial.said}")
    applied = sum(bool(t.rule) or t.held for t in tried)
    none = f"{shown} applies to none of {len(tried)} models" if tried and not applied else ""
    elsewhere = Counter(_reason(t.said) for t in tried if t.said and not t.rule)
    said = f"to {applied} of {len(tried)} models"
    if elsewhere:
        said += "; " + "; ".join(f"{n}: {why}" for why, n in elsewhere.most_common(3))
    yield Finding(thing, "applies", none, said)
    for what, words in {**dict.fromkeys(broken, ""), **held}.items():
        yield Finding(thing, what, broken.get(what, ""), words)


def _reason(said: str) -> str:
    """Return why something does not apply, in few words: without its own name and the sizes."""
    return re.sub(r"\d+", "N", said.partition(": ")[2] or said)


def _chip(name: str) -> Iterator[Finding]:
    from mansard.query.named import chip

    try:
        made = chip(name)
    except MansardError as error:
        yield Finding(f"chip {name}", "file", error.message)
        return
    wrong = "" if made.id == name else f"its id is {made.id!r}"
    yield Finding(f"chip {name}", "file", wrong, "read")
    unsourced = "" if made.sources else "no [sources]: say where its numbers come from"
    yield Finding(f"chip {name}", "sources", unsourced, f"{len(made.sources)} sections")


def _model(name: str) -> Iterator[Finding]:
    from mansard.plugins.laws import reads_back
    from mansard.query.source import load

    try:
        program = load(name)
    except MansardError as error:
        yield Finding(f"model {name}", "config", error.message)
        return
    notes: Mapping[str, str] = {n.code: n.message for n in program.origin.notes}
    yield Finding(f"model {name}", "config", notes.get("M001", ""), "every key is read")
    yield Finding(f"model {name}", "text form", reads_back(program), "reads back")

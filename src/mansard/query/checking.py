"""``plugins check``: whether what a distribution provides is described, and keeps the laws."""

from __future__ import annotations

import inspect
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from mansard.core.errors import MansardError, unknown_name
from mansard.core.records import dataclass
from mansard.plugins.answers import families
from mansard.plugins.installed import normalized
from mansard.query import trials
from mansard.query.plugins import Installed, installed
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
        PluginError: one cannot be loaded, and is not to be left out.
    """
    from mansard.frontends.hf.card_file import adding
    from mansard.plugins import registry

    known = installed()
    owner = _owner(name, known)
    found = [f for p in known if p.name == owner for f in _loaded(p)]
    if any(plugin.module for plugin in known if plugin.name == owner):
        found = [*_metadata(owner), *found]
    tried = _by_thing(tried_on(owner, limit_s, most, jobs))
    found += _in_all(owner, tried, limit_s, most)
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
    with adding({card: text.thing for card, text in registry.cards().items()}):
        for text in registry.cards().values():
            if text.owner == owner:
                found += [f for family in families(text.thing) for f in _family(family)]
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
    from mansard.plugins.loading import skipping_broken

    with skipping_broken():  # a process of its own is told nothing of what this one leaves out
        return trials.on_model(model, owner) if time.monotonic() < until else ()


def _in_all(
    owner: str, tried: Mapping[str, Sequence[Trial]], limit_s: float, most: int | None
) -> Iterator[Finding]:
    """Say on how many models things were tried, so that a check that ends early is seen to."""
    if tried:
        models = len(trials.models(most))
        done = min(map(len, tried.values()))
        said = f"{done} of {models} tried"
        if done < models:
            said += f", then the {limit_s:g} s were over: --limit SECONDS gives more, --jobs helps"
        yield Finding(owner, "models", "", said)


def _by_thing(tried: Iterable[Trial]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in tried:
        found.setdefault(trial.thing, []).append(trial)
    return found


def _owner(name: str, known: Sequence[Installed]) -> str:
    """Return the distribution that is called so, or has a plugin that is.

    Raises:
        UnknownNameError: there is none.
    """
    same: tuple[Callable[[Installed], bool], ...] = (
        lambda plugin: name == plugin.name,
        lambda plugin: name == plugin.entry,
        lambda plugin: normalized(name) == normalized(plugin.name),
    )
    for is_meant in same:
        for plugin in filter(is_meant, known):
            return plugin.name
    names = dict.fromkeys(n for plugin in known for n in (plugin.entry, plugin.name))
    raise unknown_name("installed plugin", name, names)


def _loaded(plugin: Installed) -> Iterator[Finding]:
    """Say whether a plugin can be imported and its hooks asked."""
    said = plugin.adds or ("nothing of it can be used" if plugin.without else "provides nothing")
    yield Finding(f"plugin {plugin.entry}", "loads", plugin.problem, said)
    read = {name for names in plugin.provides.values() for name in names}
    for left in plugin.without:
        if left.name not in read:  # the others have rows of their own
            problem = f"{left.problem}; rename it, or uninstall {plugin.name}"
            yield Finding(f"{left.kind} {left.name}", "name", problem)


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


def _family(name: str) -> Iterator[Finding]:
    from mansard.query.family_list import family_facts

    try:
        family_facts(name)
    except MansardError as error:
        yield Finding(f"family {name}", "card", error.message)
    else:
        yield Finding(f"family {name}", "card", "", "read")


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

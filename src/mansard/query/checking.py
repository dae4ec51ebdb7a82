"""``plugins check``: whether what a distribution provides is described, and keeps the laws."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from mansard.core.errors import MansardError, VerifyError, unknown_name
from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.ir.program import Program
    from mansard.passes.technique import Pass
    from mansard.plugins.laws import WorkDone

FIRST = (
    "gpt2", "llama-3.1-8b", "mixtral-8x7b-v0.1", "gemma-2-9b", "deepseek-v2-lite", "qwen3-8b",
    "bloom-560m", "mamba-130m", "jamba-1.5-mini", "rwkv-4-7b", "gpt-oss-20b", "falcon-7b",
)  # fmt: skip
"""Bundled models that differ most, tried first, so that a short check is a wide one."""


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


def check(name: str, limit_s: float = 60.0, models: int | None = None) -> tuple[Finding, ...]:
    """Check everything a distribution provides.

    Args:
        name: of the distribution, or of its plugin; ``mansard`` is the bundled ones.
        limit_s: after this long no technique is tried on another model.
        models: how many bundled models each technique is tried on at most.

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
    programs = _Programs(time.monotonic() + limit_s, models)
    for technique, provided in registry.passes().items():
        if provided.owner == owner:
            found += _technique(technique, provided.thing, programs)
    for kind, op in registry.ops().items():
        if op.owner == owner:
            found += _described(f"op {kind}", op.thing)
    for chip, text in registry.hardware().items():
        if text.owner == owner:
            found += _chip(chip)
    for model, config in registry.models().items():
        if config.owner == owner and config.thing:
            found += _model(model)
    things = (("frontend", registry.frontends()), ("backend", registry.backends()))
    for noun, objects in things:
        for each, thing in objects.items():
            if thing.owner == owner:
                found += _described(f"{noun} {each}", type(thing.thing))
    return tuple(found)


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


class _Programs:
    """Bundled models, loaded once, in the order in which they are tried."""

    def __init__(self, until: float, models: int | None):
        from mansard.frontends.hf import bundled

        names = bundled.names()
        rest = [n for n in names if n not in FIRST]
        self.names: Sequence[str] = [*(n for n in FIRST if n in names), *rest][:models]
        self._until, self._known = until, dict[str, tuple[Any, Any]]()

    def __iter__(self) -> Iterator[tuple[str, Program, WorkDone]]:
        from mansard.plugins.laws import work
        from mansard.query.source import load

        for name in self.names:
            if name not in self._known:
                if time.monotonic() > self._until and self._known:
                    return
                program = load(name)
                self._known[name] = program, work(program)
            yield name, *self._known[name]


def _technique(name: str, cls: type[Pass], programs: Iterable[Any]) -> Iterator[Finding]:
    from mansard.passes.pipeline import parse
    from mansard.query.techniques import with_programs

    thing = f"technique {name}"
    yield from _described(thing, cls)
    missing = [w for w in ("source", "assumes") if not getattr(cls, w)]
    yield Finding(thing, "source", f"no {' and no '.join(missing)}" if missing else "", cls.source)
    known = {name: cls}
    try:
        text = f"{name}{{{cls.example}}}" if cls.example else name
        shown = with_programs(parse(text, known)[0])
        same = parse(f"{name}{{{cls.identity}}}", known)[0] if cls.identity else None
    except MansardError as error:
        yield Finding(thing, "options", f"its example or identity: {error.message}")
        return
    yield from _laws(thing, shown, same, _prepared(cls.requires, programs))


def _prepared(requires: Sequence[str], programs: Iterable[Any]) -> Iterator[Any]:
    """Yield the models after what a technique works on, each with its own example."""
    from mansard.passes.pipeline import parse, run
    from mansard.plugins.laws import work
    from mansard.query.techniques import known_passes

    if not requires:
        yield from programs
        return
    known = known_passes()
    texts = (f"{n}{{{e}}}" if (e := known[n].example) else n for n in requires)
    first = parse(",".join(texts), known)
    for name, program, _ in programs:
        try:
            made = run(program, first)[0]
        except MansardError:
            continue
        if made is not program:
            yield name, made, work(made)


def _laws(thing: str, shown: Pass, same: Pass | None, programs: Iterable[Any]) -> Iterator[Finding]:
    """Run a technique on every model: identity, conservation, text form."""
    from mansard.plugins.laws import reads_back, removed, work

    tried = applied = 0
    problems: dict[str, str] = {}
    for model, program, before in programs:
        tried += 1
        try:
            if same is not None and same.run(program).program is not program:
                problems.setdefault("identity", f"{same} changes {model}")
            after = shown.run(program).program
            if after is program:
                continue
            after.verified()
        except VerifyError as error:
            problems.setdefault("graph", f"{shown} on {model}: {error.message}")
            continue
        except MansardError:
            continue  # it says that it does not apply
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            problems.setdefault("graph", f"{shown} on {model}: {said}")
            continue
        applied += 1
        if not shown.removes and (gone := removed(before, work(after))):
            units = ", ".join(f"{n:.3g} {unit}" for unit, n in gone.items())
            problems.setdefault("conservation", f"{shown} removes {units} FLOP of {model}")
        if wrong := reads_back(after):
            problems.setdefault("text form", f"{shown} on {model}: {wrong}")
    if tried and not applied:
        problems.setdefault("graph", f"{shown} applies to none of {tried} models")
    on = f"{applied} of {tried} models"
    held = {
        "graph": f"valid on {on}",
        "identity": str(same) if same is not None else "none stated",
        "conservation": f"leaves out {shown.removes}" if shown.removes else f"no FLOP gone on {on}",
        "text form": f"reads back on {on}",
    }
    for what, words in held.items():
        yield Finding(thing, what, problems.get(what, ""), words)


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

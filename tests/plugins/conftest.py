"""Plugins that are installed for one test: an entry point without a distribution on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest

from mansard.core.hooks import hookimpl
from mansard.plugins import loading

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install ``module`` under ``name``, as distribution ``dist`` (``name-dist`` unless given)."""
    entries: list[metadata.EntryPoint] = []
    monkeypatch.delenv(loading.LIMIT, raising=False)
    monkeypatch.setattr(
        metadata, "entry_points", lambda group: [e for e in entries if e.group == group]
    )
    loading._registry.cache_clear()

    def once(name: str, module: str | dict[str, object], dist: str = "") -> None:
        if isinstance(module, dict):
            made = ModuleType(f"plugin_{name}_{len(entries)}")
            for hook, answer in module.items():
                setattr(made, hook, _hook(hook, answer))
            monkeypatch.setitem(sys.modules, made.__name__, made)
            module = made.__name__
        entry = metadata.EntryPoint(name, module, "mansard")
        vars(entry)["dist"] = SimpleNamespace(name=dist or f"{name}-dist", version="1.2.3")
        entries.append(entry)
        loading._registry.cache_clear()

    yield once
    loading._registry.cache_clear()


def _hook(name: str, answer: object) -> object:
    def call() -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    call.__name__ = name
    return hookimpl(call)

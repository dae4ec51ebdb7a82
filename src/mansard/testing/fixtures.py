"""Pytest fixtures: a plugin that is installed for one test.

In the top ``conftest.py``: ``pytest_plugins = ["mansard.testing.fixtures"]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest

from mansard.core.hooks import hookimpl
from mansard.plugins import installed, loading

Install = Callable[..., None]


@pytest.fixture
def install_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return ``install(name, module, dist)``, which lasts as long as the test.

    ``module`` is the name of a module, a module, or a mapping of hooks to what they answer (an
    exception is raised); ``dist`` names the distribution, ``name-dist`` unless given. Plugins that
    are installed for real are not there meanwhile, nor is ``MANSARD_PLUGINS``.
    """
    entries: list[metadata.EntryPoint] = []
    monkeypatch.delenv(loading.LIMIT, raising=False)
    monkeypatch.setattr(
        metadata, "entry_points", lambda group: [e for e in entries if e.group == group]
    )
    monkeypatch.setattr(installed, "may_have", lambda group: True)
    monkeypatch.setattr(installed, "contradictions", lambda group: [])
    loading.forget()

    def install(name: str, module: str | ModuleType | Mapping[str, object], dist: str = "") -> None:
        if isinstance(module, Mapping):
            module = _module(f"plugin_{name}_{len(entries)}", module)
        if isinstance(module, ModuleType):
            monkeypatch.setitem(sys.modules, module.__name__, module)
            module = module.__name__
        entry = metadata.EntryPoint(name, module, "mansard")
        vars(entry)["dist"] = SimpleNamespace(name=dist or f"{name}-dist", version="1.2.3")
        entries.append(entry)
        loading.forget()

    yield install
    loading.forget()


def _module(name: str, hooks: Mapping[str, object]) -> ModuleType:
    made = ModuleType(name)
    for hook, answer in hooks.items():
        setattr(made, hook, _hook(hook, answer) if hook.islower() else answer)
    return made


def _hook(name: str, answer: object) -> object:
    def call() -> object:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    call.__name__ = name
    return hookimpl(call)

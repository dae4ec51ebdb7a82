"""A new plugin's distribution, from the templates mansard ships: it installs, tests and runs."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from string import Template

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of plugin.

    Args:
        summary: what the example adds, for its description.
        show: the command that shows it.
        use: the command that computes with it.
        data: files of the module beside its code.
    """

    summary: str
    show: str
    use: str
    data: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "technique": Kind("Attention over a window, as a technique for mansard",
                      "mansard techniques show {name}",
                      "mansard analyze llama-3.1-8b --on h100-sxm -t {name}:window=64"),
    "hardware": Kind("A chip for mansard", "mansard hardware show {name}",
                     "mansard analyze llama-3.1-8b --on {name}", ("chip.toml",)),
    "backend": Kind("The roofline with a time for each launch, as a backend for mansard",
                    "mansard backends show {name}",
                    "mansard analyze gpt2 --on h100-sxm --backend {name}"),
    "frontend": Kind("Decoders given by their sizes, as a frontend for mansard",
                     "mansard plugins list",
                     "mansard analyze FILE.sizes --on h100-sxm"),
    "model": Kind("A model for mansard", "mansard models show {name}",
                  "mansard analyze {name} --on h100-sxm"),
    "op": Kind("Hadamard rotations, as an op and a technique for mansard",
               "mansard techniques show {name}",
               "mansard analyze llama-3.1-8b --on h100-sxm -t {name}"),
}  # fmt: skip
"""What ``--kind`` may say."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def scaffold(name: str, kind: str = "technique", folder: Path = Path()) -> tuple[Path, ...]:
    """Write a distribution and return its files, the folder first.

    Args:
        name: of the distribution, of its plugin, and of what it adds.
        kind: one of ``KINDS``.
        folder: where its own is made.

    Raises:
        SpecError: a name that cannot be one, or its folder exists.
        UnknownNameError: no such kind.
    """
    if kind not in KINDS:
        raise unknown_name("kind of plugin", kind, KINDS)
    module = _module(name)
    _refuse_taken(name, kind)
    root = folder / name
    if root.exists():
        raise SpecError(f"{root} exists already", hint="take another name, or remove it")
    words = _words(name, module, kind)
    texts = {
        "pyproject.toml": _filled("common/pyproject.toml.in", words),
        "README.md": _filled("common/README.md.in", words),
        f"src/{module}/__init__.py": _filled(f"{kind}/__init__.py.in", words),
        f"tests/test_{module}.py": _filled(f"{kind}/test.py.in", words),
    }
    for data in KINDS[kind].data:
        texts[f"src/{module}/{data}"] = _filled(f"{kind}/{data}.in", words)
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return (root, *(root / path for path in texts))


def _module(name: str) -> str:
    """Return the module of a distribution."""
    if not _NAME.fullmatch(name) or len(name) > 60:
        raise SpecError(
            f"{name[:80]!r} cannot be the name of a plugin",
            hint="write small letters, digits and single hyphens, a letter first: my-window",
        )
    module = name.replace("-", "_")
    taken = {*sys.stdlib_module_names, "mansard", "pytest", "sympy", "numpy", "click"}
    if keyword.iskeyword(module) or module in taken:
        raise SpecError(
            f"a module cannot be called {module!r}: Python has one", hint=f"call it my-{name}"
        )
    return module


def _words(name: str, module: str, kind: str) -> dict[str, str]:
    """Return what templates write for their placeholders."""
    cls = "".join(part.capitalize() for part in name.split("-"))
    return {
        "name": name,
        "module": module,
        "cls": cls,
        "op": f"{cls}Op",
        "kind": f"{module}_op",
        "title": name.replace("-", " ").title(),
        "summary": KINDS[kind].summary,
        "show": KINDS[kind].show.format(name=name),
        "use": KINDS[kind].use.format(name=name),
        "mansard": metadata.version("mansard"),
    }


def _filled(template: str, words: dict[str, str]) -> str:
    text = files("mansard.plugins").joinpath("templates", *template.split("/")).read_text("utf-8")
    return Template(text).substitute(words)


def _refuse_taken(name: str, kind: str) -> None:
    """Refuse the name of something mansard ships: two things of one name are an error.

    Raises:
        SpecError: it is one.
    """
    from mansard.plugins import builtin

    shipped: dict[str, Callable[[], Iterable[str]]] = {
        "technique": builtin.technique_names,
        "op": builtin.technique_names,
        "hardware": builtin.mansard_hardware,
        "backend": lambda: (backend.name for backend in builtin.mansard_backends()),
        "frontend": lambda: (frontend.name for frontend in builtin.mansard_frontends()),
        "model": builtin.mansard_models,
    }
    if name in shipped[kind]():
        noun = {"op": "technique", "hardware": "chip"}.get(kind, kind)
        raise SpecError(
            f"a {noun} cannot be called {name!r}: mansard has one", hint=f"call it my-{name}"
        )

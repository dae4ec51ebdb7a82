"""Where settings are said: the command line, the environment, scenario, project and user files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError, nearest, shortened, unknown_name
from mansard.core.records import dataclass
from mansard.query.written import READERS

PREFIX = "MANSARD_"
ELSEWHERE = ("MANSARD_PLUGINS", "MANSARD_CACHE")
"""Variables that say something about the program, not about a question."""
PROJECT = "mansard.toml"
MAX_BYTES = 1_000_000
"""Longer than any scenario; a larger file is another one."""


@dataclass(frozen=True)
class Layer:
    """What one place says.

    Args:
        origin: in words.
        values: name → value as it was written.
        folder: relative paths start here.
    """

    origin: str
    values: Mapping[str, Any]
    folder: Path = Path()


DEFAULTS: dict[str, Any] = {
    "batch": 1, "prompt": 2048, "output": 128, "phase": "both", "level": "O1",
    "estimate": "ideal", "techniques": (),
}  # fmt: skip


def layers(
    given: Mapping[str, Any], scenario: Path | None, env: Mapping[str, str], folder: Path
) -> tuple[Layer, ...]:
    """Return what every place says, the strongest first.

    Args:
        given: on the command line.
        scenario: the file that was named as the model.
        env: the process's environment.
        folder: where the project's file is looked for, then above it.

    Raises:
        SpecError: a file that is no scenario.
    """
    found = [Layer("command line", {k: v for k, v in given.items() if v not in (None, (), {})})]
    names = {variable(name): name for name in READERS if name != "set"}
    found += [
        Layer(f"environment {key}", {names[key]: value})
        for key, value in sorted(env.items())
        if key in names and value.strip()
    ]
    if scenario is not None:
        found.append(read_file(scenario, "scenario"))
    project = _above(folder)
    found += [read_file(path, "project") for path in project]
    found += [read_file(path, "user") for path in files_of(env, folder)[len(project) :]]
    return (*found, Layer("default", DEFAULTS))


def strangers(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each variable that looks like mansard's and that nothing reads."""
    known = {variable(name) for name in READERS if name != "set"} | set(ELSEWHERE)
    found = []
    for key in sorted(k for k in env if k.startswith(PREFIX) and k not in known):
        near = nearest(key.removeprefix(PREFIX), {k.removeprefix(PREFIX) for k in known}, 1)
        meant = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        found.append(f"nothing reads the variable {shortened(key)}{meant}")
    return tuple(found)


def variable(name: str) -> str:
    """Return the variable of the environment that says a setting."""
    return f"{PREFIX}{name.upper()}"


def user_file(env: Mapping[str, str]) -> Path:
    """Return where the user's own settings lie."""
    root = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".config")
    return Path(root) / "mansard" / "config.toml"


def files_of(env: Mapping[str, str], folder: Path) -> tuple[Path, ...]:
    """Return the files that say settings of every question: the project's, the user's."""
    return (*_above(folder), *(path for path in (user_file(env),) if path.is_file()))


def _above(folder: Path) -> list[Path]:
    """Return the nearest project file, none when there is none."""
    here = folder.resolve()
    return [p / PROJECT for p in (here, *here.parents) if (p / PROJECT).is_file()][:1]


def read_file(path: Path, what: str = "scenario") -> Layer:
    """Read a file of settings.

    Raises:
        SpecError: it cannot be read, is no TOML, or says what is no setting.
    """
    where = f"{what} {path}"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"{where}: {path.stat().st_size:,} bytes",
                            hint="a scenario is a short TOML file")  # fmt: skip
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)[:200]
        raise SpecError(f"cannot read {where}: {reason}",
                        hint='a scenario is TOML: model = "llama-3.1-8b"') from error  # fmt: skip
    for name in values:
        if name not in READERS:
            known = unknown_name("setting", name, READERS)
            raise SpecError(f"{where}: {known.message}", hint=known.hint)
    return Layer(where, values, path.parent)

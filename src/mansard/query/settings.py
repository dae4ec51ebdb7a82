"""What a question is made of, and where each part may be said.

From the strongest: the command line, the environment (``MANSARD_BATCH``), the scenario file, the
project's ``mansard.toml``, the user's own file, the defaults. A stronger place replaces what a
weaker one says; ``set`` alone is merged key by key.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mansard.core import units
from mansard.core.errors import SpecError, unknown_name
from mansard.query.lengths import is_spread

PROJECT = "mansard.toml"
MAX_BYTES = 1_000_000
"""Longer than any scenario; a larger file is another one."""


@dataclass(frozen=True)
class Setting:
    """A part of a question, as it was read.

    Args:
        name: of the keyword of ``analyze``, or ``model``.
        value: as ``analyze`` takes it.
        origin: where it was said, in words.
    """

    name: str
    value: Any
    origin: str


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


def _tokens(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(units.parse(str(value), "tokens", bare=True))


def _length(value: object) -> int | str:
    """Read a number of tokens, or keep the text of a distribution of them."""
    return value.strip() if isinstance(value, str) and is_spread(value) else _tokens(value)


def _dollars(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < 0:
            raise SpecError(f"a price cannot be negative: {value!r}", hint="write 2.50")
        return float(value)
    return float(units.parse(str(value), "dollars/h", bare=True))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"text is wanted, got {value!r}", hint='write it in quotes: "…"')
    return value.strip()


def _techniques(value: object) -> tuple[str, ...]:
    """Read pipeline text, a list of it, or tables ``{name = "quantize", weights = "int4"}``."""
    many = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_technique(each) for each in many)


def _technique(value: object) -> str:
    if not isinstance(value, Mapping):
        return _text(value)
    if "name" not in value:
        raise SpecError(
            "a technique has no name", hint='write {name = "quantize", weights = "int4"}'
        )
    options = " ".join(f"{k}={_written(v)}" for k, v in value.items() if k != "name")
    return f"{_text(value['name'])}{{{options}}}"


def _written(value: object) -> str:
    """Return an option's value as pipelines write it."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{' '.join(map(_written, value))}]"
        case str():
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{quoted}"' if any(c in value for c in ' ,{}[]=:"\\') or not value else value
        case int() | float():
            return str(value)
    raise SpecError(f"{value!r} is no value of an option", hint="a number, a text, true or false")


def _overrides(value: object) -> dict[str, str]:
    """Read ``{"model.num_hidden_layers" = 40}``, or the same as nested tables."""
    if not isinstance(value, Mapping):
        raise SpecError(f"set is a table, got {value!r}", hint="write [set] and KEY = VALUE lines")
    return dict(_flat(value, ""))


def _flat(table: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{at}.{key}" if at else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name, ("true" if value else "false") if isinstance(value, bool) else str(value)


READERS: dict[str, Callable[[object], Any]] = {
    "model": _text, "on": _text, "batch": _tokens, "prompt": _length, "output": _length,
    "context": _tokens, "phase": _text, "techniques": _techniques, "level": _text,
    "estimate": _text, "price": _dollars, "set": _overrides,
}  # fmt: skip
"""Setting → how its written value is read."""

DEFAULTS: dict[str, Any] = {
    "batch": 1, "prompt": 2048, "output": 128, "phase": "both", "level": "O1",
    "estimate": "ideal", "techniques": (),
}  # fmt: skip
SET = "set."
_PATHS = ("model", "on")
_LENGTHS = ("prompt", "output")


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
    names = {f"MANSARD_{name.upper()}": name for name in READERS if name != "set"}
    found += [
        Layer(f"environment {key}", {names[key]: value})
        for key, value in sorted(env.items())
        if key in names and value.strip()
    ]
    if scenario is not None:
        found.append(read_file(scenario, "scenario"))
    found += [read_file(path, "project") for path in _above(folder)]
    found += [read_file(path, "user") for path in (user_file(env),) if path.is_file()]
    return (*found, Layer("default", DEFAULTS))


def user_file(env: Mapping[str, str]) -> Path:
    """Return where the user's own settings lie."""
    root = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".config")
    return Path(root) / "mansard" / "config.toml"


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


def settle(found: Sequence[Layer]) -> dict[str, Setting]:
    """Return each setting from the strongest place that says it.

    A context in one place and a prompt or output in a weaker one exclude each other: the stronger
    place counts.

    Raises:
        SpecError: a value that is none of its setting; the message says where it stands.
    """
    settled: dict[str, Setting] = {}
    for layer in found:
        for name, written in layer.values.items():
            if name == "set":
                for key, value in _read(name, written, layer).items():
                    settled.setdefault(f"{SET}{key}", Setting(f"{SET}{key}", value, layer.origin))
            elif name not in settled and not _excluded(name, settled, layer):
                settled[name] = Setting(name, _read(name, written, layer), layer.origin)
    return settled


def _excluded(name: str, settled: Mapping[str, Setting], layer: Layer) -> bool:
    """Whether a stronger place asked for one step over a context, or for lengths, instead."""
    rivals = ("context",) if name in (*_LENGTHS, "phase") else _LENGTHS if name == "context" else ()
    return any(r in settled and settled[r].origin != layer.origin for r in rivals)


def _read(name: str, written: object, layer: Layer) -> Any:
    try:
        value = READERS[name](written)
    except SpecError as error:
        raise SpecError(f"{layer.origin}: {name}: {error.message}", hint=error.hint) from error
    if (
        name in (*_PATHS, *_LENGTHS)
        and isinstance(value, str)
        and layer.folder != Path()
        and (layer.folder / value).exists()
    ):
        return str(layer.folder / value)
    return value


def question(
    model: object = None,
    given: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> dict[str, Setting]:
    """Return every setting of a question.

    Args:
        model: what was named first: a model, or a scenario's file.
        given: what was said on the command line; None where nothing was.
        env: the environment; the process's own unless given.
        folder: where the project's file is looked for; the working folder unless given.
    """
    env = os.environ if env is None else env
    scenario = Path(str(model)) if is_scenario(model) else None
    said = dict(given or {})
    if scenario is None and model is not None:
        said["model"] = model
    return settle(layers(said, scenario, env, folder or Path.cwd()))


def from_file(path: Path, given: Mapping[str, Any]) -> dict[str, Setting]:
    """Return the settings of a scenario's file under those a call gives; nothing else counts."""
    said = {name: value for name, value in given.items() if value not in (None, (), {})}
    return settle((Layer("the call", said), read_file(path)))


def is_scenario(model: object) -> bool:
    """Whether a model's name is that of a scenario's file."""
    return isinstance(model, (str, Path)) and str(model).lower().endswith(".toml")


def keywords(settled: Mapping[str, Setting]) -> tuple[Any, dict[str, Any]]:
    """Return the model, and everything else as keywords of ``analyze``.

    Raises:
        SpecError: no model, or no hardware.
    """
    values = {n: setting.value for n, setting in settled.items() if not n.startswith(SET)}
    changed = {n.removeprefix(SET): s.value for n, s in settled.items() if n.startswith(SET)}
    values |= {"set": changed} if changed else {}
    for name, example in (("model", "llama-3.1-8b"), ("on", "--on h100-sxm")):
        if name not in values:
            raise SpecError(f"the question names no {'hardware' if name == 'on' else name}",
                            hint=f"add {example}, or write it in the scenario's file")  # fmt: skip
    if "prompt" in settled and settled["prompt"].origin == "default":
        del values["prompt"]  # it is shorter where a model reads no more
    if "context" in values:
        for name in (*_LENGTHS, "phase"):
            if name in settled and settled[name].origin == "default":
                values.pop(name, None)
    return values.pop("model"), values

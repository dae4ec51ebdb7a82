"""Find and read a ``config.json``: a file, a folder, the local Hub cache or a mapping.

Nothing is downloaded and no code from a model's folder is run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from mansard.core.errors import SpecError
from mansard.core.records import dataclass

MAX_BYTES = 64 * 2**20  # the largest published config.json is below 1 MB; weights are not
MAX_DEPTH = 16  # the deepest published one, of a model of models, has 6 levels
LONGEST_ID = 96  # huggingface_hub, validate_repo_id
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class RawConfig:
    """The JSON object of a config, and where it was found."""

    where: str
    values: Mapping[str, Any]


def read_config(source: str | Path | Mapping[str, Any]) -> RawConfig:
    """Read the config that ``source`` names.

    Args:
        source: a JSON file, a folder with a ``config.json``, a Hub id in the local cache, or the
            config itself.

    Raises:
        SpecError: nothing is there, or it is not one JSON object of reasonable size.
    """
    if isinstance(source, Mapping):
        return RawConfig("config", _from_mapping(source))
    path = _locate(source)
    return RawConfig(str(path), _beside(path, parse_config(_text(path), str(path))))


def _beside(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Add what NVIDIA's exporter writes next to a config that does not have it."""
    other = path.parent / "hf_quant_config.json"
    if path.name != "config.json" or "quantization_config" in values or not other.is_file():
        return values
    block = parse_config(_text(other), str(other))
    return {**values, "quantization_config": {"quant_method": "modelopt", **block}}


def parse_config(text: str, where: str) -> dict[str, Any]:
    """Parse JSON text into one object; refuse duplicate keys and NaN."""
    hint = "a config is one JSON object; compare it with the model's config.json on the Hub"
    if not text.strip():
        raise SpecError(f"{where}: the file is empty", hint=hint)
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_constant)
    except RecursionError as error:
        raise SpecError(f"{where}: the JSON is nested too deeply", hint=hint) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise SpecError(f"{where}: not valid JSON at {place}: {error.msg}", hint=hint) from error
    except ValueError as error:  # our own refusals, and integers of thousands of digits
        raise SpecError(f"{where}: {error}", hint=hint) from error
    if not isinstance(data, dict):
        raise SpecError(f"{where}: holds a JSON {_json_type(data)}, not an object", hint=hint)
    if _deeper(data, MAX_DEPTH):
        raise SpecError(f"{where}: nested more than {MAX_DEPTH} levels deep", hint=hint)
    return data


def _deeper(value: object, levels: int) -> bool:
    """Say whether objects and arrays lie in each other more than ``levels`` deep."""
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(part, levels - 1) for part in inside)


def hub_cache() -> Path:
    """Return the folder in which huggingface_hub keeps its downloads."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(variable):
            return Path(value).expanduser()
    if value := os.environ.get("HF_HOME"):
        return Path(value).expanduser() / "hub"
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "huggingface" / "hub"


def cached_config(hub_id: str) -> Path | None:
    """Return the cached ``config.json`` of a Hub id: what ``refs/main`` names, else the newest."""
    if len(hub_id) > LONGEST_ID or not _HUB_ID.fullmatch(hub_id):
        return None
    folder = hub_cache() / f"models--{hub_id.replace('/', '--')}"
    snapshots = folder / "snapshots"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    if re.fullmatch(r"[0-9a-fA-F]{7,64}", commit):
        named = snapshots / commit / "config.json"
        if named.is_file():
            return named
    found = [path for path in snapshots.glob("*/config.json") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _locate(source: str | Path) -> Path:
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            if (path / "config.json").is_file():
                return path / "config.json"
            raise SpecError(
                f"{path}: the folder holds no config.json", hint="name a folder or file with one"
            )
        if path.is_file():
            return path
        if path.exists():
            raise SpecError(f"{path}: not a regular file", hint="name a config.json")
    except (OSError, ValueError) as error:  # names too long, null bytes, no permission
        raise SpecError(
            f"{source!r}: cannot be looked up: {error}", hint="check the path"
        ) from error
    cached = cached_config(str(source))
    if cached is None:
        raise SpecError(
            f"{str(source)!r}: no such file, folder or model in the local Hugging Face cache",
            hint="check the path, or download the model's config.json first",
        )
    return cached


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SpecError(
                f"{path}: {size} bytes is no config (the limit is {MAX_BYTES})",
                hint="name the config.json, not the weights",
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path}: not UTF-8 text (byte {error.start})", hint="name a config.json"
        ) from error
    except OSError as error:
        raise SpecError(
            f"{path}: cannot be read: {error.strerror}", hint="check the permissions"
        ) from error


def _from_mapping(source: Mapping[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(dict(source))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(
            f"config: not representable as JSON: {error}", hint="pass plain values"
        ) from error
    return parse_config(text, "config")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r} appears twice")
        result[key] = value
    return result


def _constant(name: str) -> float:
    if name == "NaN":
        _refuse_nan()
    return float(name)  # Infinity is in real files: Mamba-2's time_step_limit


def _refuse_nan() -> NoReturn:
    raise ValueError("NaN is not a value a config may hold")


def _json_type(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")

"""Paths with dots through the objects of a config: ``attn_config.kv_n_heads``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mansard.core.errors import SpecError
from mansard.frontends.hf.keys import show


def has(values: Mapping[str, Any], path: str) -> bool:
    """Say whether the key of a path is there.

    >>> has({"a": {"b": None}}, "a.b"), has({"a": 1}, "a.b")
    (True, False)
    """
    head, _, rest = path.partition(".")
    if head not in values:
        return False
    return not rest or (isinstance(values[head], Mapping) and has(values[head], rest))


def at(values: Mapping[str, Any], path: str) -> Any:
    """Return the value of a path that is there."""
    head, _, rest = path.partition(".")
    return at(values[head], rest) if rest else values[head]


def is_stated(config: Mapping[str, Any], path: str, where: str) -> bool:
    """Say whether a config has the key of a path.

    Raises:
        SpecError: something on the way to it is no object.
    """
    head, dot, _ = path.partition(".")
    nest = config.get(head)
    if dot and nest is not None and not isinstance(nest, Mapping):
        raise SpecError(f"{where}: {head} is {show(nest)}", hint="write an object of its keys")
    return has(config, path)

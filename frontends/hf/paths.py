"""Paths with dots through the objects of a config, ``attn_config.kv_n_heads``, and its lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mansard.core.errors import SpecError
from mansard.frontends.hf.keys import show

LIST = "[]"
"""Ends a key that holds a list of objects, one a layer."""


def has(values: Mapping[str, Any], path: str) -> bool:
    """Say whether the key of a path is there; behind ``[]`` in every object of a list.

    >>> has({"a": {"b": None}}, "a.b"), has({"a": 1}, "a.b")
    (True, False)
    >>> has({"a": [{"b": 1}, {}]}, "a[].b")
    False
    """
    head, _, rest = path.partition(".")
    inner = values.get(head.removesuffix(LIST))
    if head.endswith(LIST):
        rows = inner if isinstance(inner, list) else []
        return bool(rows) and all(isinstance(row, Mapping) and has(row, rest) for row in rows)
    if head not in values:
        return False
    return not rest or (isinstance(inner, Mapping) and has(inner, rest))


def at(values: Mapping[str, Any], path: str) -> Any:
    """Return the value of a path that is there; behind ``[]`` those of a list's objects.

    >>> at({"a": [{"b": 1}, {"b": 2}]}, "a[].b")
    [1, 2]
    """
    head, _, rest = path.partition(".")
    if head.endswith(LIST):
        return [at(row, rest) for row in values[head.removesuffix(LIST)]]
    return at(values[head], rest) if rest else values[head]


def root(path: str) -> str:
    """Return the key of the config that a path begins with.

    >>> root("attn_config.kv_n_heads"), root("block_configs[].ffn.no_op")
    ('attn_config', 'block_configs')
    """
    return path.partition(".")[0].removesuffix(LIST)


def is_stated(config: Mapping[str, Any], path: str, where: str) -> bool:
    """Say whether a config has the key of a path.

    Raises:
        SpecError: something on the way to it is no object.
    """
    head, dot, rest = path.partition(".")
    nest = config.get(head.removesuffix(LIST))
    if head.endswith(LIST) and nest is not None and not has(config, path):
        said = f"{where}: {root(path)} is {show(nest)}"
        raise SpecError(said, hint=f"write a list of objects, one a layer, each with {rest}")
    if head.endswith(LIST):
        return nest is not None
    if dot and nest is not None and not isinstance(nest, Mapping):
        raise SpecError(f"{where}: {head} is {show(nest)}", hint="write an object of its keys")
    return has(config, path)

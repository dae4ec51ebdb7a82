"""What a lowered graph stores, as the checkpoint spells and lays it out."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from mansard.core.symbols import Expr
from mansard.frontends.hf.tensor_names import Names
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph

_PART = r"(?:\{[^}]*\}|\d+)"
_INDEX = re.compile(rf"(?<=\.){_PART}(?:\.{_PART})*(?=\.)")


class Tensor(NamedTuple):
    """A name pattern (``*`` is a layer's index), a shape, and how many such tensors exist."""

    name: str
    shape: tuple[int, ...]
    copies: int


def stored_tensors(graph: Graph, names: Names) -> list[Tensor]:
    """Return the weights of a graph by name pattern and shape, with how many copies exist.

    A linear's weight is ``[out, in]`` in the graph; roles the checkpoint keeps input-major are
    turned here, since how a file lays elements out is the checkpoint's affair.
    """
    every = (names.paths, names.inside().paths)
    modules = {paths[role] for paths in every for role in names.input_major if role in paths}
    turned = modules | {f"{path}.weight" for path in modules}
    stacked = {f"{paths[role]}.weight" for paths in every for role in names.blocks if role in paths}
    found: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for stored in storages(graph).values():
        if stored.value.role == "weight":
            name = _INDEX.sub(_stars, stored.value.storage, count=1)
            shape = _stacked(_whole(stored.value.shape), name in stacked)
            found[name, _swapped(shape) if name in turned else shape] += int(stored.copies)
    return [Tensor(name, shape, copies) for (name, shape), copies in found.items()]


def _stars(found: re.Match[str]) -> str:
    """Return a star for each index of a run of them: ``blocks.2.9`` has two."""
    return ".".join("*" for _ in found[0].split("."))


def _whole(shape: tuple[Expr, ...]) -> tuple[int, ...]:
    return tuple(int(size) for size in shape)


def _stacked(shape: tuple[int, ...], blocks: bool) -> tuple[int, ...]:
    """Return ``[groups, in, out]`` as ``[groups·out, in]`` where blocks lie below each other."""
    return (shape[0] * shape[2], shape[1]) if blocks else shape


def _swapped(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2])

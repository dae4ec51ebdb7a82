"""Convolutional towers a config only names: their blocks, from ``convnets.toml``."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mansard.core.errors import unknown_name
from mansard.core.records import dataclass

_LETTERS = {
    "a": "start", "k": "taps", "s": "stride", "e": "expand", "c": "width", "h": "heads",
    "d": "head_dim", "v": "kv_stride",
}  # fmt: skip


@dataclass(frozen=True)
class ConvBlock:
    """A block; see ``convnets.toml`` for the kinds.

    Args:
        kind: ``er``, ``uir`` or ``mqa``.
        width: channels of the result.
        taps: a side of the filter; 0 has none.
        start: of a filter before the others.
        stride: places a side that become one.
        expand: how many times as wide the middle is.
        heads, head_dim: of attention.
        kv_stride: places a side that share a key and a value.
    """

    kind: str
    width: int
    taps: int = 0
    start: int = 0
    stride: int = 1
    expand: int = 1
    heads: int = 0
    head_dim: int = 0
    kv_stride: int = 1


@dataclass(frozen=True)
class ConvNet:
    """A convolutional tower: what every image is resized to, stages of blocks, and their fusion.

    Args:
        image: side of an image [pixels].
        stem: channels of the first convolution.
        stages: blocks, each stage at a quarter of the places of the one before.
        fused: stages from the end that are joined.
        features, expand, sides: channels of what is made of those, how many times as wide the
            middle is, and its places a side.
    """

    image: int
    stem: int
    stages: tuple[tuple[ConvBlock, ...], ...]
    fused: int
    features: int
    expand: int
    sides: int


def convnet(name: str) -> ConvNet:
    """Return a tower by the name its library gives it.

    Raises:
        UnknownNameError: it is not among those known here.
    """
    known = _table()
    if name not in known:
        raise unknown_name("convolutional tower", name, known)
    row = {key: value for key, value in known[name].items() if key != "source"}
    stages = tuple(
        tuple(_block(text) for times, texts in stage for text in times * texts.split())
        for stage in row.pop("stages")
    )
    return ConvNet(stages=stages, **row)


def _block(text: str) -> ConvBlock:
    kind, *parts = text.split("_")
    return ConvBlock(kind, **{_LETTERS[part[0]]: int(part[1:]) for part in parts})


@functools.cache
def _table() -> Mapping[str, Any]:
    file = Path(__file__).parent / "convnets.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))

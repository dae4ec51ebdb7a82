"""``--set input.KEY=VALUE``: what a prompt holds besides text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass

KEYS = ("images", "image_size", "crops", "sounds", "memory")
MOST_IMAGES, LARGEST_SIDE, MOST_MEMORY, MOST_CROPS = 100_000, 65_536, 2**31, 256
_SIZE = re.compile(r"(\d+)(?:\s*[x×]\s*(\d+))?")


@dataclass(frozen=True)
class Inputs:
    """What stands beside the text.

    Args:
        images: of each sequence; ``None`` where nobody said, which is none for a language model.
        crops: an image is cut in at most; ``None`` where nobody said, which is what the model's own
            processor allows.
        sounds: of each sequence, each one window of the model's.
        size: height and width in pixels; ``None`` where nobody said.
        memory: tokens another model makes for this one's cross-attention to read.
    """

    images: int | None = None
    size: tuple[int, int] | None = None
    memory: int | None = None
    sounds: int | None = None
    crops: int | None = None


def read_inputs(values: Mapping[str, str]) -> Inputs:
    """Read the keys users may set.

    Raises:
        UnknownNameError: no such key.
        SpecError: a number of images, or a size, that no prompt has.
    """
    for key in values:
        if key not in KEYS:
            raise unknown_name("input", key, KEYS)
    images, sounds, crops = (_number(key, values) for key in ("images", "sounds", "crops"))
    if crops is not None and not 0 < crops <= MOST_CROPS:
        raise SpecError(f"input.crops is {crops}", hint=f"write a number from 1 to {MOST_CROPS}")
    size = _size(values["image_size"]) if "image_size" in values else None
    memory = _memory(values["memory"]) if "memory" in values else None
    return Inputs(images, size, memory, sounds, crops)


def _memory(text: str) -> int:
    if not text.strip().isdecimal() or not 0 < int(text) <= MOST_MEMORY:
        raise SpecError(
            f"input.memory is {text[:40]!r}", hint=f"write a whole number from 1 to {MOST_MEMORY}"
        )
    return int(text)


def _number(key: str, values: Mapping[str, str]) -> int | None:
    if key not in values:
        return None
    text = values[key]
    if not text.strip().isdecimal() or int(text) > MOST_IMAGES:
        raise SpecError(
            f"input.{key} is {text[:40]!r}", hint=f"write a whole number from 0 to {MOST_IMAGES}"
        )
    return int(text)


def _size(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text.strip().lower())
    sides = [int(side) for side in found.groups() if side] if found else []
    if not sides or not all(0 < side <= LARGEST_SIDE for side in sides):
        raise SpecError(
            f"input.image_size is {text[:40]!r}",
            hint=f"write pixels, 448 or 720x1280 (height x width), each from 1 to {LARGEST_SIDE}",
        )
    return sides[0], sides[-1]

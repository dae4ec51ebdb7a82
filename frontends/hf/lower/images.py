"""How many patches an image is, and how many tokens a language model reads of it."""

from __future__ import annotations

import math
from dataclasses import replace

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.hf.convnets import ConvNet
from mansard.frontends.hf.lower.canvases import CANVASES, OVERSEEN, unpadded, used
from mansard.frontends.hf.lower.heads import PROJECTORS
from mansard.frontends.hf.towers import Head, Patches, Stem


@dataclass(frozen=True)
class Image:
    """An image as a stack reads it.

    Args:
        height, width: after it was resized [pixels].
        patches: tokens of the stack, learned ones in front included.
        tokens: that a language model reads; 0 where none does.
        tiles: of that size that an image is cut in, or padded to.
        crops: of the stem's size that it is read as, an overview included.
    """

    height: int
    width: int
    patches: int
    tokens: int
    tiles: int = 1
    crops: int = 1

    def said(self, images: int) -> str:
        """Say what each image is, in words."""
        what = "an image" if images == 1 else f"{images} images, each"
        size = f"{what} of {self.height}x{self.width} pixels"
        if self.tiles > 1:
            size = f"{what} in {self.tiles} tiles of {self.height}x{self.width} pixels"
        if not self.tokens:
            return f"{size} is {self.patches:,} tokens"
        times = f"{self.crops} times " if self.crops > 1 else ""
        inside = f"{times}{self.patches:,} tokens in its tower"
        return f"{size}, {inside} and {self.tokens:,} in the prompt"


def image_of(stem: Stem, head: Head | None, size: tuple[int, int] | None) -> Image:
    """Return an image of a size, or of the stem's own.

    Raises:
        SpecError: every image is resized to another size, or is smaller than one patch.
    """
    if not isinstance(stem, (Patches, ConvNet)):
        raise TypeError(f"no images for {stem!r}")
    own = (stem.image, stem.image)
    height, width = size or own
    if isinstance(stem, ConvNet):
        if (height, width) != own:
            raise _resized(stem.image, height, width)
        return Image(height, width, stem.sides**2, stem.sides**2)
    if stem.crops > 1 or stem.cut != "closest":
        return _cut(stem, head, height, width)
    if not stem.flexible and (height, width) != own:
        raise _resized(stem.image, height, width)
    if stem.tiles > 1:
        patches = stem.tiles * (math.prod(stem.grid(height, width)) + stem.start)
        return Image(height, width, patches, 0, stem.tiles)
    rows, columns = stem.grid(height, width)
    patches = rows * columns
    tokens = 0
    if head is not None and head.kind in PROJECTORS:
        tokens = head.tokens or patches // head.merge**2
    return Image(rows * stem.size, columns * stem.size, patches + stem.start, tokens)


def _resized(side: int, height: int, width: int) -> SpecError:
    said = f"input.image_size is {height}x{width}, but this model resizes every image to "
    return SpecError(f"{said}{side}x{side}", hint="leave input.image_size out")


def _cut(stem: Patches, head: Head | None, height: int, width: int) -> Image:
    """Return an image cut in crops, which are read beside an overview where they are several."""
    rows, columns = CANVASES[stem.cut](stem, height, width)
    crops = rows * columns + (stem.cut in OVERSEEN or rows * columns > 1)
    one = image_of(replace(stem, crops=1, cut="closest"), head, (stem.image, stem.image))
    side = math.isqrt(one.tokens)
    high, wide = rows * side, columns * side
    if stem.cut == "pinned":
        lines, each = unpadded(stem, (high, wide), (height, width), side)
        tokens = lines * (each + 1) + one.tokens  # a learned token ends each line
        return replace(one, height=height, width=width, tokens=tokens, crops=crops)
    if stem.cut == "covering" and head is not None:  # what only pads the image is left out
        scale = min(rows * stem.image / height, columns * stem.image / width)
        unit = stem.size * head.merge
        high = min(high, used(rows * stem.image, int(height * scale), stem.size, unit))
        wide = min(wide, used(columns * stem.image, int(width * scale), stem.size, unit))
    tokens = high * wide + (crops - rows * columns) * one.tokens
    if head is not None and head.separators:
        tokens += high + side + 1
    return replace(one, height=height, width=width, tokens=tokens, crops=crops)

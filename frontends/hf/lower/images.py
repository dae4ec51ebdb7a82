"""How many patches an image is, and how many tokens a language model reads of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.hf.convnets import ConvNet
from mansard.frontends.hf.lower.heads import PROJECTORS
from mansard.frontends.hf.towers import Cut, Head, Patches, Stem


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
    if stem.cut == "covering" and head is not None:  # what only pads the image is left out
        scale = min(rows * stem.image / height, columns * stem.image / width)
        unit = stem.size * head.merge
        high = min(high, _used(rows * stem.image, int(height * scale), stem.size, unit))
        wide = min(wide, _used(columns * stem.image, int(width * scale), stem.size, unit))
    tokens = high * wide + (crops - rows * columns) * one.tokens
    if head is not None and head.separators:
        tokens += high + side + 1
    return replace(one, height=height, width=width, tokens=tokens, crops=crops)


def _closest(stem: Patches, height: int, width: int) -> tuple[int, int]:
    """Return the smallest canvas of crops that an image need not be shrunk for.

    Of canvases that are all too small it is the one it is shrunk least for (transformers 5.23.0,
    image_processing_llama4.py).
    """
    most, side = stem.crops, stem.image
    canvases = [(r, c) for r in range(1, most + 1) for c in range(1, most // r + 1)]
    scale = {at: min(at[0] * side / height, at[1] * side / width) for at in canvases}
    wide = [s for s in scale.values() if s >= 1]
    best = min(wide) if wide else max(scale.values())
    return min((at for at in canvases if scale[at] == best), key=math.prod)


def _fullest(stem: Patches, height: int, width: int) -> tuple[int, int]:
    """Return the canvas an image of any size fills (processing_phi3_v.py, HD_transform)."""
    long, short = max(height, width), min(height, width)
    columns = 1
    while (columns + 1) * math.ceil((columns + 1) * short / long) <= stem.crops:
        columns += 1
    rows = max(1, math.ceil(int(columns * stem.image * short / long) / stem.image))
    return (columns, rows) if height > width else (rows, columns)


def _covering(stem: Patches, height: int, width: int) -> tuple[int, int]:
    """Return the crops an image's own pixels cover; of too many, the closest shape.

    transformers 5.23.0, image_processing_phi4_multimodal.py.
    """
    most, side = stem.crops, stem.image
    rows, columns = math.ceil(height / side), math.ceil(width / side)
    return (rows, columns) if rows * columns <= most else _shaped(stem, height, width)


def _shaped(stem: Patches, height: int, width: int) -> tuple[int, int]:
    """Return the canvas of crops whose shape is closest to an image's.

    Of equal shapes the larger counts where the image fills half of it (transformers 5.23.0,
    image_processing_got_ocr2.py).
    """
    most, side = stem.crops, stem.image
    canvases = [(r, c) for r in range(1, most + 1) for c in range(1, most // r + 1)]
    off = {at: abs(width / height - at[1] / at[0]) for at in canvases}
    best = sorted((at for at in canvases if off[at] == min(off.values())), key=math.prod)
    larger = [at for at in best[1:] if height * width > math.prod(at) * side**2 / 2]
    return larger[-1] if larger else best[0]


def _used(whole: int, held: int, patch: int, unit: int) -> int:
    """Return the squares along a side of a canvas that hold some of an image."""
    patches = whole // patch - (whole - held) // patch
    return -(-patches * patch // unit)


CANVASES: dict[Cut, Callable[[Patches, int, int], tuple[int, int]]] = {
    "closest": _closest,
    "fullest": _fullest,
    "covering": _covering,
    "shaped": _shaped,
}
"""How many rows and columns of crops an image is laid on."""
OVERSEEN: tuple[Cut, ...] = ("fullest", "covering")
"""Those that add an overview to an image of one crop, too."""

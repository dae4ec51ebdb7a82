"""How many patches an image is, and how many tokens a language model reads of it."""

from __future__ import annotations

import math

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.hf.lower.heads import PROJECTORS
from mansard.frontends.hf.towers import Head, Patches


@dataclass(frozen=True)
class Image:
    """An image as a stack reads it.

    Args:
        height, width: after it was resized [pixels].
        patches: tokens of the stack, learned ones in front included.
        tokens: that a language model reads; 0 where none does.
        tiles: of that size that an image is cut in, or padded to.
    """

    height: int
    width: int
    patches: int
    tokens: int
    tiles: int = 1

    def said(self, images: int) -> str:
        """Say what each image is, in words."""
        what = "an image" if images == 1 else f"{images} images, each"
        size = f"{what} of {self.height}x{self.width} pixels"
        if self.tiles > 1:
            size = f"{what} in {self.tiles} tiles of {self.height}x{self.width} pixels"
        if not self.tokens:
            return f"{size} is {self.patches:,} tokens"
        return f"{size}, {self.patches:,} tokens in its tower and {self.tokens:,} in the prompt"


def image_of(stem: Patches, head: Head | None, size: tuple[int, int] | None) -> Image:
    """Return an image of a size, or of the stem's own.

    Raises:
        SpecError: every image is resized to another size, or is smaller than one patch.
    """
    own = (stem.image, stem.image)
    height, width = size or own
    if not stem.flexible and (height, width) != own:
        raise SpecError(
            f"input.image_size is {height}x{width}, but this model resizes every image to "
            f"{stem.image}x{stem.image}",
            hint="leave input.image_size out",
        )
    if stem.tiles > 1:
        patches = stem.tiles * (math.prod(stem.grid(height, width)) + stem.start)
        return Image(height, width, patches, 0, stem.tiles)
    rows, columns = stem.grid(height, width)
    patches = rows * columns
    tokens = 0
    if head is not None and head.kind in PROJECTORS:
        tokens = head.tokens or patches // head.merge**2
    return Image(rows * stem.size, columns * stem.size, patches + stem.start, tokens)

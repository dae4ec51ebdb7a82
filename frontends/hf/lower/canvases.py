"""The canvas of crops an image is laid on, by the rules of processors."""

from __future__ import annotations

import math
from collections.abc import Callable

from mansard.frontends.hf.towers import Cut, Patches


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


def used(whole: int, held: int, patch: int, unit: int) -> int:
    """Return the squares along a side of a canvas that hold some of an image."""
    patches = whole // patch - (whole - held) // patch
    return -(-patches * patch // unit)


def _pinned(stem: Patches, height: int, width: int) -> tuple[int, int]:
    """Return the stated canvas that keeps most of an image, and of those the least wasted one.

    transformers 5.23.0, image_processing_utils.py, select_best_resolution.
    """

    def kept(pin: tuple[int, int]) -> tuple[int, int]:
        scale = min(pin[1] / width, pin[0] / height)
        pixels = min(int(width * scale) * int(height * scale), width * height)
        return pixels, pixels - math.prod(pin)

    tall, wide = max(stem.pins, key=kept)
    return tall // stem.image, wide // stem.image


def _enlarged(stem: Patches, height: int, width: int) -> tuple[int, int]:
    """Return the canvas of an image whose longer side is made that of the largest square.

    transformers 5.23.0, image_processing_smolvlm.py: the other side is made even, then whole
    crops.
    """
    most = math.isqrt(stem.crops)
    long = most * stem.image
    short = int(long / (max(height, width) / min(height, width)))
    few = -(-max(1, short + short % 2) // stem.image)
    return (most, few) if height > width else (few, most)


def unpadded(
    stem: Patches, canvas: tuple[int, int], image: tuple[int, int], side: int
) -> tuple[int, int]:
    """Return the lines and columns of tokens of a canvas that hold some of an image.

    Where the canvas has ``kept`` crops more than a tenth too many a side, they are averaged down
    (transformers 5.23.0, modeling_llava_next.py and modeling_llava_onevision.py).
    """
    (high, wide), (height, width) = canvas, image
    if width / height > wide / high:
        high -= (high - int(round(height * (wide / width), 7))) // 2 * 2
    else:
        wide -= (wide - int(round(width * (high / height), 7))) // 2 * 2
    over = math.sqrt(high * wide / (stem.kept * side**2)) if stem.kept else 1.0
    return (int(high // over), int(wide // over)) if over > 1.1 else (high, wide)


CANVASES: dict[Cut, Callable[[Patches, int, int], tuple[int, int]]] = {
    "closest": _closest,
    "fullest": _fullest,
    "covering": _covering,
    "shaped": _shaped,
    "pinned": _pinned,
    "enlarged": _enlarged,
}
"""How many rows and columns of crops an image is laid on."""
OVERSEEN: tuple[Cut, ...] = ("fullest", "covering", "pinned")
"""Those that add an overview to an image of one crop, too."""

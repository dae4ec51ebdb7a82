"""What a stack reads besides tokens, and what it makes besides logits."""

from __future__ import annotations

import math
from typing import Literal

from mansard.core.records import dataclass
from mansard.frontends.hf.convnets import ConvNet

HeadKind = Literal[
    "none", "pooler", "pick", "project", "match", "attention", "mlp", "merge", "average", "tiles",
    "shuffle", "pooled", "embedder", "linear", "downsample",
    "joined",
]  # fmt: skip


HeadNorm = Literal["", "layer", "rms"]
Cut = Literal["closest", "fullest", "covering", "shaped", "pinned", "enlarged"]


@dataclass(frozen=True)
class Patches:
    """Images cut in patches: a convolution whose step is its own width makes a token of each.

    Args:
        channels: of an image.
        size: side of a patch [pixels].
        image: side of an image where nothing else is asked for [pixels].
        frames: images a patch spans in time; a still image is repeated.
        bias: of the convolution.
        start: learned tokens in front of the patches (a class token).
        rows: of the table of positions; 0 has none.
        batched: tables have a leading axis of 1.
        norm: a norm after the positions are added.
        mask: axes in front of the learned token for patches that training hides, which is stored
            and not used; 0 has none.
        merge: side of the square of patches that becomes one token.
        tiles: an image is cut in at most so many tiles, each as large as ``image``; fewer are
            padded.
        layouts: of tiles, each with learned embeddings of its own.
        flexible: images of other sizes are taken as they are; else every image is resized.
        flat: the convolution is stored as a matrix.
        axes: of which each has a table of positions, looked up and added.
        crops: of the stem's own size that a larger image is cut in at most, beside an overview of
            it; each is a sequence of the stack.
        cut: which canvas of crops an image is laid on: the ``closest`` that holds it, the
            ``fullest`` it can be enlarged to, the one its own pixels are ``covering``, the one
            ``shaped`` most like it, one of those ``pinned``, or that of its longer side
            ``enlarged`` to the largest square's.
        pins: canvases an image may be laid on [pixels]; what only pads it there makes no tokens.
        kept: crops' worth of tokens that those of a larger canvas are averaged down to; 0 keeps
            all.
        budget: squares an image is resized to have at most, its shape kept; 0 knows none.
        longest: pixels of a side, and ``most`` patches, that an image is scaled down to; what is
            left of a square at its edges is padded. 0 knows no bound.
        columns: of the table of positions where that is stored as a plane.
        near: rows of the table that a position is mixed of where images are of any size.
    """

    channels: int
    size: int
    image: int
    frames: int = 1
    bias: bool = True
    start: int = 0
    rows: int = 0
    batched: bool = False
    norm: bool = False
    mask: int = 0
    merge: int = 1
    tiles: int = 1
    layouts: int = 0
    flexible: bool = False
    flat: bool = False
    axes: int = 1
    crops: int = 1
    cut: Cut = "closest"
    budget: int = 0
    longest: int = 0
    most: int = 0
    columns: int = 0
    near: int = 4
    pins: tuple[tuple[int, int], ...] = ()
    kept: int = 0

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return the patches along each side of an image of so many pixels.

        A flexible stem resizes each side to the nearest multiple of what one token covers; one
        with a budget scales both to fill it, and rounds down; one with bounds scales down to keep
        them, and pads.
        """
        unit = self.size * self.merge
        if self.longest or self.most:
            down = self._down(height, width)
            tall, wide = (-(-max(1, int(side * down)) // unit) for side in (height, width))
            return tall * self.merge, wide * self.merge
        if self.budget:
            fill = math.sqrt(self.budget * unit**2 / (height * width))
            most = (max(1, int(fill * side / unit)) for side in (height, width))
            rows, columns = (min(self.budget, side) * self.merge for side in most)
            return rows, columns
        if not self.flexible:
            return height // self.size, width // self.size
        each = (max(1, round(side / unit)) * self.merge for side in (height, width))
        rows, columns = each
        return rows, columns

    def _down(self, height: int, width: int) -> float:
        """Return what both sides are multiplied by so that no bound is crossed."""
        down = min(1.0, *(self.longest / side for side in (height, width) if self.longest))
        if self.most:
            patches = max(1, height // self.size) * max(1, width // self.size)
            down = min(down, math.sqrt(self.most / patches))
        return down


@dataclass(frozen=True)
class Frames:
    """A mel spectrogram: two convolutions, the second of which halves the frames.

    Args:
        bins: mel bins.
        taps: of each convolution.
        rows: of the table of positions: the frames of the window every sound is padded to.
    """

    bins: int
    rows: int
    taps: int = 3


@dataclass(frozen=True)
class Spectrogram:
    """A mel spectrogram: convolutions over time and frequency, each halving both.

    Args:
        bins: mel bins.
        channels: of each convolution.
        separable: all but the first filter each channel by itself and then mix them, with biases.
        frames: of the window a sound is cut to.
    """

    bins: int
    channels: tuple[int, ...]
    frames: int
    separable: bool = False

    @property
    def rows(self) -> int:
        """What a window is for the layers."""
        return -(-self.frames // (1 << len(self.channels)))


Stem = Patches | Frames | ConvNet | Spectrogram
"""What makes hidden states of images or sounds."""


@dataclass(frozen=True)
class Head:
    """What is made of the last hidden states.

    Args:
        kind: ``none``; ``pooler`` (a row of each sequence, a linear, tanh); ``pick`` (the row
            alone); ``project`` (the row and a linear); ``match`` (that, compared with images);
            ``attention`` (a learned query attends over all rows); and what hands images or sounds
            to a language model: ``mlp``, ``linear``, ``merge``, ``shuffle``, ``downsample`` and
            ``joined`` (squares of patches side by side), ``average`` and ``pooled`` (their mean),
            ``embedder`` (every so many rows, normalized); or to its cross-attention: ``tiles``
            (states of several layers).
        width: of the result.
        bias: of the linear.
        picks_first: the final norm is that of the picked row.
        depth: layers whose result is read; the last hidden states are not where it is smaller.
        merge: side of the square of patches that becomes one token.
        tokens: a language model sees of an image; 0 is as many as there are patches or squares.
        taps: layers after which a merger of its own makes more features (DeepStack).
        activation: between the linears.
        offset: the similarity has a stored offset beside its scale.
        mean: of a square of patches, in place of all side by side.
        pools: an attention pool is stored whose result nothing reads.
        separators: learned tokens end each row of squares, and one stands before the crops.
        rows: of a table whose tokens the same linear projects; stored beside it.
        scaled: rows are scaled before they are normalized.
        widths: what each linear of ``shuffle`` reads, then what the last one makes.
        inner: width between the linears of ``mlp``, ``downsample`` and ``joined``, where it is not
            the result's.
        norm: of what ``mlp`` reads: ``layer`` or ``rms``; it is over patches, or over ``squares``.
        narrows: a linear before those of ``mlp`` makes each square as wide as a patch.
    """

    kind: HeadKind = "none"
    width: int = 0
    bias: bool = True
    picks_first: bool = False
    depth: int | None = None
    merge: int = 1
    tokens: int = 0
    taps: tuple[int, ...] = ()
    activation: str = "gelu"
    offset: bool = False
    widths: tuple[int, ...] = ()
    mean: bool = False
    pools: bool = False
    separators: bool = False
    rows: int = 0
    scaled: bool = False
    inner: int = 0
    norm: HeadNorm = ""
    squares: bool = False
    narrows: bool = False

    def misfit(self, hidden: int) -> str:
        """Say where ``widths`` do not fit a stack so wide, or each other; empty where they do."""
        if not self.widths:
            return ""
        (first, inner, last, made), square = self.widths, self.merge**2 * hidden
        if first != square:
            return f"squares of patches are {square:,} wide, and their adapter reads {first:,}"
        if not inner == last == made:
            return f"the adapter's linears are {inner:,}, {last:,} and {made:,} wide"
        return ""

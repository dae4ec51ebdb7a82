"""Memory against capacity: one bar and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.backends.estimate import Memory
from mansard.core.units import format_bytes
from mansard.render import words
from mansard.render.bars import cells
from mansard.render.headline import packed
from mansard.render.ink import Text
from mansard.render.palette import BAD, FREE, MEMORY, QUIET, STRONG

LABELS = {
    "weights": "weights", "kv_cache": "KV cache", "activations": "activations",
    "overhead": "driver",
}  # fmt: skip


def memory_bar(memory: Memory, width: int, kept: str = "KV cache") -> Iterator[Text]:
    """Yield the heading, the bar and its legend; those of a device of each pool where several.

    Args:
        memory: of a device.
        width: of the terminal.
        kept: what is kept of a sequence: a KV cache, a state, both.
    """
    if not memory.pools:
        yield _heading(memory)
        yield from _drawn(memory, width, kept)
        return
    yield _heading(memory).append(f", a device of the fullest of {len(memory.pools)} pools", QUIET)
    for name, pool in memory.pools.items():
        yield Text.assemble("  ", (name, STRONG), f"  {format_bytes(pool.total)}")
        yield from _drawn(pool, width, kept)


def _heading(memory: Memory) -> Text:
    text = Text.assemble(("Memory", STRONG), f"  {format_bytes(memory.total)}")
    return text.append(f" of {words.capacity(memory)}", QUIET)


def _drawn(memory: Memory, width: int, kept: str) -> Iterator[Text]:
    sizes = {name: float(getattr(memory, name)) for name in MEMORY}
    capacity = float(memory.capacity or 0)
    yield _bar(sizes, capacity, min(width - 4, 100))
    yield from packed(list(_legend(memory, capacity, kept)), width - 2, Text("   "), indent=2)


def _bar(sizes: dict[str, float], capacity: float, width: int) -> Text:
    """Return the bar, as long as the capacity; what exceeds it lies beyond a mark."""
    used = sum(sizes.values())
    whole = max(used, capacity)
    text = Text("  ")
    for (mark, style), count in zip(
        MEMORY.values(), cells(list(sizes.values()), whole, width), strict=True
    ):
        text.append(mark * count, style)
    text.append(FREE * (width - (len(text) - 2)), QUIET)
    if used > capacity > 0:
        edge = 2 + min(int(width * capacity / whole), width - 1)
        text = Text.assemble(text[:edge], ("┃", BAD), text[edge + 1 :])
    return text


def _legend(memory: Memory, capacity: float, kept: str) -> Iterator[Text]:
    for name, (mark, style) in MEMORY.items():
        size = getattr(memory, name)
        if size or name in ("weights", "activations"):
            label = kept if name == "kv_cache" else LABELS[name]
            yield Text.assemble((f"{mark} ", style), f"{label} {format_bytes(size)}")
    if memory.fits is False:
        over = format_bytes(float(memory.total) - capacity)
        yield Text(f"┃ capacity, exceeded by {over}", BAD)
    elif memory.fits:
        yield Text(f"{FREE} free {format_bytes(capacity - float(memory.total))}", QUIET)

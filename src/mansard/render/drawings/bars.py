"""Bars: where the time of a phase goes, and what lies in memory."""

from __future__ import annotations

from mansard.backends.estimate import Memory, Phase
from mansard.core.units import format_bytes, format_time
from mansard.render import words
from mansard.render.drawings.drawing import INK, SUNK, Drawing, Figure
from mansard.render.palette import MEMORY_HUES, hue

WIDTH, ROW, MOST = 720, 25, 12
BAR_FROM, BAR_TO = 210, 520
LABELS = {
    "weights": "weights", "kv_cache": "KV cache", "activations": "activations",
    "overhead": "reserve",
}  # fmt: skip


def longest(phase: Phase) -> list[tuple[str, str, float, float]]:
    """Return name, bound, time [s] and share of what takes most of a phase, the rest as one."""
    shown = [(r.name, r.bound, r.time_s * r.count, r.share) for r in phase.ops[:MOST]]
    if rest := phase.ops[MOST:]:
        time_s, share = sum(r.time_s * r.count for r in rest), sum(r.share for r in rest)
        shown.append((f"{len(rest)} more", "none", time_s, share))
    return shown


def breakdown(phase: Phase, title: str) -> Figure:
    """Draw the operators that take most of a phase, the rest as one."""
    shown = longest(phase)
    drawing = Drawing(WIDTH, 40 + ROW * max(1, len(shown)), f"Where the time of {title} goes")
    drawing.text(12, 20, f"{drawing.title}: {format_time(phase.time_s)}", fill=INK, size=13,
                 bold=True)  # fmt: skip
    most = max((share for *_, share in shown), default=0.0) or 1.0
    for k, (name, bound, time_s, share) in enumerate(shown):
        y = 34 + ROW * k
        drawing.text(12, y + 14, words.shorten(name, 30), fill=INK)
        drawing.add("rect", x=BAR_FROM, y=y + 4, width=BAR_TO - BAR_FROM, height=13, fill=SUNK)
        drawing.add("rect", x=BAR_FROM, y=y + 4, width=max(1.0, (BAR_TO - BAR_FROM) * share / most),
                    height=13, fill=hue(bound), tip=f"{name}: {bound} bound")  # fmt: skip
        drawing.text(BAR_TO + 90, y + 14, format_time(time_s), anchor="end", fill=INK, bold=True)
        drawing.text(WIDTH - 14, y + 14, words.percent(share), anchor="end")
    return drawing.done()


def memory(held: Memory, title: str) -> Figure:
    """Draw what lies in a device's memory against its capacity."""
    sizes = {name: float(getattr(held, name)) for name in LABELS}
    capacity = float(held.capacity or 0)
    whole = max(capacity, float(held.total)) or 1.0
    drawing = Drawing(WIDTH, 104, f"Memory of {title}")
    of = f" of {format_bytes(held.capacity)}" if held.capacity is not None else ""
    drawing.text(12, 20, f"{drawing.title}: {format_bytes(held.total)}{of}", fill=INK, size=13,
                 bold=True)  # fmt: skip
    drawing.add("rect", x=12, y=34, width=WIDTH - 24, height=26, fill=SUNK)
    x, at = 12.0, 12.0
    for name, size in sizes.items():
        if not size:
            continue
        width = (WIDTH - 24) * size / whole
        drawing.add("rect", x=x, y=34, width=width, height=26, fill=MEMORY_HUES[name],
                    tip=f"{LABELS[name]} {format_bytes(size)}")  # fmt: skip
        x += width
        drawing.add("rect", x=at, y=76, width=10, height=10, fill=MEMORY_HUES[name])
        text = f"{LABELS[name]} {format_bytes(size)}"
        drawing.text(at + 15, 85, text)
        at += 34 + 6.4 * len(text)
    if held.total > capacity > 0:
        edge = 12 + (WIDTH - 24) * capacity / whole
        drawing.add("line", x1=edge, x2=edge, y1=28, y2=66, stroke="#b3261e", stroke_width=2.5,
                    tip=f"capacity {format_bytes(capacity)}")  # fmt: skip
    return drawing.done()

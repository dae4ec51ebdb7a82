"""What each technique changed: the figures that differ, before → after."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from mansard.core.units import format_bytes, format_count, format_flops, format_time
from mansard.query.effects import Effect, Figures
from mansard.render.palette import QUIET, STRONG

Difference = tuple[str, str, str]
"""Name, before, after."""


def passes(effects: tuple[Effect, ...]) -> Iterator[RenderableType]:
    """Yield a heading and, for each technique, what it changed."""
    if not effects:
        return
    yield Text.assemble(("Techniques", STRONG), ("  in the order they ran", QUIET))
    for effect in effects:
        yield Padding(_line(effect), (0, 0, 0, 2))


def differences(effect: Effect) -> list[Difference]:
    """Return the figures a technique changed, as written (equal as written is left out)."""
    before, after = effect.before, effect.after
    found = [_pair("ops", format_count, before.ops, after.ops)]
    found.append(_pair("memory", format_bytes, before.memory.total, after.memory.total))
    for name in before.phases:
        if name in after.phases:
            found += _phase(name, before, after)
    return [d for d in found if d[1] != d[2]]


def _phase(name: str, before: Figures, after: Figures) -> Iterator[Difference]:
    a, b = before.phases[name], after.phases[name]
    yield _pair(f"{name} kernels", format_count, a.kernels, b.kernels)
    yield _pair(f"{name} work", format_flops, a.flops, b.flops)
    yield _pair(f"{name} traffic", format_bytes, a.bytes, b.bytes)
    yield _pair(f"{name} time", format_time, a.time_s, b.time_s)


def _pair(name: str, write: Callable[[float], str], a: float, b: float) -> Difference:
    return (name, write(a), write(b))


def _line(effect: Effect) -> Text:
    technique = effect.technique
    text = Text.assemble((technique.name, "cyan"))
    if technique.options:
        shown = " ".join(f"{k}={v}" for k, v in technique.options.items())
        text.append(f"{{{shown}}}", "cyan")
    text.append(f"  {technique.changed or 'nothing to change'}", "" if technique.changed else QUIET)
    for name, before, after in differences(effect):
        text.append(f" · {name} ", QUIET).append(f"{before} → {after}")
    return text

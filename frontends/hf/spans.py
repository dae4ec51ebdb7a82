"""GPT-Neo's way to write kinds of layers: spans of names, and how often each is repeated."""

from __future__ import annotations

from typing import Any

from mansard.core.errors import SpecError


def expand_spans(where: str, key: str, spans: Any) -> tuple[str, ...]:
    """Expand ``[[["global", "local"], 12]]`` into one kind per layer."""
    kinds: list[str] = []
    for span in spans if isinstance(spans, list) else [spans]:
        match span:
            case [[*names], int(times)] if (
                all(isinstance(n, str) for n in names) and times <= 10000
            ):
                kinds += names * times
            case _:
                raise SpecError(
                    f"{where}: {key} holds {span!r}", hint='write [[["global", "local"], 12]]'
                )
    return tuple(kinds)

"""A technique in words: as pipelines write it, and what it changed."""

from __future__ import annotations

from mansard.query.effects import Effect, Technique

LONGEST_LIST = 2
UNCHANGED = "nothing to change"


def written(technique: Technique) -> str:
    """Return a technique as pipelines write it, long lists by their length."""
    options = " ".join(f"{k}={_value(v)}" for k, v in technique.options.items())
    return technique.name + (f"{{{options}}}" if options else "")


def _value(value: object) -> str:
    if isinstance(value, list):
        few = len(value) <= LONGEST_LIST
        return f"[{' '.join(map(str, value)) if few else f'{len(value)} names'}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def said(effect: Effect) -> str:
    """Say what a technique changed, and what would be better."""
    changed = effect.technique.changed or UNCHANGED
    return f"{changed}; {effect.advice}" if effect.advice else changed

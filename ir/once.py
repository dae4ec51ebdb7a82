"""What is worked out of something immutable once, and then known as long as it lives."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Of = TypeVar("Of")
Given = ParamSpec("Given")
Found = TypeVar("Found")


def once(
    work: Callable[Concatenate[Of, Given], Found],
) -> Callable[Concatenate[Of, Given], Found]:
    """Make a function of a graph or a program remember what it returned, for each of them.

    Graphs and programs never change and are asked the same for every size of a scenario. The
    result is kept in the object itself, beside its cached properties, so it lives no longer than
    the object does; what else the function takes must be hashable, and nobody may change what it
    returns.
    """

    @wraps(work)
    def remembered(of: Of, /, *given: Given.args, **named: Given.kwargs) -> Found:
        known: dict[Any, Any] = of.__dict__.setdefault("_known", {})
        key = (remembered, given, tuple(sorted(named.items())))
        if key not in known:
            known[key] = work(of, *given, **named)
        found: Found = known[key]
        return found

    return remembered

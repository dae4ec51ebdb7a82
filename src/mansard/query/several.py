"""One thing or several of them, where a call takes either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def several(given: Any) -> tuple[Any, ...]:
    """Return the items of a sequence; anything else, text above all, is one item itself.

    >>> several("h100-sxm"), several(["h100-sxm", "l4"])
    (('h100-sxm',), ('h100-sxm', 'l4'))
    """
    if isinstance(given, (Sequence, Iterator)) and not isinstance(given, (str, bytes)):
        return tuple(given)
    return (given,)

"""Lists written in one text: ``a, b, c``."""

from __future__ import annotations


def listed(text: str) -> list[str]:
    """Split at commas; blanks around a part do not count, nor do empty parts.

    >>> listed("ttft<1s, tpot<30ms,"), listed(" ")
    (['ttft<1s', 'tpot<30ms'], [])
    """
    return [part for each in text.split(",") if (part := each.strip())]


def names(text: str) -> list[str]:
    """Split a list of names; one that is given twice counts once.

    >>> names("h100-sxm, l4,h100-sxm")
    ['h100-sxm', 'l4']
    """
    return list(dict.fromkeys(listed(text)))

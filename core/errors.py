"""Every exception mansard raises on purpose, and the nearest names it offers."""

from __future__ import annotations

from collections.abc import Iterable


class MansardError(Exception):
    """What went wrong, where, and what to do next.

    Args:
        message: where, what, and the offending value (``!r``).
        hint: an action; the command line prints it on its own line.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")


class VerifyError(MansardError):
    """The graph or program breaks a rule of the IR."""


class SpecError(MansardError):
    """A description from outside - text, file, option, config, chip - cannot be read."""


class UnknownNameError(MansardError):
    """A name that nothing carries; the nearest known names are the hint."""


class PluginError(MansardError):
    """A plugin failed; the message names the distribution it came from."""

    exit_code = 4


def shortened(text: str, most: int = 80) -> str:
    """Return what a user wrote, to be said back: cut where it is longer than anybody reads.

    >>> shortened("tpot<=5ms"), len(shortened("-" * 9900))
    ('tpot<=5ms', 80)
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return the known names closest to ``name``, best first.

    A known name that starts with ``name``, or contains it, is close however long it is.

    >>> nearest("h100", ["mi300x", "h100-sxm", "h100-pcie"])
    ['h100-sxm', 'h100-pcie']
    """
    folded = {k.lower(): k for k in known}
    import difflib

    low = name.lower()
    starts = [k for k in folded if low and k.startswith(low)]
    inside = [k for k in folded if low and low in k and k not in starts]
    close = difflib.get_close_matches(low, folded, n=limit, cutoff=0.5)
    return [folded[k] for k in dict.fromkeys([*starts, *inside, *close])][:limit]


def unknown_name(kind: str, name: str, known: Iterable[str], *, see: str = "") -> UnknownNameError:
    """Build the error for a ``kind`` called ``name`` that does not exist.

    Args:
        kind: what was looked for, as a noun ("hardware", "option of quantize").
        name: what the user wrote.
        known: the names that exist.
        see: a command or page that lists them all.
    """
    known = sorted(known)
    offer = nearest(name, known)
    if offer:
        hint = f"did you mean {' or '.join(map(repr, offer))}?"
    elif not known:
        hint = "there are none"
    elif len(known) <= 24:
        hint = f"pick one of: {', '.join(known)}"
    else:
        hint = f"{len(known)} exist"
    return UnknownNameError(f"no {kind} called {shortened(name)!r}", hint=f"{hint} {see}".strip())

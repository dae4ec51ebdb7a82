"""Running what a plugin has at import and in hooks: what it prints, how long it takes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from mansard.core.errors import MansardError, PluginError, SpecError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SLOW_S = 3.0
"""After this long it is said on stderr what is waited for."""


class Attributed:
    """Stands for stdout while a plugin runs: its lines go to stderr with its name before them."""

    def __init__(self, whose: str) -> None:
        self._whose, self._rest = whose, ""
        self.first = ""

    def write(self, text: str) -> int:
        """Pass on the lines that are whole."""
        *lines, self._rest = f"{self._rest}{text}".split("\n")
        for line in lines:
            self.first = self.first or line
            print(f"{self._whose} prints: {line}", file=sys.stderr)
        return len(text)

    def flush(self) -> None:
        """Wait for the end of the line."""

    def close_line(self) -> None:
        """Pass on what no newline ended."""
        if self._rest:
            self.write("\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


@contextmanager
def running(whose: str, what: str) -> Iterator[Attributed]:
    """Attribute what is printed while the context lasts, and say when it lasts long.

    Args:
        whose: the plugin: ``plugin 'a' of b``.
        what: is done: ``importing it``, or the name of a hook.
    """
    out = Attributed(whose)

    def tell() -> None:
        said = f"waiting for {whose}: {what} has taken {SLOW_S:g} s so far, which is no fault"
        print(said, file=sys.stderr, flush=True)

    slow = threading.Timer(SLOW_S, tell)
    slow.daemon = True
    slow.start()
    try:
        with redirect_stdout(out):
            yield out
    finally:
        slow.cancel()
        out.close_line()


@contextmanager
def blamed(owner: str, what: str, own: str = "mansard") -> Iterator[None]:
    """Attribute what a plugin's object prints while the context lasts, and what it raises.

    Args:
        owner: the distribution of the object.
        what: it is, with what it does: ``backend x``.
        own: the distribution that is trusted to do neither.

    Raises:
        PluginError: it raised what no plugin should.
    """
    if owner == own:
        yield
        return
    whose = f"{what}, of {owner},"
    try:
        with running(whose.rstrip(","), "its work"):
            yield
    except MansardError:
        raise
    except (Exception, SystemExit) as error:
        said = f"{whose} failed: {type(error).__name__}: {error}"
        raise PluginError(said, hint=f"report it to the authors of {owner}") from error


def imported(point: EntryPoint, patience_s: float | None) -> object:
    """Import a plugin.

    Args:
        point: of the plugin.
        patience_s: how long it may take; None for as long as it does.

    Raises:
        SpecError: it was not done in time, or ends the process.
    """
    if patience_s is None:
        return _loaded(point)
    done: list[object] = []
    failed: list[Exception] = []

    def load() -> None:
        try:
            done.append(_loaded(point))
        except Exception as error:
            failed.append(error)

    worker = threading.Thread(target=load, daemon=True, name=f"import of {point.value}")
    worker.start()
    worker.join(patience_s)
    if worker.is_alive():
        raise SpecError(f"importing {point.value} had not ended after {patience_s:g} s")
    if failed:
        raise failed[0]
    return done[0]


def _loaded(point: EntryPoint) -> object:
    if not point.pattern.match(point.value):
        raise SpecError(f"its entry point says {point.value!r}, not module or module:object")
    return surviving(point.load, f"importing {point.value}")


def surviving(call: Callable[[], Any], what: str) -> Any:
    """Return what a plugin's function returns; one that ends the process has failed like any other.

    Raises:
        SpecError: it ends the process.
    """
    try:
        return call()
    except SystemExit as error:
        raise SpecError(f"{what} ends the process ({error})") from error

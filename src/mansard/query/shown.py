"""Answers that show themselves: as text, in a notebook, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar


class Shown:
    """An answer that a module of ``mansard.render`` draws.

    Rendering lies above queries, so it is asked for by name and only when somebody looks.
    """

    renderer: ClassVar[str]
    """The module's name; it has ``plain(answer)`` and ``renderables(answer, width=…)``."""

    def __str__(self) -> str:
        return str(self._rendering().plain(self))

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(str(self))}</pre>"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield from self._rendering().renderables(self, width=options.max_width)

    def _rendering(self) -> Any:
        return import_module(f"mansard.render.{self.renderer}")

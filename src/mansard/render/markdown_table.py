"""Tables in Markdown, with text that stays text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 1) -> Iterator[str]:
    """Yield a Markdown table; columns from ``numbers`` on are aligned to the right."""
    yield f"| {' | '.join(map(escape, header))} |"
    yield "|" + "|".join("---" if i < numbers else "---:" for i in range(len(header))) + "|"
    for row in rows:
        yield f"| {' | '.join(map(escape, row))} |"


def escape(text: str) -> str:
    r"""Return text that is only text in a table of Markdown.

    >>> print(escape("a|b <i>"))
    a\|b &lt;i&gt;
    """
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")

"""A program as it is in the end, or after each of its passes."""

from __future__ import annotations

from collections.abc import Sequence

from mansard.core.errors import SpecError, unknown_name
from mansard.ir.program import Program
from mansard.query.effects import Technique
from mansard.render.graphs import draw


def stages(
    program: Program, applied: Sequence[Technique], after: str | None, graph: str, form: str
) -> str:
    """Return the text of a program, or of what it was after one pass or ``all``.

    Raises:
        UnknownNameError: no pass of that name ran.
        SpecError: several stages in a form that holds one graph.
    """
    if after is None:
        return draw(program, graph, form)
    chosen = [t for t in applied if after in ("all", t.name)]
    if not chosen:
        raise unknown_name("pass that ran", after, ["all", *(t.name for t in applied)])
    if len(chosen) > 1 and form not in ("text", "tree"):
        raise SpecError(
            f"{len(chosen)} stages do not fit one {form} document",
            hint="print after one pass, or use --format text",
        )
    if form not in ("text", "tree"):
        return draw(chosen[0].after, graph, form)
    parts = [
        f"// after {t.name}: {t.changed or 'nothing to change'}\n{draw(t.after, graph, form)}"
        for t in chosen
    ]
    return "\n".join(parts)

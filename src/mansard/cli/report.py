"""``mansard report``: the viewer's page as one file with its answers inlined."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mansard.cli.compare import NONE
from mansard.cli.question import Asked, question_options
from mansard.core.errors import SpecError

if TYPE_CHECKING:
    from mansard.core.notes import Note
    from mansard.query.estimate import Estimate


@click.command(short_help="The viewer's page as one file, answers inlined.")
@question_options
@click.option(
    "--vs",
    "variants",
    multiple=True,
    metavar="SPEC",
    help="A pipeline to hold beside, after -t; `none` adds none. Repeatable.",
)
@click.option(
    "-o",
    "--out",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="The file to write.",
)
def report(asked: Asked, variants: tuple[str, ...], out: str) -> None:
    """Write MODEL[,MODEL] on HW[,HW] as one HTML file that opens from disk and asks no server.

    \b
      mansard report llama-3.1-8b --on h100-sxm,l40s -t quantize:weights=int4 -o report.html
    """  # noqa: D301 - click reads the \b as "keep these lines"
    from mansard.cli.analyze import print_notes
    from mansard.cli.output import write_file
    from mansard.core.lists import names
    from mansard.query.analyze import analyze
    from mansard.serve.report import MOST, report_page

    path = Path(out).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise SpecError(f"--out {out!r} cannot be written", hint="name a file in a folder there is")
    model, keywords = asked.keywords()
    common = tuple(keywords.pop("techniques", ()))
    chips = names(str(keywords.pop("on")))
    pipelines = [() if v.strip() == NONE else (v,) for v in variants] or [()]
    cases = list(product(names(str(model)), chips, pipelines))
    if len(cases) > MOST:
        raise SpecError(f"{len(cases)} scenarios in one report", hint=f"at most {MOST}")
    made: list[tuple[str, dict[str, Any], Estimate]] = []
    notes: dict[Note, None] = {}
    for name, on, variant in cases:
        techniques = (*common, *variant)
        found = analyze(name, on=on, techniques=techniques, **keywords)
        question = _question(name, on, techniques, keywords)
        label = f"{found.model.name} on {on}" + "".join(f" + {v}" for v in variant)
        made.append((label, question, found))
        notes |= dict.fromkeys(found.notes)
    text = report_page(made, title=f"{made[0][0]} - mansard")
    write_file(path, text)
    print_notes(notes)
    size = len(text.encode()) / 1000
    print(f"{path}: {len(made)} scenario{'s' * (len(made) != 1)}, {size:.0f} kB", file=sys.stderr)


def _question(
    model: str, on: str, techniques: tuple[str, ...], keywords: dict[str, Any]
) -> dict[str, Any]:
    """Return a question as a page writes it, without what is as it would be anyway."""
    usual = {"phase": "both", "level": "O1", "estimate": "ideal"}
    said = {k: v for k, v in keywords.items() if v is not None and usual.get(k) != v}
    question = {"model": model, "on": on, **said}
    return question | ({"techniques": list(techniques)} if techniques else {})

"""``mansard compare``: models, chips and techniques side by side."""

from __future__ import annotations

import click

from mansard.cli.output import output_options, read_output
from mansard.cli.question import Asked, question_options
from mansard.core.lists import names

NONE = "none"


@click.command(short_help="Models, chips or techniques side by side.")
@question_options
@click.option("--vs", "variants", multiple=True, metavar="SPEC",
              help="A pipeline to compare, after -t; `none` adds none, and one alone is compared"
              " with it. Repeatable.")  # fmt: skip
@output_options()
def compare(asked: Asked, variants: tuple[str, ...], form: str | None, out: str | None) -> None:
    """Answer MODEL[,MODEL] on HW[,HW] side by side; the first is what the others are compared with.

    Where a column has no answer, the others are shown, and the exit code is that of its error.

    \b
      mansard compare llama-3.1-8b,qwen3-8b --on h100-sxm,l40s -t quantize:weights=int4
      mansard compare llama-3.1-8b --on h100-sxm --vs none --vs quantize:weights=int4
    """  # noqa: D301 - click reads the \b as "keep these lines"
    to = read_output(form, out)
    from mansard.cli.analyze import print_notes
    from mansard.query.comparing import compare as ask
    from mansard.query.lengths import of_the_whole

    model, keywords = asked.keywords()
    pipelines = [() if v.strip() == NONE else (v,) for v in variants] or [()]
    if len(pipelines) == 1 and pipelines != [()]:
        pipelines = [(), *pipelines]
    found = ask(names(model), names(keywords.pop("on")), variants=pipelines, **keywords)
    match to.form:
        case "json" | "jsonl" | "csv":
            from mansard.render.encodings import as_csv, as_json, as_jsonl

            write = {"json": as_json, "jsonl": as_jsonl}.get(to.form)
            if write:
                to.write(write(found.to_dict()))
            else:
                records = found.records()
                to.write(as_csv(list(records[0]), records))
        case "md":
            from mansard.render.comparison import markdown

            to.write(markdown(found))
        case _:
            from mansard.render.comparison import show

            to.print(lambda stream: show(found, stream))
    notes = (n for e in found.entries if e.estimate for n in e.estimate.notes)
    print_notes(dict.fromkeys(of_the_whole(notes)))
    if problem := next((e.problem for e in found.entries if e.problem), None):
        raise problem

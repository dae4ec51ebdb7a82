"""``mansard explain``: what a metric is made of."""

from __future__ import annotations

import click

from mansard.cli.options import TOKENS
from mansard.cli.output import output_options, read_output
from mansard.cli.question import Asked, question_options

FORMS = ("table", "json", "jsonl", "latex")


@click.command(short_help="What a metric is made of: formulas, pieces, passes, sources.")
@question_options
@click.option("--metric", metavar="NAME",
              help="ttft, tpot, latency, throughput, memory, cost with --price …"
              " Default: tpot, or latency where no tokens are made.")  # fmt: skip
@click.option("--over", metavar="SIZE", help="As functions of batch, prompt, output or context.")
@click.option("--op", metavar="NAME", help="One op: layers.gate_proj.")
@click.option("--pass", "technique", metavar="NAME", help="What one technique changed.")
@click.option("--top", type=TOKENS, help="Rows of each phase. Default: 10.")
@click.option("--all", "every", is_flag=True, help="Every row.")
@output_options(FORMS)
def explain(
    asked: Asked, metric: str | None, over: str | None, op: str | None, technique: str | None,
    top: int | None, every: bool, form: str | None, out: str | None,
) -> None:  # fmt: skip
    """Say what a metric of MODEL on HW is made of, down to the formula and its sources.

    \b
      mansard explain llama-3.1-8b --on h100-sxm --metric tpot --over batch
      mansard explain llama-3.1-8b --on h100-sxm --op layers.gate_proj
    """  # noqa: D301 - click reads the \b as "keep these lines"
    to = read_output(form, out, FORMS)
    from mansard.cli.analyze import print_notes
    from mansard.query.study import study

    model, keywords = asked.keywords()
    found = study(model, **keywords).explain(metric, over=over, op=op, technique=technique)
    match to.form:
        case "json" | "jsonl":
            from mansard.render.encodings import as_json, as_jsonl

            document = found.to_dict()
            to.write(as_json(document) if to.form == "json" else as_jsonl([document]))
        case "latex":
            to.write(found.latex())
        case _:
            from mansard.render.explanations import TOP, show

            shown = None if every else top or TOP
            to.print(lambda stream: show(found, stream, shown))
    print_notes(found.estimate.notes)

"""``mansard sensitivity``: how a metric answers to each rate of the chip."""

from __future__ import annotations

import click

from mansard.cli.answer import write_answer
from mansard.cli.output import output_options, read_output
from mansard.cli.question import Asked, question_options

FORMS = ("table", "json", "jsonl", "csv")


@click.command(short_help="How a metric answers to bandwidth, peaks and links.")
@question_options
@click.option("--metric", metavar="NAME",
              help="ttft, tpot, latency, throughput, energy, cost with --price …"
              " Default: tpot, or latency where no tokens are made.")  # fmt: skip
@output_options(FORMS)
def sensitivity(asked: Asked, metric: str | None, form: str | None, out: str | None) -> None:
    """Say how a metric of MODEL on HW answers to one percent more of each rate of the chip.

    Each elasticity is minus the share of time that the rate bounds; they add up to -1, less what
    no rate sets. Of the calibrated estimate they are differences of two answers.

    \b
      mansard sensitivity llama-3.1-70b --on h100-sxm:8 --metric latency -b 32
    """  # noqa: D301 - click reads the \b as "keep these lines"
    to = read_output(form, out, FORMS)
    from mansard.query.lengths import of_the_whole
    from mansard.query.study import study

    model, keywords = asked.keywords()
    found = study(model, **keywords).sensitivity(metric)
    write_answer(found, of_the_whole(found.estimate.notes), to, "sensitivities")

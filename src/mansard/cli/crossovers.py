"""``mansard crossovers``: where each op turns compute-bound."""

from __future__ import annotations

from dataclasses import replace

import click

from mansard.cli.answer import write_answer
from mansard.cli.output import output_options, read_output
from mansard.cli.question import Asked, phase_options

FORMS = ("table", "json", "jsonl", "csv")


@click.command(short_help="Where each op turns compute-bound, and how much of the whole is.")
@phase_options
@click.option("--over", metavar="SIZE", default="batch", show_default=True,
              help="As batch, prompt, output or context grows.")  # fmt: skip
@output_options(FORMS)
def crossovers(asked: Asked, over: str, form: str | None, out: str | None) -> None:
    """Say where each op of MODEL on HW turns compute-bound as a size grows.

    The phase is decode, or of a model without it the longest; or the one --phase names, such as
    denoise. A row counts as its mean step.

    \b
      mansard crossovers llama-3.1-70b --on h100-sxm -O0 --context 4k
      mansard crossovers llama-3.1-8b --on h100-sxm --phase prefill --over prompt -f csv
    """  # noqa: D301 - click reads the \b as "keep these lines"
    to = read_output(form, out, FORMS)
    from mansard.query.lengths import of_the_whole
    from mansard.query.scenario import PHASES
    from mansard.query.study import study

    named = asked.phase if asked.phase not in (None, *PHASES) else None
    model, keywords = (replace(asked, phase=None) if named else asked).keywords()
    found = study(model, **keywords).crossovers(over, named)
    write_answer(found, of_the_whole(found.estimate.notes), to, "crossovers")

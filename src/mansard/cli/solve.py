"""``mansard solve``: the inverse question."""

from __future__ import annotations

import click

from mansard.cli.output import output_options, read_output
from mansard.cli.question import Asked, question_options

NOTHING = 1
FORMS = ("table", "json", "jsonl")


@click.command(short_help="The largest batch, the least bandwidth … that satisfies constraints.")
@question_options
@click.option("--find", required=True, metavar="X",
              help="batch, prompt, output, context, devices, hardware.memory.bandwidth or any"
              " number of the chip, or a technique's option: quantize.weights.")  # fmt: skip
@click.option("--maximize", is_flag=True, help="The greatest value that satisfies.")
@click.option("--minimize", is_flag=True, help="The least value that satisfies.")
@click.option("-s", "--subject-to", "constraints", multiple=True, metavar="CONDITION",
              help="'tpot <= 25ms', 'memory <= 0.9*capacity', '1s < ttft <= 2s', 'tpot = 20ms'."
              " Repeatable.")  # fmt: skip
@click.option("--within", metavar="RANGE", help="Where to look: 1..4k, or values: int4,fp8.")
@output_options(FORMS)
@click.pass_context
def solve(
    ctx: click.Context, asked: Asked, find: str, maximize: bool, minimize: bool,
    constraints: tuple[str, ...], within: str | None, form: str | None, out: str | None,
) -> None:  # fmt: skip
    """Find the X of MODEL on HW that satisfies constraints on time, memory, throughput or cost.

    \b
      mansard solve llama-3.1-8b --on h100-sxm --find batch --maximize -s 'tpot<=20ms' -s 'memory<=capacity'
      mansard solve llama-3.1-8b --on h100-sxm --find hardware.memory.bandwidth --minimize -s 'tpot<=5ms'

    Exits with 1 when nothing satisfies the constraints.
    """  # noqa: D301, E501 - click reads the \b as "keep these lines"
    to = read_output(form, out, FORMS)
    from mansard.cli.analyze import print_notes
    from mansard.query.lengths import of_the_whole
    from mansard.query.study import study

    model, keywords = asked.keywords()
    found = study(model, **keywords).solve(
        find, maximize=maximize, minimize=minimize, subject_to=constraints, within=within
    )
    match to.form:
        case "json" | "jsonl":
            from mansard.render.encodings import as_json, as_jsonl

            document = found.to_dict()
            to.write(as_json(document) if to.form == "json" else as_jsonl([document]))
        case _:
            from mansard.render.solutions import show

            to.print(lambda stream: show(found, stream))
    if found.estimate is not None:
        print_notes(of_the_whole(found.estimate.notes))
    ctx.exit(0 if found.found else NOTHING)

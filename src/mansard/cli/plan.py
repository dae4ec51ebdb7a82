"""``mansard plan``: the fewest devices that serve a rate within objectives."""

from __future__ import annotations

from dataclasses import replace

import click

from mansard.cli.options import TOKENS
from mansard.cli.output import output_options, read_output
from mansard.cli.question import Asked, question_options

FORMS = ("table", "json", "md")
NONE = "none"


@click.command(short_help="The fewest devices that serve a rate within objectives.")
@question_options
@click.option("--slo", required=True, metavar="CONDITIONS",
              help="What a user is promised: 'ttft<1s,tpot<30ms'.")  # fmt: skip
@click.option("--rate", required=True, metavar="N/s", help="Requests: 5/s (or 5), 300/min.")
@click.option("--vs", "variants", multiple=True, metavar="SPEC",
              help="A pipeline to try, after -t; `none` adds none. Repeatable.")  # fmt: skip
@click.option("--max-devices", "most", type=TOKENS, default=64, show_default=True,
              help="Of an option; --on HW:N says the same.")  # fmt: skip
@click.option("--split", type=click.Choice(("both", "together", "apart")), default="both",
              help="Prefill and decode on the same devices or apart. Default: both.")  # fmt: skip
@output_options(FORMS)
@click.pass_context
def plan(
    ctx: click.Context, asked: Asked, slo: str, rate: str, variants: tuple[str, ...], most: int,
    split: str, form: str | None, out: str | None,
) -> None:  # fmt: skip
    """Find the fewest devices HW that serve MODEL at a rate, and how they share it.

    Several chips, --on A,B, are planned one by one and ranked: by cost, where --price gives one
    price, or one for each in their order; else by devices. Exits with 1 when nothing serves it.

    \b
      mansard plan llama-3.1-70b --on h100-sxm --slo 'ttft<1s,tpot<30ms' --rate 5/s -p 2k -n 256
      mansard plan llama-3.1-8b --on h100-sxm,l40s --price 2.5,1 --slo 'tpot<50ms' --rate 20/s
    """  # noqa: D301 - click reads the \b as "keep these lines"
    to = read_output(form, out, FORMS)
    from mansard.cli.analyze import print_notes
    from mansard.core import units
    from mansard.core.lists import listed, names
    from mansard.query.lengths import of_the_whole
    from mansard.query.planning.chips import document, plans
    from mansard.query.tables import kept_on_disk
    from mansard.query.written import dollars

    prices = [dollars(price) for price in listed(asked.price or "")]
    model, keywords = replace(asked, price=None).keywords()
    if (told := keywords.pop("price", None)) is not None and not prices:
        prices = [told]
    pipelines = [() if v.strip() == NONE else (v,) for v in variants] or [()]
    chips = names(str(keywords.pop("on")))
    with kept_on_disk():
        found = plans(
            model, chips, prices, slo=slo, rate=float(units.parse(rate, "1/s", bare=True)),
            variants=pipelines, most_devices=most, split=split, **keywords,
        )  # fmt: skip
    alone = len(found) == 1
    match to.form:
        case "json":
            from mansard.render.encodings import as_json

            to.write(as_json(found[0].to_dict() if alone else document(found)))
        case "md":
            from mansard.render import plan as one
            from mansard.render import plans as several

            to.write(one.markdown(found[0]) if alone else several.markdown(found))
        case _:
            from mansard.render import plan as one
            from mansard.render import plans as several

            to.print(lambda stream: one.show(found[0], stream) if alone else
                     several.show(found, stream))  # fmt: skip
    print_notes(dict.fromkeys(of_the_whole(note for plan in found for note in plan.notes)))
    ctx.exit(0 if any(plan.best for plan in found) else 1)

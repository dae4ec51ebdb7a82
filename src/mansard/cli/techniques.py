"""``mansard techniques``: the passes, their options, sources and limits."""

from __future__ import annotations

import click

from mansard.cli.listings import listing_the_rest, print_listing, print_record
from mansard.cli.output import output_options, read_output
from mansard.cli.root import Group


@click.group(cls=Group, short_help="The passes that change a model's graph.")
def techniques() -> None:
    """The passes that change a model's graph, for -t and pipelines."""


@techniques.command("list", short_help="Every technique, one a line.")
@output_options()
@listing_the_rest
def list_techniques(form: str | None, out: str | None) -> None:
    """List every technique with the distribution it came from."""
    to = read_output(form, out)
    from mansard.query import catalogue
    from mansard.render.techniques import technique_list

    print_listing(technique_list(catalogue.techniques()), to)


@techniques.command("show", short_help="One technique: options, source, limits.")
@click.argument("name")
@output_options()
@listing_the_rest
def show_technique(name: str, form: str | None, out: str | None) -> None:
    """Show what NAME does, assumes and leaves out, and its options."""
    to = read_output(form, out)
    from mansard.query import catalogue
    from mansard.render.techniques import show_technique_sheet, technique_record, technique_sheet

    sheet = catalogue.technique(name)
    if to.form == "table":
        to.print(lambda stream: show_technique_sheet(sheet, stream))
    else:
        print_record(technique_record(sheet), technique_sheet(sheet), to)

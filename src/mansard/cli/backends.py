"""``mansard backends``: what may answer in place of the roofline."""

from __future__ import annotations

import click

from mansard.cli.listings import listing_the_rest, print_listing, print_record
from mansard.cli.output import output_options, read_output
from mansard.cli.root import Group


@click.group(cls=Group, short_help="What may answer in place of the roofline.")
def backends() -> None:
    """What may answer in place of the roofline, for --backend."""


@backends.command("list", short_help="Every backend, one a line.")
@output_options()
@listing_the_rest
def list_backends(form: str | None, out: str | None) -> None:
    """List every backend with its options and the distribution it came from."""
    to = read_output(form, out)
    from mansard.query.backend_list import known_backends
    from mansard.render.backends import backend_list

    print_listing(backend_list(known_backends()), to)


@backends.command("show", short_help="One backend: options, source, what it leaves out.")
@click.argument("name")
@output_options()
@listing_the_rest
def show_backend(name: str, form: str | None, out: str | None) -> None:
    """Show what NAME does and its options."""
    to = read_output(form, out)
    from mansard.query.backend_list import backend_sheet
    from mansard.render import backends as shown

    sheet = backend_sheet(name)
    if to.form == "table":
        to.print(lambda stream: shown.show_backend(sheet, stream))
    else:
        print_record(shown.backend_record(sheet), shown.backend_options(sheet), to)

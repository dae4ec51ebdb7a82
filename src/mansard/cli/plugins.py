"""``mansard plugins``: what is installed beside mansard."""

from __future__ import annotations

import click

from mansard.cli.listings import print_listing
from mansard.cli.output import output_options, read_output
from mansard.cli.root import Group


@click.group(cls=Group, short_help="What is installed beside mansard.")
def plugins() -> None:
    """What is installed beside mansard."""


@plugins.command("list", short_help="Every plugin, one a line.")
@output_options()
def list_plugins(form: str | None, out: str | None) -> None:
    """List the installed plugins without importing one."""
    to = read_output(form, out)
    from dataclasses import asdict

    from mansard.query.plugins import installed
    from mansard.render.listing import Column, Listing

    records = [asdict(plugin) for plugin in installed()]
    columns = (
        Column("name", "distribution"),
        Column("version", "version"),
        Column("entry", "plugin"),
        Column("module", "module", flexible=True),
    )
    footer = f"{len(records)} plugins" if records else "none; mansard brings its own"
    print_listing(Listing(columns, records, records, footer), to)

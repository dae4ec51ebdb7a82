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
    """List mansard itself and the installed plugins with what each provides."""
    to = read_output(form, out)
    from dataclasses import asdict

    from mansard.query.plugins import Installed, installed
    from mansard.render.listing import Column, Listing

    def words(plugin: Installed) -> str:
        return plugin.problem or ", ".join(
            f"{len(names)} {kind}" if len(names) > 4 else f"{kind} {' '.join(names)}"
            for kind, names in plugin.provides.items()
        )

    found = installed()
    records = [asdict(plugin) for plugin in found]
    shown = [r | {"provides": words(p)} for p, r in zip(found, records, strict=True)]
    columns = (
        Column("name", "distribution"),
        Column("version", "version"),
        Column("entry", "plugin"),
        Column("provides", "provides", flexible=True),
    )
    others = len(found) - 1
    footer = f"{others} plugin{'' if others == 1 else 's'} besides mansard's own"
    print_listing(Listing(columns, records, shown, footer), to)

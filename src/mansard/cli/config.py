"""``mansard config``: which settings a question would use, and where each was said."""

from __future__ import annotations

import click

from mansard.cli.listings import print_listing
from mansard.cli.output import output_options, read_output
from mansard.cli.question import Asked, question_options
from mansard.cli.root import Group


@click.group(cls=Group, short_help="Which settings count, and where they were said.")
def config() -> None:
    """Which settings count, and where each was said.

    The command line outweighs the environment (MANSARD_BATCH=16), which outweighs the scenario's
    file, the project's mansard.toml (here or above) and the user's ~/.config/mansard/config.toml.
    """


@config.command("show", short_help="Every setting of a question.")
@question_options
@click.option("--origin", is_flag=True, help="Say where each was said.")
@output_options()
def show_config(asked: Asked, origin: bool, form: str | None, out: str | None) -> None:
    """Show the settings that MODEL, or a scenario's file, and these options would use."""
    to = read_output(form, out)
    from mansard.render.listing import Column, Listing

    records = [
        {"setting": s.name, "value": s.value} | ({"origin": s.origin} if origin else {})
        for s in asked.settings().values()
    ]
    shown = [record | {"value": _words(record["value"])} for record in records]
    columns = [Column("setting", "setting"), Column("value", "value", flexible=True)]
    if origin:
        columns.append(Column("origin", "said in", flexible=True))
    print_listing(Listing(tuple(columns), records, shown, f"{len(records)} settings"), to)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)

"""``mansard hardware``: the chips, their figures and where those come from."""

from __future__ import annotations

import click

from mansard.cli.listings import listing_the_rest, matching, print_listing, print_record
from mansard.cli.output import output_options, read_output
from mansard.cli.root import Group


@click.group(cls=Group, short_help="The chips mansard knows.")
def hardware() -> None:
    """The chips mansard knows, as data with sources."""


@hardware.command("list", short_help="Every chip, one a line.")
@click.option("--grep", metavar="TEXT", help="Only chips whose name contains TEXT.")
@output_options()
@listing_the_rest
def list_chips(grep: str | None, form: str | None, out: str | None) -> None:
    """List every chip: memory, bandwidth and dense peaks."""
    to = read_output(form, out)
    from mansard.query import named
    from mansard.render.chips import chip_list

    found = named.readable_chips(matching(named.chip_names(), grep))
    print_listing(chip_list([chip for _, chip in found], [owner for owner, _ in found]), to)


@hardware.command("show", short_help="One chip with its sources.")
@click.argument("chip")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override a key of its file: memory.bandwidth=4TB/s.")  # fmt: skip
@output_options()
def show_chip(chip: str, overrides: tuple[str, ...], form: str | None, out: str | None) -> None:
    """Show every figure of CHIP (a name or a .toml file) and its source."""
    to = read_output(form, out)
    from mansard.query import named
    from mansard.query.overrides import read_assignments
    from mansard.render.chips import chip_record, chip_sheet

    found = named.chip(chip)
    for key, value in read_assignments(overrides).items():
        found = found.override(key, value)
    print_record(chip_record(found), chip_sheet(found), to)


@hardware.command("diff", short_help="In what chips differ.")
@click.argument("chips", nargs=-1, required=True)
@output_options()
def diff_chips(chips: tuple[str, ...], form: str | None, out: str | None) -> None:
    """Show the figures in which CHIPS differ."""
    to = read_output(form, out)
    from mansard.core.errors import SpecError
    from mansard.query.named import chip as load
    from mansard.render.chips import chip_difference

    found = list({chip.id: chip for chip in map(load, chips)}.values())
    if len(found) < 2:
        raise SpecError("one chip does not differ from itself", hint="name two chips or more")
    print_listing(chip_difference(found), to)


@hardware.command("check", short_help="Check files that describe chips.")
@click.argument("files", nargs=-1)
@listing_the_rest
def check_chips(files: tuple[str, ...]) -> None:
    """Check FILES, or every bundled chip: keys, units, contradictions, and whether it is plausible.

    Of each file the ratios that tell a slipped digit are printed, and what measured products
    reach of its figures where there are any; of the bundled chips, those that are odd: outside of
    where such ratios usually lie. That is a reason to look again, not an error.
    """
    from mansard.query import named
    from mansard.query.plausible import plausibility

    known = [] if files else [c for _, c in named.readable_chips(named.chip_names())]
    odd = 0
    for chip in map(named.chip, files) if files else known:
        found = plausibility(chip)
        odd += any(finding.odd for finding in found)
        if files:
            state = "odd, see below" if any(finding.odd for finding in found) else "ok"
            click.echo(f"{chip.id}, {chip.name}: {state}")
        for finding in found if files else (f for f in found if f.odd):
            mark = "  odd: " if finding.odd else "  "
            click.echo(f"{mark}{finding}" if files else f"{chip.id}: odd: {finding}")
    if not files:
        click.echo(f"{len(known)} chips: {len(known) - odd} ok, {odd} odd")
    if odd:
        click.echo("odd: outside of where this ratio usually lies; look the figure up again")

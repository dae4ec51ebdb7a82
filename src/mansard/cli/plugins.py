"""``mansard plugins``: what is installed beside mansard."""

from __future__ import annotations

from pathlib import Path

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
    """List mansard itself and the installed plugins with what each provides.

    One that fails is listed with what is wrong, and so is a single thing of one; nothing stops
    the list.
    """
    to = read_output(form, out)
    from dataclasses import asdict

    from mansard.plugins.loading import skipping_broken
    from mansard.query.plugins import Installed, installed
    from mansard.render.listing import Column, Listing

    def words(plugin: Installed) -> str:
        left = "; ".join(thing.problem for thing in plugin.without)
        if plugin.broken:
            return f"BROKEN: {plugin.problem or left}"
        return f"{plugin.adds}; left out: {left}" if left else plugin.adds

    with skipping_broken():
        found = installed()
    records = [asdict(plugin) for plugin in found]
    shown = [r | {"provides": words(p)} for p, r in zip(found, records, strict=True)]
    columns = (
        Column("name", "distribution"),
        Column("version", "version"),
        Column("entry", "plugin"),
        Column("provides", "provides", flexible=True),
    )
    others, broken = len(found) - 1, sum(plugin.broken for plugin in found)
    footer = f"{others} plugin{'' if others == 1 else 's'} besides mansard's own"
    footer += f", {broken} broken" if broken else ""
    if any(plugin.problem or plugin.without for plugin in found):
        footer += "; `mansard plugins check` says what is wrong"
    print_listing(Listing(columns, records, shown, footer), to)


@plugins.command("new", short_help="A distribution to start from.")
@click.argument("name")
@click.option("--kind", default="technique", metavar="KIND",
              help="technique (default), hardware, backend, frontend, model or op.")  # fmt: skip
@click.option("--in", "folder", type=click.Path(path_type=Path), default=Path(), metavar="FOLDER",
              help="Where its folder is made. Default: here.")  # fmt: skip
def new_plugin(name: str, kind: str, folder: Path) -> None:
    """Write a distribution called NAME that installs, tests and runs as it is."""
    from mansard.plugins.scaffold import KINDS, scaffold

    root, *made = scaffold(name, kind, folder)
    for path in made:
        click.echo(f"wrote {path}")
    click.echo(f"\ncd {root}\npip install -e '.[test]'\npytest\nmansard plugins check {name}")
    click.echo(KINDS[kind].show.format(name=name))
    click.echo(KINDS[kind].use.format(name=name))


@plugins.command("check", short_help="Whether a plugin is described and keeps the laws.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--models", type=click.IntRange(1), help="How many bundled models things are"
              " tried on. Default: all.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, metavar="N",
              help="Processes that share the models. Default: 1.")  # fmt: skip
@click.option("--limit", "limit_s", type=click.FloatRange(1), default=60.0, metavar="SECONDS",
              help="Try no further model after this long. Default: 60.")  # fmt: skip
@output_options()
@click.pass_context
def check_plugins(
    ctx: click.Context, names: tuple[str, ...], models: int | None, jobs: int, limit_s: float,
    form: str | None, out: str | None,
) -> None:  # fmt: skip
    """Check metadata, docs, sources and the laws of everything a plugin adds.

    Techniques and backends are tried on bundled models. A technique's graph must be valid and its
    text read back, it must be the identity where it says so, and no arithmetic may be gone unless
    it says what it leaves out; where it does not apply it must say why, and what to do. A backend
    must answer every phase, with the program's own work and numbers that can be. NAME is a
    distribution or its plugin; without one every installed plugin is checked. Exits with 1 when
    anything is wrong.
    """
    to = read_output(form, out)
    from dataclasses import asdict

    from mansard.plugins.loading import BUILTIN, skipping_broken
    from mansard.query.checking import Finding, check
    from mansard.query.plugins import installed
    from mansard.render.listing import Column, Listing

    with skipping_broken():
        chosen = names or dict.fromkeys(p.name for p in installed() if p.name != BUILTIN)
        found: list[Finding] = [f for name in chosen for f in check(name, limit_s, models, jobs)]
    records = [asdict(f) | {"holds": not f.problem} for f in found]
    shown = [
        {"holds": "BAD" if f.problem else "ok", "thing": f.thing, "what": f.what,
         "said": f.problem or f.said}
        for f in found
    ]  # fmt: skip
    columns = (
        Column("holds", ""),
        Column("thing", "about"),
        Column("what", "rule"),
        Column("said", "", flexible=True),
    )
    bad = sum(bool(f.problem) for f in found)
    footer = f"{len(found)} checked, {bad} wrong" if found else "no plugin besides mansard's own"
    print_listing(Listing(columns, records, shown, footer), to)
    ctx.exit(1 if bad else 0)

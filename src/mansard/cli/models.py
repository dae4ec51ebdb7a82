"""``mansard models``: the models mansard knows by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mansard.cli.listings import matching, print_listing, print_record
from mansard.cli.output import output_options, read_output
from mansard.cli.root import Group


@click.group(cls=Group, short_help="The models mansard knows by name.")
def models() -> None:
    """The models mansard knows by name; any other is named by its config."""


@models.command("list", short_help="Every bundled model, one a line.")
@click.option("--grep", metavar="TEXT", help="Only models whose name contains TEXT.")
@output_options()
def list_models(grep: str | None, form: str | None, out: str | None) -> None:
    """List the bundled models with their parameters."""
    to = read_output(form, out)
    from mansard.frontends.hf import bundled
    from mansard.query.named import plugin_models
    from mansard.render.listing import Column, Listing
    from mansard.render.words import parameters

    others = plugin_models()
    names = matching((*bundled.names(), *others), grep)
    records = [
        _added(n, *others[n]) if n in others else _record(bundled.load_bundled(n)) for n in names
    ]
    shown = [r | {"parameters": parameters(r["parameters"])} for r in records]
    columns = (
        Column("name", "model"),
        Column("parameters", "parameters", number=True),
        Column("family", "family"),
        Column("hub_id", "Hugging Face id", flexible=True),
        Column("from", "from"),
    )
    print_listing(Listing(columns, records, shown, f"{len(records)} models"), to)


@models.command("show", short_help="One model: what was read and where.")
@click.argument("model")
@output_options()
def show_model(model: str, form: str | None, out: str | None) -> None:
    """Show what MODEL is: parameters, cache a token, and each fact with where it was read."""
    to = read_output(form, out)
    from dataclasses import asdict

    from mansard.core.units import format_bytes
    from mansard.ir.footprint import model_facts
    from mansard.query.source import load
    from mansard.render.listing import Column, Listing

    program = load(model)
    facts = asdict(model_facts(program))
    read = {k: {"value": v, "from": where} for k, (v, where) in program.origin.facts.items()}
    record: dict[str, Any] = facts | {"max_context": program.origin.max_context, "facts": read}
    written = {"kv_bytes_per_token": format_bytes, "state_bytes": format_bytes}
    counted = [
        {"fact": k, "value": written[k](v) if k in written else _words(v), "from": "counted"}
        for k, v in facts.items()
        if k not in ("name", "source", "family")
    ]
    named = [{"fact": k, "value": str(facts[k]), "from": ""} for k in ("name", "source", "family")]
    keys = [{"fact": k, "value": v["value"], "from": v["from"]} for k, v in read.items()]
    columns = (
        Column("fact", "fact"), Column("value", "value", flexible=True),
        Column("from", "from", flexible=True),
    )  # fmt: skip
    print_record(record, Listing(columns, [record], [*named, *counted, *keys]), to)
    from mansard.cli.analyze import print_notes

    print_notes(program.origin.notes)


def _record(model: Any) -> dict[str, Any]:
    return {
        "name": model.name,
        "hub_id": model.hub_id,
        "family": model.config.values.get("model_type", ""),
        "parameters": model.parameters,
        "source": model.source,
        "aliases": list(model.aliases),
        "from": "mansard",
    }


def _added(name: str, config: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return the record of a plugin's model, its parameters counted."""
    from mansard.ir.footprint import model_facts
    from mansard.query.source import load

    return {
        "name": name,
        "hub_id": "",
        "family": config.get("model_type", ""),
        "parameters": model_facts(load(name)).params,
        "source": f"plugin {owner}",
        "aliases": [],
        "from": owner,
    }


def _words(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)

"""``mansard models``: the models mansard knows by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from mansard.cli.listings import listing_the_rest, matching, print_listing, print_record
from mansard.cli.output import output_options, read_output
from mansard.cli.root import Group
from mansard.cli.tape import never_again

if TYPE_CHECKING:
    from mansard.ir.program import Program
    from mansard.query.model_sheet import ModelSheet


KINDS = ("dense", "moe", "mla", "ssm", "hybrid", "multimodal", "encoder", "diffusion")
"""Kinds that are a column of their own; a mixer's name is searched for, and not shown."""


@click.group(cls=Group, short_help="The models mansard knows by name.")
def models() -> None:
    """The models mansard knows by name; any other is named by its config."""


@models.command("list", short_help="Every bundled model, one a line.")
@click.argument("search", nargs=-1)
@click.option("--grep", metavar="TEXT", help="Only models whose name contains TEXT.")
@output_options()
@listing_the_rest
def list_models(
    search: tuple[str, ...], grep: str | None, form: str | None, out: str | None
) -> None:
    """List the models that every word of SEARCH matches.

    A word is a part of a name, id or family, a kind (dense, moe, mla, ssm, hybrid, multimodal), or
    a size, for example '<=8b'.
    """
    to = read_output(form, out)
    from mansard.query.model_list import known_models
    from mansard.render.listing import Column, Listing
    from mansard.render.words import parameters

    entries = {entry.name: entry for entry in known_models(" ".join(search))}
    if search and not entries:
        matching(("",), " ".join(search))
    names = matching(entries, grep)
    records = [_record(entries[name]) for name in names]
    shown = [
        r | {"parameters": parameters(r["parameters"]), "kind": _kind(r["kind"])} for r in records
    ]
    columns = (
        Column("name", "model"),
        Column("parameters", "parameters", number=True),
        Column("family", "family", spare=3),
        Column("kind", "kind", flexible=True, spare=2),
        Column("hub_id", "Hugging Face id", spare=4),
        Column("from", "from", spare=1),
    )
    print_listing(Listing(columns, records, shown, f"{len(records)} models"), to)


@models.command("families", short_help="Every model_type whose configs are read, one a line.")
@click.argument("search", nargs=-1)
@output_options()
@listing_the_rest
def list_families(search: tuple[str, ...], form: str | None, out: str | None) -> None:
    """List the families that every word of SEARCH matches: a part of a name or class, or a kind.

    A config.json of any of them is a model; docs/add-a-model.md says how to add a family.
    """
    to = read_output(form, out)
    from mansard.query.family_list import known_families
    from mansard.render.listing import Column, Listing

    records = [vars(entry) for entry in known_families(" ".join(search))]
    if not records:
        matching(("",), " ".join(search))
    columns = (
        Column("name", "model_type"),
        Column("architecture", "class", flexible=True, spare=2),
        Column("kind", "kind", flexible=True, spare=1),
        Column("models", "bundled", number=True),
        Column("owner", "from", spare=3),
    )
    shown = [r | {"kind": _kind(r["kind"]), "models": str(r["models"] or "")} for r in records]
    print_listing(Listing(columns, records, shown, f"{len(records)} families"), to)


@models.command("show", short_help="One model: what was read and where.")
@click.argument("model")
@click.option(
    "--download", is_flag=True, help="Fetch MODEL's config.json from the Hugging Face Hub first."
)
@output_options()
def show_model(model: str, download: bool, form: str | None, out: str | None) -> None:
    """Show what MODEL is: parameters by role, what a sequence keeps, layers, and their source."""
    to = read_output(form, out)
    from mansard.query.model_sheet import model_sheet
    from mansard.query.source import load
    from mansard.render.listing import Column, Listing

    if download:
        from mansard.query.download import download_config

        download_config(model)
        never_again()
    program = load(model)
    sheet = model_sheet(program)
    record = _sheet_record(program, sheet)
    rows = [{"fact": k, "value": v, "from": where} for k, v, where in _rows(program, sheet)]
    columns = (
        Column("fact", "fact"), Column("value", "value", flexible=True),
        Column("from", "from", flexible=True),
    )  # fmt: skip
    print_record(record, Listing(columns, [record], rows), to)
    from mansard.cli.analyze import print_notes

    print_notes(program.origin.notes)


def _kind(words: list[str]) -> str:
    return " ".join(word for word in words if word in KINDS)


def _record(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "hub_id": entry.hub_id,
        "family": entry.family,
        "kind": list(entry.kind),
        "parameters": entry.parameters,
        "source": entry.source,
        "aliases": list(entry.aliases),
        "from": entry.owner,
    }


def _sheet_record(program: Program, sheet: ModelSheet) -> dict[str, Any]:
    """Return the sheet for programs: SI values, every fact with where it was read."""
    from dataclasses import asdict

    read = {k: {"value": v, "from": where} for k, (v, where) in program.origin.facts.items()}
    return asdict(sheet.facts) | {
        "params_by_role": dict(sheet.by_role),
        "mtp_params": sheet.mtp_params,
        "weights_bytes": sheet.weights_bytes,
        "stored_bytes": sheet.stored_bytes,
        "stored_bytes_by_encoding": dict(sheet.by_encoding),
        "checkpoint": sheet.checkpoint,
        "layers": sheet.layers,
        "max_context": program.origin.max_context,
        "config": _config_source(program),
        "facts": read,
    }


def _rows(program: Program, sheet: ModelSheet) -> Iterator[tuple[str, str, str]]:
    """Yield the sheet for people: what, how much, and where that comes from."""
    from mansard.core.units import format_bytes

    facts, counted = sheet.facts, "counted"
    yield "name", facts.name, ""
    yield "source", facts.source, _config_source(program)
    yield "family", facts.family, ""
    yield "params", f"{facts.params:,}", counted
    for role, count in sheet.by_role.items():
        yield f"  {role}", f"{count:,}", ""
    yield "active_params", f"{facts.active_params:,}", counted
    if sheet.mtp_params:
        yield "mtp_params", f"{sheet.mtp_params:,}", program.origin.facts["mtp_params"][1]
    dtype = f"counted, in {_dtype(program)}" if sheet.checkpoint else counted
    yield "weights_bytes", format_bytes(sheet.weights_bytes), dtype
    if sheet.checkpoint:
        yield "stored_bytes", format_bytes(sheet.stored_bytes), "counted, as the checkpoint has it"
        for encoding, size in sheet.by_encoding.items():
            yield f"  {encoding}", format_bytes(size), ""
        yield "checkpoint", sheet.checkpoint, "its quantization_config"
    yield "kv_bytes_per_token", format_bytes(facts.kv_bytes_per_token), counted
    yield "state_bytes", format_bytes(facts.state_bytes), counted
    yield "max_context", f"{program.origin.max_context}", ""
    hidden = ("mtp_params",)
    for key, (value, where) in program.origin.facts.items():
        if key not in hidden:
            yield key, value, where


def _dtype(program: Program) -> str:
    """Return the dtype the config states, and what counts where it states none."""
    return program.origin.facts.get("dtype", ("bf16", ""))[0].strip("'")


def _config_source(program: Program) -> str:
    """Return where a bundled model's config was read, and compared; empty for a user's own file."""
    if program.origin.source != "bundled":
        return ""
    from mansard.frontends.hf.bundled import load_bundled

    model = load_bundled(program.origin.name)
    with_what = f"compared with {model.compared}" if model.compared else "no second source found"
    return f"{model.source}; {with_what}"

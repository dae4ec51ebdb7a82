"""``mansard graph``: the operator graph of a model, before or after passes."""

from __future__ import annotations

import click

from mansard.cli.options import graph_options, read_aliases, technique_options
from mansard.cli.output import output_options, read_output

FORMS = ("text", "tree", "dot", "json", "graphml")


@click.command(short_help="The operator graph of a model.")
@click.argument("model")
@technique_options
@graph_options
@click.option("--name", "graph_name", default="target", help="Which graph. Default: target.")
@click.option("--print-after", "after", metavar="PASS",
              help="Print the program after this pass, or after `all` of them.")  # fmt: skip
@output_options(FORMS)
def graph(
    model: str, techniques: tuple[str, ...], level: str | None, overrides: tuple[str, ...],
    raw: bool, aliases: tuple[str, ...], branch: str,
    graph_name: str, after: str | None, form: str | None, out: str | None,
) -> None:  # fmt: skip
    """Print the graph of MODEL after its techniques (-O0 for the graph as written)."""
    to = read_output(form, out, FORMS)
    from mansard.query.overrides import read_assignments
    from mansard.query.source import load
    from mansard.query.techniques import apply_techniques
    from mansard.render.stages import stages

    loaded = load(
        model, set=read_assignments(overrides), raw=raw, alias=read_aliases(aliases), branch=branch
    )
    program, applied = apply_techniques(loaded, techniques, f"O{level or 1}")
    if form is None and out is not None and out.lower().endswith(".gv"):
        form = "dot"
    to.write(stages(program, applied, after, graph_name, to.form))

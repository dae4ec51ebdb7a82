"""``mansard analyze``: one model on one hardware."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mansard.cli.options import TOKENS
from mansard.cli.output import Output, output_options, read_output
from mansard.cli.paint import paint
from mansard.cli.question import Asked, question_options
from mansard.core.notes import Note

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate
    from mansard.query.gate import Gate
    from mansard.render.lines import View

GATE, STRICT = 1, 3


@click.command(short_help="One model on one hardware.")
@question_options
@output_options()
@click.option("--by", type=click.Choice(("op", "kind", "layer")),
              help="What a row of table, md or csv is: op shows one of each.")  # fmt: skip
@click.option("--top", type=TOKENS, help="Rows of each phase. Default: 10 (csv: all).")
@click.option("--all", "every", is_flag=True, help="Every row.")
@click.option("--fail-if", "gates", multiple=True, metavar="CONDITION",
              help="Exit 1 when it holds: 'tpot > 30ms'. Repeatable.")  # fmt: skip
@click.option("--must-fit", is_flag=True, help="Exit 1 when it does not fit the memory.")
@click.option("--strict", is_flag=True, help="Exit 3 when anything is unknown.")
@click.option("--backend", metavar="NAME", help="What answers in place of the roofline, with"
              " options: energy, carbon:grid=400 (mansard backends list).")  # fmt: skip
@click.option("--roofline", is_flag=True, help="Draw the roofline of each phase (table).")
@click.pass_context
def analyze(
    ctx: click.Context, asked: Asked, form: str | None, out: str | None, by: str | None,
    top: int | None, every: bool, gates: tuple[str, ...], must_fit: bool, strict: bool,
    backend: str | None, roofline: bool,
) -> None:  # fmt: skip
    """Say what MODEL costs on HW: time, memory and what bounds each operator.

    MODEL is a bundled model, a Hugging Face id in the local cache, the path of a config.json, of
    a folder with one or of an ONNX file, or a scenario's .toml, which may name everything.
    """
    output_to = read_output(form, out)
    from mansard.query.remember import Question
    from mansard.render.lines import DEFAULT_TOP, View

    conditions = _read_gates(gates)
    model, keywords = asked.keywords()
    if backend is not None:
        keywords["backend"] = backend
    question = Question.of(model, keywords)
    estimate = recalled = None
    if not roofline:
        estimate = recalled = question.recall(effects=output_to.form in ("table", "md"))
    if estimate is None:
        from mansard.query.analyze import analyze as ask

        estimate = ask(model, **keywords)
    unlimited = every or (top is None and output_to.form == "csv")
    shown = None if unlimited else top or DEFAULT_TOP
    view = View(by or "op", shown, each=by == "op")
    failed = [c.text for c in conditions if c.holds(estimate)]
    _write(estimate, output_to, view, roofline)
    print_notes(estimate.notes)
    if recalled is None:
        question.keep(estimate)
    ctx.exit(_verdict(estimate, failed, must_fit, strict))


def _read_gates(texts: tuple[str, ...]) -> list[Gate]:
    """Read conditions; where there are none nothing is imported that could."""
    if not texts:
        return []
    from mansard.query.gate import read_gate

    return [read_gate(text) for text in texts]


def _write(estimate: Estimate, to: Output, view: View, roofline: bool) -> None:
    match to.form:
        case "json":
            from mansard.render.encodings import as_json

            to.write(as_json(estimate.to_dict()))
        case "jsonl":
            from mansard.render.encodings import as_jsonl

            to.write(as_jsonl([estimate.to_dict()]))
        case "csv":
            from mansard.render.op_csv import op_csv

            to.write(op_csv(estimate, view))
        case "md":
            from mansard.render.markdown import markdown

            to.write(markdown(estimate, view))
        case _:
            from mansard.render.terminal import show

            to.print(lambda stream: show(estimate, stream, view, roofline=roofline))


def print_notes(notes: Iterable[Note]) -> None:
    """Print notes to stderr, one a line, so that data stays data."""
    from mansard.render.grouping import grouped

    sys.stdout.flush()
    for line in grouped(notes):
        head = paint("note:", "33") if line.opens else "     "
        code = paint(f" [{line.code}]", "2") if line.code else ""
        print(f"{head} {line.message}{code}", file=sys.stderr)


def _refusals(estimate: Estimate, must_fit: bool, strict: bool) -> list[tuple[int, str]]:
    """Return what ``--strict`` and ``--must-fit`` refuse of an answer, with its exit code."""
    from mansard.query.concerns import misfit, unknowns

    reasons = [(STRICT, f"--strict: {n.message} [{n.code}]")
               for n in (unknowns(estimate.notes) if strict else ())]  # fmt: skip
    if must_fit and estimate.memory.fits is not True:
        fits = estimate.memory.fits is None
        why = "the capacity is unknown" if fits else misfit(estimate.memory, estimate.chip.id)
        reasons.append((GATE, f"--must-fit: {why}"))
    return reasons


def _verdict(estimate: Estimate, failed: list[str], must_fit: bool, strict: bool) -> int:
    reasons = _refusals(estimate, must_fit, strict) if must_fit or strict else []
    reasons += [(GATE, f"--fail-if: {text}") for text in failed]
    for _, reason in reasons:
        print(f"{paint('failed:', '1;31')} {reason}", file=sys.stderr)
    return min((code for code, _ in reasons), default=0)

"""``mansard sweep``: every combination of some axes, whole or reduced."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mansard.cli.options import TOKENS
from mansard.cli.output import FORMATS, Output, output_options, read_output
from mansard.cli.question import Asked, question_options
from mansard.cli.tape import never_again, untaped
from mansard.core.errors import SpecError

if TYPE_CHECKING:
    from mansard.query.sweeps.result import Sweep

INTERRUPTED = 130
PARQUET = "parquet"
LONG_S = 1.0
"""After this long a progress bar appears."""


@click.command(short_help="Every combination of some axes.")
@question_options
@click.option("--vary", "vary", multiple=True, metavar="AXIS=VALUES",
              help="batch=1..512x2, prompt=1k,8k, quantize.weights=bf16,int4,"
              " hardware.memory.bandwidth=linspace(2TB/s,8TB/s,4); repeatable.")  # fmt: skip
@click.option(
    "--pareto", metavar="A,B", help="Keep the points that no other beats in all of these."
)
@click.option("--top", type=TOKENS, help="Keep the N best by --best.")
@click.option(
    "--best", metavar="METRIC", help="What --top compares; 1 point unless --top is given."
)
@click.option("--unfit", is_flag=True, help="Let --pareto and --top keep what does not fit.")
@click.option("--engine", default="auto", metavar="NAME",
              help="auto, numpy, numba (extra fast) or dask[=ADDRESS]"
              " (extra distributed).")  # fmt: skip
@output_options((*FORMATS, PARQUET))
@click.pass_context
def sweep(
    ctx: click.Context, asked: Asked, vary: tuple[str, ...], pareto: str | None, top: int | None,
    best: str | None, unfit: bool, engine: str, form: str | None, out: str | None,
) -> None:  # fmt: skip
    """Evaluate MODEL[,MODEL] on HW[,HW] for every combination of the axes that vary.

    With --pareto or --top the points are reduced as they stream, so that a hundred million of
    them need no memory.

    \b
      mansard sweep llama-3.1-8b --on h100-sxm,l40s --vary batch=1..512x2 --vary prompt=1k,8k
      mansard sweep llama-3.1-8b --on h100-sxm --vary batch=1..512 --pareto throughput,tpot
    """  # noqa: D301 - click reads the \b as "keep these lines"
    to = read_output(form, out, (*FORMATS, PARQUET))
    if to.form == PARQUET and to.path is None:
        raise SpecError("parquet is no text for a terminal", hint="add -o FILE.parquet")
    from mansard.cli.analyze import print_notes
    from mansard.query.study import study
    from mansard.query.sweeps.axes import named
    from mansard.query.sweeps.run import sweep as run
    from mansard.query.tables import kept_on_disk

    model, keywords = asked.keywords()
    models, chips = named(model), named(keywords.pop("on"))
    axes: dict[str, object] = {}
    if len(models) > 1:
        axes["model"] = models
    if len(chips) > 1:
        axes["on"] = chips
    axes |= _read_axes(vary, axes)
    if "context" in axes:  # what weaker places say of lengths does not count beside it
        for name in ("prompt", "output", "phase"):
            if getattr(asked, name) is None:
                keywords.pop(name, None)
    if engine.startswith("dask"):
        never_again()  # a cluster is to do it
    found: Sweep | None = None
    question = study(models[0], on=chips[0], **keywords)
    with _bar() as progress, kept_on_disk(), suppress(KeyboardInterrupt):
        found = run(question, axes, pareto=pareto or (), top=top, best=best, unfit=unfit,
                    engine=engine, progress=progress)  # fmt: skip
    if found is None or (found.interrupted and not found.evaluated):
        there = to.path is not None and to.path.exists()
        left = f"; {to.path} is {'unchanged' if there else 'not written'}" if to.path else ""
        print(f"interrupted before the first point{left}", file=sys.stderr)
        ctx.exit(INTERRUPTED)
    _write(found, to)
    print_notes(found.notes)
    if found.interrupted:
        done = f"{found.evaluated:,} of {found.points:,} points"
        print(f"interrupted: what is written covers {done}", file=sys.stderr)
        ctx.exit(INTERRUPTED)


def _read_axes(texts: tuple[str, ...], taken: dict[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise SpecError(f"cannot read --vary {text[:60]!r}", hint="write --vary batch=1..512x2")
        if name in found or name in taken:
            raise SpecError(f"the axis {name} is given twice", hint="put its values in one list")
        found[name] = values
    return found


def _write(found: Sweep, to: Output) -> None:
    if to.form == PARQUET:
        _write_parquet(found, to)
        return
    from mansard.render.sweeps import show_sweep, written

    if to.form == "table":
        to.print(lambda stream: show_sweep(found, stream))
    else:
        to.write(written(found, to.form))


def _write_parquet(found: Sweep, to: Output) -> None:
    path = to.path or Path()
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise SpecError(
            "parquet needs pyarrow, which is not installed",
            hint="pip install 'mansard[tables]', or write csv",
        ) from None
    never_again()
    columns = {name: list(column) for name, column in found.columns.items()}
    parquet.write_table(pyarrow.table(columns), path)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """Show progress on stderr when that is a terminal and the work is long."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    begun = time.monotonic()
    words = TextColumn("{task.completed:,.0f} of {task.total:,.0f} points")
    terminal = Console(file=untaped(sys.stderr))
    bar = Progress(BarColumn(), words, TimeRemainingColumn(), console=terminal, transient=True)
    task = bar.add_task("points", total=None)
    shown = False

    def told(done: int, total: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - begun <= LONG_S:
            return
        bar.update(task, completed=done, total=total)
        if not shown:
            shown = True
            bar.start()

    try:
        yield told
    finally:
        if shown:
            bar.stop()

"""``mansard calibrate``: fit a chip from a CSV of measured kernels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mansard.backends.calibrated.user_csv import Report


@click.command(short_help="Fit a chip from measured kernels.")
@click.argument("measurements", metavar="CSV")
@click.option("--chip", required=True, metavar="ID", help="A chip (mansard hardware list) or a"
              " file.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(dir_okay=False), metavar="FILE",
              help="Where the calibration goes. Default: stdout.")  # fmt: skip
@click.option("--plot", type=click.Path(dir_okay=False), metavar="FILE",
              help="An SVG of predicted against measured, shapes held back.")  # fmt: skip
def calibrate(measurements: str, chip: str, out: str | None, plot: str | None) -> None:
    """Fit calibrated estimates of a chip from the kernels in CSV, and say how far off they are.

    docs/calibrate.md says what columns there are and has a script that records them. Use the
    result with --estimate calibrated --set calibration=FILE.
    """
    from mansard.query.calibration import fitted
    from mansard.render.ansi_text import plain_width, width_of
    from mansard.render.calibration import lines

    report = fitted(measurements, chip, lambda said: print(said, file=sys.stderr, flush=True))
    text = report.calibration.to_toml()
    if out is None:
        print(text, end="")
    else:
        _write(out, text)
    if plot is not None:
        _write(plot, _drawn(report))
    sys.stdout.flush()
    to = sys.stderr if out is None else sys.stdout
    for line in lines(report, (width_of(to) if to.isatty() else None) or plain_width()):
        print(line, file=to)
    if out is not None:
        print(f"wrote {out}: use it with\n  --estimate calibrated --set calibration={out}")


def _drawn(report: Report) -> str:
    from mansard.backends.calibrated.plot import scatter

    return scatter({name: held.points for name, held in report.held.items()}, "shapes held back")


def _write(path: str, text: str) -> None:
    from mansard.core.errors import MansardError

    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise MansardError(f"cannot write {path!r}: {error}", hint="choose another file") from error

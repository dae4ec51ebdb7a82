"""The accuracy page as text: gates first, then where the numbers come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np

from mansard.backends.calibrated import judge, stacks, tables
from mansard.backends.calibrated.first_tokens import StaticBatch, first_tokens, held_back
from mansard.backends.calibrated.gates import gates
from mansard.backends.calibrated.judge import Judged
from mansard.backends.calibrated.kinds import NETWORKS, OPS
from mansard.backends.calibrated.plot import scatter
from mansard.backends.calibrated.refit import Gathered
from mansard.backends.calibrated.stacks import WHOLE, Fits
from mansard.backends.calibrated.tables import Ranking, Unmeasured
from mansard.backends.calibrated.total_bands import total_bands

PLOTS = "accuracy"
"""Folder of the plots, beside the page."""


def files_of(
    fitted: dict[str, Fits], gathered: Gathered, name: str, static: Sequence[StaticBatch] = ()
) -> dict[str, str]:
    """Return the page, and the plots it shows: file name → text."""
    judged = judge.judge(fitted)
    rankings = [(chip, *one) for chip, fits in fitted.items() for one in judge.ranking(fits)]
    total = sum(rows.rows for found in gathered.values() for rows in found)
    drawn = {f"{PLOTS}/{slug(title)}.svg": text for title, text in _plots(fitted).items()}
    own = (held_back(fitted), total_bands(fitted))
    return {name: render(judged, judge.unmeasured(fitted), rankings, total, static, own), **drawn}


def whole_networks(fitted: dict[str, Fits]) -> list[str]:
    """Return the page's lines on whole networks: first tokens, models left out, rankings."""
    judged = judge.judge(fitted)
    rankings = [(chip, *one) for chip, fits in fitted.items() for one in judge.ranking(fits)]
    found = (tables.end_to_end(_known(judged)), tables.ranked(rankings), held_back(fitted))
    return [line for one in found for line in one.splitlines()]


def _known(judged: list[Judged]) -> list[Judged]:
    return [j for j in judged if j.key.form in WHOLE and not math.isnan(j.error)]


def slug(title: str) -> str:
    """Return a title as the name of a file.

    >>> slug("linear attention, SSM")
    'linear-attention-ssm'
    """
    return "-".join(title.lower().replace(",", " ").split())


def _plots(fitted: dict[str, Fits]) -> dict[str, str]:
    """Return title → SVG of what was held back, a colour a chip."""
    drawn = {}
    for title, forms in {**OPS, **NETWORKS}.items():
        series = {chip: list(_held_back(fits, forms)) for chip, fits in fitted.items()}
        shown = {chip: pairs for chip, pairs in series.items() if pairs}
        if shown:
            drawn[title] = scatter(shown, title)
    return drawn


def _held_back(fits: Fits, forms: tuple[str, ...]) -> Iterator[tuple[float, float]]:
    """Yield (measured, predicted) of what was held back of some forms."""
    for key, (_, rows, ratio) in fits.items():
        for part, one in stacks.parts(key, rows):
            names = (f"{part.form} {part.family}".strip(), "" if part.form in WHOLE else part.form)
            if any(name in forms for name in names):
                seen = one & np.isfinite(ratio)
                measured = rows.seconds[seen]
                predicted = measured / ratio[seen]
                yield from zip(measured.tolist(), predicted.tolist(), strict=True)


def render(
    judged: list[Judged], unmeasured: Unmeasured, rankings: list[Ranking], total: int,
    static: Sequence[StaticBatch] = (), engines: tuple[str, str] = ("", ""),
) -> str:  # fmt: skip
    """Return the page; ``total`` rows were read.

    Args:
        judged: sets on what was held back from them.
        unmeasured: chips left out.
        rankings: of configurations of one model.
        total: rows that were read.
        static: batches as the sets that ship predict them.
        engines: tables of first tokens held back, and of the bands of totals.
    """
    first, bands = engines
    ops = [j for j in judged if j.key.form not in WHOLE]
    networks = _known(judged)
    parts = [
        _text("accuracy_head.md"),
        _counted(judged, total),
        "## Gates\n\n" + gates(ops, networks, unmeasured, rankings),
        "## Predicted against measured\n\n" + _shown(),
        "## By kind of kernel\n\n" + tables.by_kind(ops),
        "## By chip and kind of kernel\n\n" + tables.by_chip(ops),
        "## By kind, dtype and framework\n\n" + tables.by_dtype(ops),
        "## Chips left out\n\n" + tables.chips_left_out(unmeasured),
        "## End to end, models left out\n\n" + tables.end_to_end(networks),
        "## Time to first token of static batches\n\n" + _text("accuracy_first.md"),
        first,
        _text("accuracy_batches.md"),
        first_tokens(static),
        _text("accuracy_bands.md"),
        bands,
        _text("accuracy_totals.md"),
        "## Ranking of configurations\n\n" + tables.ranked(rankings),
        "## The worst sets\n\n" + tables.worst(ops),
        _text("accuracy_tail.md"),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _shown() -> str:
    text = "Every point was held back; a colour a chip. Dashed: a quarter more, a fifth less."
    images = [f"![{title}]({PLOTS}/{slug(title)}.svg)" for title in (*OPS, *NETWORKS)]
    return "\n".join([text, "", *images])


def _counted(judged: list[Judged], total: int) -> str:
    rows = sum(j.rows for j in judged)
    left = (
        f"{total - rows} are of sets with too few rows or one shape, or whose fastest row takes"
        " longer than a host to launch it, and are judged nowhere below."
    )
    return f"**Rows.** {total} were read; {rows} are judged; {left}"


def _text(name: str) -> str:
    return files("mansard.backends.calibrated").joinpath(name).read_text(encoding="utf-8")

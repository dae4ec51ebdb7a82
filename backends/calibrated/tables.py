"""Tables of the accuracy page: errors by kind, chip, dtype, stack and set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mansard.backends.calibrated.judge import Judged, mean
from mansard.backends.calibrated.kinds import OPS
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.stacks import FIRST

Unmeasured = dict[tuple[str, str], tuple[float, float, int]]
Ranking = tuple[str, Key, str, float, int]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def share(value: float) -> str:
    """Return a share in percent; a dash where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def of_forms(judged: list[Judged], forms: Iterable[str]) -> list[Judged]:
    """Return the sets of some forms of kernel."""
    return [j for j in judged if j.key.form in forms]


def by_kind(ops: list[Judged]) -> str:
    """Return the errors of each kind of kernel."""
    head = ("kind", "rows", "bound's error", "error", "median", "in the band", "below bound",
            "of those on chip", "of those odd")  # fmt: skip
    return table(head, [_line(name, of_forms(ops, forms)) for name, forms in OPS.items()])


def _line(name: str, some: list[Judged]) -> tuple[str, ...]:
    counts = [str(sum(getattr(j, f) for j in some)) for f in ("rows", "below", "resident", "odd")]
    shares = [share(mean(some, f)) for f in ("naive", "error", "median", "covered")]
    return (name, counts[0], *shares, *counts[1:])


def by_chip(ops: list[Judged]) -> str:
    """Return the errors of each kind of kernel on each chip."""
    head = ("chip and kind", "rows", "bound's error", "error", "median", "in the band",
            "below bound", "of those on chip", "of those odd")  # fmt: skip
    pairs = sorted({(j.chip, j.key.form) for j in ops})
    lines = [
        _line(f"{chip} {form}", [j for j in ops if (j.chip, j.key.form) == (chip, form)])
        for chip, form in pairs
    ]
    return table(head, lines)


def by_dtype(ops: list[Judged]) -> str:
    """Return the errors of each kind, dtype and framework."""
    head = ("kind, dtype, framework", "chips", "rows", "bound's error", "error", "in the band")
    lines = []
    for at in sorted({(j.key.form, j.key.dtype, j.key.framework) for j in ops}):
        some = [j for j in ops if (j.key.form, j.key.dtype, j.key.framework) == at]
        shares = [share(mean(some, f)) for f in ("naive", "error", "covered")]
        chips, rows = len({j.chip for j in some}), sum(j.rows for j in some)
        lines.append((" ".join(at), str(chips), str(rows), *shares))
    return table(head, lines)


def chips_left_out(unmeasured: Unmeasured) -> str:
    """Return the errors on chips whose own measurements were left out."""
    head = ("chip", "kind", "rows", "bound's error", "error")
    return table(
        head,
        [
            (chip, form, str(rows), share(naive), share(error))
            for (chip, form), (error, naive, rows) in sorted(unmeasured.items())
        ],
    )


def end_to_end(networks: list[Judged]) -> str:
    """Return the errors of whole networks whose models were left out."""
    head = ("chip", "stack", "kind", "rows", "bound's error", "error", "median", "in the band")
    lines = []
    for j in sorted(networks, key=lambda j: (j.key.form, j.key.family)):
        shares = [share(v) for v in (j.naive, j.error, j.median, j.covered)]
        stack = f"{j.key.framework} {j.key.dtype}"
        kind = j.key.family
        if j.key.form == "engine":
            kind = "first token, composed" if kind == FIRST else "static, composed"
        lines.append((j.chip, stack, kind, str(j.rows), *shares))
    return table(head, lines)


def ranked(rankings: list[Ranking]) -> str:
    """Return how well configurations are ranked."""
    head = ("chip", "stack", "model", "rows", "Spearman")
    return table(
        head,
        [
            (
                chip,
                f"{key.framework} {key.dtype} {key.family or 'composed'}",
                model,
                str(rows),
                f"{r:.3f}",
            )
            for chip, key, model, r, rows in rankings
        ],
    )


def worst(ops: list[Judged]) -> str:
    """Return the sets with the greatest errors."""
    head = ("chip", "set", "rows", "bound's error", "error", "median")
    worst = sorted((j for j in ops if not math.isnan(j.error)), key=lambda j: -j.error)[:15]
    lines = [
        (j.chip, j.key.text(), str(j.rows), share(j.naive), share(j.error), share(j.median))
        for j in worst
    ]
    return table(head, lines)

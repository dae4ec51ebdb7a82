"""The accuracy page as text: gates first, then where the numbers come from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from importlib.resources import files

import numpy as np

from mansard.backends.calibrated import judge
from mansard.backends.calibrated.judge import Judged, mean
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.plot import scatter
from mansard.backends.calibrated.refit import Gathered
from mansard.backends.calibrated.stacks import WHOLE, Fits

MLA = ("mla_prefill", "mla_decode", "mla_module")
OPS: dict[str, tuple[str, ...]] = {
    "GEMM": ("gemm",),
    "MLA": MLA,
    "collectives": ("collective",),
    "decode attention": ("attention_decode",),
    "prefill attention": ("attention_prefill",),
    "MoE": ("moe",),
    "batched GEMM of MLA": ("batched_gemm",),
    "DeepEP dispatch and combine": ("dispatch",),
    "norms, activations, quantise": ("stream",),
    "linear attention, SSM": ("scan",),
}
NETWORKS: dict[str, tuple[str, ...]] = {
    "static batches, kernels and engine": ("engine",),
    "served tokens": ("network served",),
}
PLOTS = "accuracy"
"""Folder of the plots, beside the page."""

LIMITS = {
    "GEMM": 0.13,
    "MLA": 0.14,
    "collectives": 0.10,
    "decode attention": 0.17,
    "prefill attention": 0.19,
    "MoE": 0.24,
}
"""Gate 2: mean absolute relative error on unseen shapes."""

ALONE = ("a100-sxm-80gb", "rtx-pro-6000-server")
"""Chips whose family holds no other: all others stand in when they are left out."""

LEAST_ROWS = 20  # of an end-to-end set that is judged
Unmeasured = dict[tuple[str, str], tuple[float, float, int]]
Ranking = tuple[str, Key, str, float, int]


def files_of(fitted: dict[str, Fits], gathered: Gathered, name: str) -> dict[str, str]:
    """Return the page, and the plots it shows: file name → text."""
    judged = judge.judge(fitted)
    rankings = [(chip, *one) for chip, fits in fitted.items() for one in judge.ranking(fits)]
    total = sum(rows.rows for found in gathered.values() for rows in found)
    drawn = {f"{PLOTS}/{slug(title)}.svg": text for title, text in _plots(fitted).items()}
    return {name: render(judged, judge.unmeasured(fitted), rankings, total), **drawn}


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
        series: dict[str, list[tuple[float, float]]] = {}
        for chip, fits in fitted.items():
            for key, (_, rows, ratio) in fits.items():
                if key.form in forms or f"{key.form} {key.family}".strip() in forms:
                    seen = np.isfinite(ratio)
                    measured = rows.seconds[seen]
                    pairs = zip(measured.tolist(), (measured / ratio[seen]).tolist(), strict=True)
                    series.setdefault(chip, []).extend(pairs)
        if any(series.values()):
            drawn[title] = scatter(series, title)
    return drawn


def render(
    judged: list[Judged], unmeasured: Unmeasured, rankings: list[Ranking], total: int
) -> str:
    """Return the page; ``total`` rows were read."""
    ops = [j for j in judged if j.key.form not in WHOLE]
    networks = [j for j in judged if j.key.form in WHOLE and not math.isnan(j.error)]
    parts = [
        _text("accuracy_head.md"),
        _counted(judged, total),
        "## Gates\n\n" + _gates(ops, networks, unmeasured, rankings),
        "## Predicted against measured\n\n" + _shown(),
        "## By kind of kernel\n\n" + _by_op(ops),
        "## By chip and kind of kernel\n\n" + _by_chip(ops),
        "## By kind, dtype and framework\n\n" + _by_dtype(ops),
        "## Chips left out\n\n" + _left_out(unmeasured),
        "## End to end, models left out\n\n" + _networks(networks),
        "## Ranking of configurations\n\n" + _rankings(rankings),
        "## The worst sets\n\n" + _worst(ops),
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
        f"{total - rows} are of sets with too few rows or one shape, and are judged nowhere below."
    )
    return f"**Rows.** {total} were read; {rows} are judged; {left}"


def _text(name: str) -> str:
    return files("mansard.backends.calibrated").joinpath(name).read_text(encoding="utf-8")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _of(judged: list[Judged], forms: Iterable[str]) -> list[Judged]:
    return [j for j in judged if j.key.form in forms]


def _verdict(passed: bool) -> str:
    return "pass" if passed else "**fail**"


def _gates(
    ops: list[Judged], networks: list[Judged], unmeasured: Unmeasured, rankings: list[Ranking]
) -> str:
    rows = [*_bound_gates(ops), *_shape_gates(ops), *_chip_gates(unmeasured)]
    return _table(
        ("gate", "limit", "reached", "verdict"),
        [*rows, *_network_gates(networks), *_band_gates(ops, networks), *_ranking_gates(rankings)],
    )


def _bound_gates(ops: list[Judged]) -> list[tuple[str, ...]]:
    rows = sum(j.rows for j in ops)
    odd = sum(j.odd for j in ops)
    all_rows = 1 - sum(j.above for j in ops) / rows
    kept = 1 - (sum(j.above for j in ops) - odd) / (rows - odd)
    return [
        ("1 bound ≤ measured, all rows", "99 %", _share(all_rows), _verdict(all_rows >= 0.99)),
        (f"1 the same without {odd} rows no memory explains", "99 %", _share(kept),
         _verdict(kept >= 0.99)),
    ]  # fmt: skip


def _shape_gates(ops: list[Judged]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, limit in LIMITS.items():
        error = mean(_of(ops, OPS[name]), "error")
        gate = f"2 unseen shapes, {name}"
        found.append((gate, _share(limit), _share(error), _verdict(error <= limit)))
    return found


def _chip_gates(unmeasured: Unmeasured) -> list[tuple[str, ...]]:
    limits = (("gemm", 0.18), ("attention_prefill", 0.28), ("attention_decode", 0.28))
    found: list[tuple[str, ...]] = []
    for form, limit in limits:
        some = [v for (chip, f), v in unmeasured.items() if f == form and chip not in ALONE]
        rows = sum(n for _, _, n in some)
        error = sum(e * n for e, _, n in some) / rows if rows else math.nan
        never = all(e <= naive for e, naive, _ in some)
        gate = f"3 chip left out, siblings measured, {form}"
        passed = error <= limit and never
        found.append((gate, _share(limit), _share(error), _verdict(passed)))
        for chip in ALONE:
            if (chip, form) in unmeasured:
                error, naive, _ = unmeasured[chip, form]
                gate = f"3 {chip} left out, no sibling measured, {form}"
                limit_text = f"the bound's {_share(naive)}"
                found.append((gate, limit_text, _share(error), _verdict(error <= naive)))
    return found


def _network_gates(networks: list[Judged]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    kinds = (
        ("static, kernels and engine", ("engine", ""), 0.10),
        ("static, network alone", ("network", "static"), 0.10),
        ("served", ("network", "served"), 0.18),
    )
    for family, kind, limit in kinds:
        some = [j for j in networks if (j.key.form, j.key.family) == kind and j.rows >= LEAST_ROWS]
        error = mean(some, "median")
        good = sum(j.median <= limit for j in some)
        reached = f"{_share(error)} ({good} of {len(some)} stacks within)"
        gate = f"4 unseen model, {family}, median"
        found.append((gate, _share(limit), reached, _verdict(error <= limit)))
    return found


def _band_gates(ops: list[Judged], networks: list[Judged]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    asked = [j for j in networks if (j.key.form, j.key.family) != ("network", "static")]
    for name, some in (("kernels", ops), ("end to end", asked)):
        covered = mean(some, "covered")
        verdict = _verdict(0.75 <= covered <= 0.90)
        found.append((f"5 rows inside the band, {name}", "75-90 %", _share(covered), verdict))
    return found


def _ranking_gates(rankings: list[Ranking]) -> list[tuple[str, ...]]:
    values = sorted(r for _, key, _, r, _ in rankings if key.form == "engine")
    middle = values[len(values) // 2] if values else math.nan
    good = sum(v >= 0.95 for v in values)
    reached = f"median {middle:.3f} ({good} of {len(values)} within)"
    return [("6 ranking, Spearman", "0.95", reached, _verdict(middle >= 0.95))]


def _by_op(ops: list[Judged]) -> str:
    head = ("kind", "rows", "bound's error", "error", "median", "in the band", "below bound",
            "of those on chip", "of those odd")  # fmt: skip
    return _table(head, [_line(name, _of(ops, forms)) for name, forms in OPS.items()])


def _line(name: str, some: list[Judged]) -> tuple[str, ...]:
    counts = [str(sum(getattr(j, f) for j in some)) for f in ("rows", "below", "resident", "odd")]
    shares = [_share(mean(some, f)) for f in ("naive", "error", "median", "covered")]
    return (name, counts[0], *shares, *counts[1:])


def _by_chip(ops: list[Judged]) -> str:
    head = ("chip and kind", "rows", "bound's error", "error", "median", "in the band",
            "below bound", "of those on chip", "of those odd")  # fmt: skip
    pairs = sorted({(j.chip, j.key.form) for j in ops})
    lines = [
        _line(f"{chip} {form}", [j for j in ops if (j.chip, j.key.form) == (chip, form)])
        for chip, form in pairs
    ]
    return _table(head, lines)


def _by_dtype(ops: list[Judged]) -> str:
    head = ("kind, dtype, framework", "chips", "rows", "bound's error", "error", "in the band")
    lines = []
    for at in sorted({(j.key.form, j.key.dtype, j.key.framework) for j in ops}):
        some = [j for j in ops if (j.key.form, j.key.dtype, j.key.framework) == at]
        shares = [_share(mean(some, f)) for f in ("naive", "error", "covered")]
        chips, rows = len({j.chip for j in some}), sum(j.rows for j in some)
        lines.append((" ".join(at), str(chips), str(rows), *shares))
    return _table(head, lines)


def _left_out(unmeasured: Unmeasured) -> str:
    head = ("chip", "kind", "rows", "bound's error", "error")
    return _table(
        head,
        [
            (chip, form, str(rows), _share(naive), _share(error))
            for (chip, form), (error, naive, rows) in sorted(unmeasured.items())
        ],
    )


def _networks(networks: list[Judged]) -> str:
    head = ("chip", "stack", "kind", "rows", "bound's error", "error", "median", "in the band")
    lines = []
    for j in sorted(networks, key=lambda j: (j.key.form, j.key.family)):
        shares = [_share(v) for v in (j.naive, j.error, j.median, j.covered)]
        stack = f"{j.key.framework} {j.key.dtype}"
        kind = j.key.family if j.key.form == "network" else "static, composed"
        lines.append((j.chip, stack, kind, str(j.rows), *shares))
    return _table(head, lines)


def _rankings(rankings: list[Ranking]) -> str:
    head = ("chip", "stack", "model", "rows", "Spearman")
    return _table(
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


def _worst(ops: list[Judged]) -> str:
    head = ("chip", "set", "rows", "bound's error", "error", "median")
    worst = sorted((j for j in ops if not math.isnan(j.error)), key=lambda j: -j.error)[:15]
    lines = [
        (j.chip, j.key.text(), str(j.rows), _share(j.naive), _share(j.error), _share(j.median))
        for j in worst
    ]
    return _table(head, lines)

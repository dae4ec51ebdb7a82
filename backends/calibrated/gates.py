"""Gates of the accuracy page: each limit, what was reached, and the verdict."""

from __future__ import annotations

import math

from mansard.backends.calibrated.judge import Judged, mean
from mansard.backends.calibrated.kinds import OPS
from mansard.backends.calibrated.stacks import FIRST
from mansard.backends.calibrated.tables import Ranking, Unmeasured, of_forms, share, table

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
TOKENS = ("engine", FIRST)
FIRST_LIMIT = 0.20  # of first tokens: none is published, this one is ours


def _verdict(passed: bool) -> str:
    return "pass" if passed else "**fail**"


def gates(
    ops: list[Judged], networks: list[Judged], unmeasured: Unmeasured, rankings: list[Ranking]
) -> str:
    """Return the gates as a table."""
    rows = [*_bound_gates(ops), *_shape_gates(ops), *_chip_gates(unmeasured)]
    return table(
        ("gate", "limit", "reached", "verdict"),
        [*rows, *_network_gates(networks), *_band_gates(ops, networks), *_ranking_gates(rankings)],
    )


def _bound_gates(ops: list[Judged]) -> list[tuple[str, ...]]:
    rows = sum(j.rows for j in ops)
    odd = sum(j.odd for j in ops)
    all_rows = 1 - sum(j.above for j in ops) / rows
    kept = 1 - (sum(j.above for j in ops) - odd) / (rows - odd)
    kinds = [(name, of_forms(ops, forms)) for name, forms in OPS.items()]
    by_kind = [_bound_of_kind(name, some) for name, some in kinds if some]
    failed = [gate.partition(", ")[2] for gate, *_, verdict in by_kind if verdict != "pass"]
    but = f", but **fails** for {' and '.join(failed)}" if failed else ""
    return [
        ("1 bound ≤ measured, all rows", "99 %", share(all_rows),
         _verdict(all_rows >= 0.99) + but),
        (f"1 the same without {odd} rows no memory explains", "99 %", share(kept),
         _verdict(kept >= 0.99)),
        *by_kind,
    ]  # fmt: skip


def _bound_of_kind(name: str, some: list[Judged]) -> tuple[str, ...]:
    """Return the gate of one kind of kernel, the rows below its bound beside."""
    rows, below = (sum(getattr(j, field) for j in some) for field in ("rows", "below"))
    reached = 1 - sum(j.above for j in some) / rows
    said = (
        f"{share(reached)} ({below} of {rows} below, {below - sum(j.above for j in some)} on chip)"
    )
    return f"1 by kind, {name}", "99 %", said, _verdict(reached >= 0.99)


def _shape_gates(ops: list[Judged]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, limit in LIMITS.items():
        error = mean(of_forms(ops, OPS[name]), "error")
        gate = f"2 unseen shapes, {name}"
        found.append((gate, share(limit), share(error), _verdict(error <= limit)))
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
        found.append((gate, share(limit), share(error), _verdict(passed)))
        for chip in ALONE:
            if (chip, form) in unmeasured:
                error, naive, _ = unmeasured[chip, form]
                gate = f"3 {chip} left out, no sibling measured, {form}"
                limit_text = f"the bound's {share(naive)}"
                found.append((gate, limit_text, share(error), _verdict(error <= naive)))
    return found


def _network_gates(networks: list[Judged]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    kinds = (
        ("static, kernels and engine", ("engine", ""), 0.10),
        ("static, network alone", ("network", "static"), 0.10),
        ("served", ("network", "served"), 0.18),
        ("first token of a static batch", TOKENS, FIRST_LIMIT),
    )
    for family, kind, limit in kinds:
        some = [j for j in networks if (j.key.form, j.key.family) == kind]
        error = mean(some, "median")
        good = sum(j.median <= limit for j in some)
        reached = f"{share(error)} ({good} of {len(some)} stacks within)"
        gate = f"4 unseen model, {family}, median"
        found.append((gate, share(limit), reached, _verdict(error <= limit)))
    return found


def _band_gates(ops: list[Judged], networks: list[Judged]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    first = [j for j in networks if (j.key.form, j.key.family) == TOKENS]
    but = (TOKENS, ("network", "static"))
    asked = [j for j in networks if (j.key.form, j.key.family) not in but]
    for name, some in (("kernels", ops), ("end to end", asked), ("first tokens", first)):
        covered = mean(some, "covered")
        verdict = _verdict(0.75 <= covered <= 0.90)
        found.append((f"5 rows inside the band, {name}", "75-90 %", share(covered), verdict))
    return found


def _ranking_gates(rankings: list[Ranking]) -> list[tuple[str, ...]]:
    values = sorted(r for _, key, _, r, _ in rankings if key.form == "engine")
    middle = values[len(values) // 2] if values else math.nan
    good = sum(v >= 0.95 for v in values)
    reached = f"median {middle:.3f} ({good} of {len(values)} within)"
    return [("6 ranking of composed batches, Spearman", "0.95", reached, _verdict(middle >= 0.95))]

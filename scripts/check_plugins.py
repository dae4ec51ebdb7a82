"""Try every bundled technique and backend on every bundled model, and write what came out.

Usage: ``python scripts/check_plugins.py [--jobs N] [--json FILE]``; writes
``docs/plugin-checks.md`` and exits with 1 when a rule is broken anywhere.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from mansard.query.checking import tried_on
from mansard.query.trials import Trial, models
from mansard.render.markdown_table import table

PAGE = Path(__file__).parents[1] / "docs" / "plugin-checks.md"


def page(tried: Sequence[Trial]) -> str:
    """Return the page of trials that were made."""
    return "\n".join(_page(tried)) + "\n"


def _page(tried: Sequence[Trial]) -> Iterator[str]:
    held = sum(t.held for t in tried)
    bad = sum(bool(t.rule) for t in tried)
    yield "# Every technique and backend on every model"
    yield ""
    yield "*Written by `make check-plugins`, which takes minutes; a test compares its names.*"
    yield ""
    yield (
        "A technique, with the options of its example, must leave a graph that is valid, costed "
        "and equal to what its own text says; with the options of its identity it must return "
        "the very program; no FLOP may be gone unless it says what it leaves out. A backend must "
        "answer every phase, with the FLOP of the program and numbers that are finite and not "
        "negative. Where one does not apply, it must say why."
    )
    yield ""
    yield (
        f"{len({t.model for t in tried})} models, {len({t.thing for t in tried})} techniques and "
        f"backends: {len(tried)} pairs; {held} hold, {len(tried) - held - bad} do not apply, "
        f"{bad} {'is' if bad == 1 else 'are'} wrong."
    )
    yield ""
    yield from table(("", "holds on", "wrong on", "does not apply to"), _rows(tried), numbers=1)


def _rows(tried: Sequence[Trial]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for thing in dict.fromkeys(sorted(t.thing for t in tried)):
        mine = [t for t in tried if t.thing == thing]
        why = Counter(_reason(t) for t in mine if t.said and not t.rule)
        wrong = [t.model for t in mine if t.rule]
        rows.append((
            thing, str(sum(t.held for t in mine)), ", ".join(wrong) or "-",
            "; ".join(f"{n}: {said}" for said, n in sorted(why.items(), key=_most)) or "-",
        ))  # fmt: skip
    return rows


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _reason(trial: Trial) -> str:
    """Return why it does not apply, without its name and the sizes, which differ."""
    return re.sub(r"\d+", "N", trial.said.removeprefix(f"{trial.thing.partition(' ')[2]}: "))


def main() -> int:
    """Try all pairs, write the page, and name what is wrong."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--jobs", type=int, default=2)
    read.add_argument("--json", type=Path, help="also write every trial here")
    asked = read.parse_args()
    tried = []
    for trial in tried_on("mansard", math.inf, jobs=asked.jobs):
        tried.append(trial)
        if trial.rule:
            print(f"BAD {trial.thing} on {trial.model}: {trial.rule}: {trial.said}", flush=True)
    order = {name: at for at, name in enumerate(models())}
    tried.sort(key=lambda t: (t.thing, order[t.model]))
    PAGE.write_text(page(tried), encoding="utf-8")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(t) for t in tried], indent=1), encoding="utf-8")
    held = sum(t.held for t in tried)
    bad = sum(bool(t.rule) for t in tried)
    print(f"{len(tried)} pairs: {held} hold, {len(tried) - held - bad} do not apply, {bad} wrong")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())

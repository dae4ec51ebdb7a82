"""A sweep says which estimate its rows are, and once what it is worth."""

from __future__ import annotations

import pytest

import mansard as ms


@pytest.mark.parametrize("kind", ["ideal", "calibrated"])
def test_rows_and_table_say_the_estimate(kind: str) -> None:
    asked = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=64, output=4, estimate=kind)
    found = asked.sweep(batch=[1, 2])
    assert [row["estimate"] for row in found.rows] == [kind, kind]
    assert f"estimate {kind}" in " ".join(str(found).split())


def test_what_a_calibrated_sweep_is_worth_is_said_once() -> None:
    asked = ms.study("qwen2.5-0.5b", on="l40s", prompt=64, output=4, estimate="calibrated")
    codes = [note.code for note in asked.sweep(batch=[1, 2, 4]).notes]
    assert codes.count("M080") == codes.count("M081") == 1
    best = asked.sweep(batch=[1, 2, 4], top=1, best="throughput")
    assert [note.code for note in best.notes].count("M080") == 1
    assert not {"M080", "M081"} & {
        n.code for n in ms.study("qwen2.5-0.5b", on="l40s").sweep(batch=[1, 2]).notes
    }

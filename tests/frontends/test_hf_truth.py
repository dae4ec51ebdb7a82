"""The per-tensor gate: names, shapes and counts equal what transformers builds."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mansard.frontends.hf.card_file import builtin_cards
from mansard.frontends.hf.resolve import read_architecture
from mansard.frontends.hf.tensors import (
    active_parameters,
    kv_elements_per_token,
    parameter_tensors,
    parameters,
)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hf-configs"


@cache
def covered() -> tuple[str, ...]:
    if not DATA.is_dir():
        return ()
    with (DATA / "truth.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] in ("ok", "params")]
    rows = [row for row in rows if row["kind"] == "causal"]
    return tuple(row["name"] for row in rows if row["model_type"] in builtin_cards())


def load(kind: str, name: str) -> Any:
    return json.loads((DATA / kind / f"{name}.json").read_text(encoding="utf-8"))


def test_the_truth_covers_every_family_it_has() -> None:
    if not covered():
        pytest.skip("the shared configs with counts per tensor are not on this machine")
    assert len(covered()) >= 66


@pytest.mark.parametrize("name", covered() or ["absent"])
def test_every_tensor_equals_the_truth(name: str) -> None:
    if name == "absent":
        pytest.skip("the shared configs with counts per tensor are not on this machine")
    arch, truth = read_architecture(load("dev", name)), load("truth", name)
    expected = {(t["name"], tuple(t["shape"]), t["count"]) for t in truth["tensors"]}
    assert {tuple(t) for t in parameter_tensors(arch)} == expected
    assert parameters(arch) == truth["params_total"]
    assert active_parameters(arch) == truth["params_active"]
    assert kv_elements_per_token(arch) == truth["kv_elems_per_token"]
    assert "M001" not in {note.code for note in arch.notes}

"""Where the greater term of a calibrated law changes: by hand, and against the law itself."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mansard as ms
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.sides import Turns
from mansard.backends.chips import load
from mansard.query.study import Study

CHIP = "h100-sxm"


def turns_of(study: Study, phase: str = "decode", unknown: str = "batch") -> Turns:
    question = study.question
    return Turns(question.lowered, study.prepared.cluster, phase, unknown, list(question.each),
                 *question.measured)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_law_takes_at_least_as_long_as_the_greater_of_its_sides(data: st.DataObject) -> None:
    law = data.draw(st.sampled_from([f for f in FORMS.values() if f.sides is not None]))
    p = [data.draw(st.floats(q.low, q.high)) for q in law.parameters]
    z: dict[str, Any] = {name: float(data.draw(st.integers(1, 4096))) for name in law.sizes}
    z |= {"peak": 1e15, "x_bytes": 2.0, "w_bytes": 2.0, "quantised": 0.0, "ranks": 8.0}
    if "kv_len" in z:
        z["kv_len"] += z["q_len"]
        z["heads"] *= z["kv_heads"]
    z = {name: z[name] for name in law.sizes}
    chip = facts(load(CHIP))
    assert law.sides is not None
    sides = law.sides(p, z, chip, PLAIN)
    assert law.seconds(p, z, chip, PLAIN) >= max(sides.values()) * (1 - 1e-12)


def test_a_product_turns_where_its_tiles_take_longer_than_its_bytes() -> None:
    """lm_head of Llama 3.1 8B: tiles of 64 rows to 64 and of 128 beyond, in waves on 132 units."""
    study = ms.study("llama-3.1-8b", on=CHIP, prompt=64, output=2, estimate="calibrated")
    row = next(r for r in turns_of(study).rows(4096) if r.name == "lm_head")
    basis = next(b for b in study.analyze().calibrated.bases if b.form == "gemm")  # type: ignore[union-attr]
    assert basis.fit is not None
    v = {q.name: value for q, value in basis.fit.parameters}
    n, k, peak = 128_256, 4096, 989.4e12

    def bound(m: int) -> str:
        tile = 64 if m <= 64 else 128
        tiles = math.ceil(m / tile) * math.ceil(n / 128)
        waves = tiles / 132
        compute = 2 * tiles * tile * 128 * k * (math.ceil(waves) / waves) ** v["wave"]
        compute /= v["e_compute"] * peak
        weights, reads, writes = 2 * n * k, 2 * m * k, 2 * m * n
        memory = ((weights + reads) / v["e_read"] + writes / v["e_write"]) / 3.35e12
        fits = 1 / (1 + ((5 * weights + reads + writes) / 50e6) ** 4)
        memory *= 1 - fits + fits / v["resident"]
        return "compute" if compute >= memory else "memory"

    for m in (1, 64, 65, 128, 129, 200, 256, 257, 300, 384, 385, 1000):
        assert row.at(m) == bound(m), m


@pytest.mark.parametrize(("model", "phase", "unknown"), [
    ("llama-3.1-8b", "decode", "batch"), ("mixtral-8x7b-v0.1", "prefill", "prompt"),
    ("mamba2-2.7b", "decode", "batch"), ("gemma-2-2b", "decode", "prompt"),
])  # fmt: skip
def test_stretches_cover_every_value_once_and_each_is_what_asks_most(
    model: str, phase: str, unknown: str
) -> None:
    study = ms.study(model, on=CHIP, prompt=300, output=16, estimate="calibrated")
    turns = turns_of(study, phase, unknown)
    end = 10**7
    for row in turns.rows(end):
        spans = [(low, high) for low, high, _ in row.flips]
        assert spans[0][0] == 1
        assert spans[-1][1] == end
        assert all(b[0] == a[1] + 1 for a, b in itertools.pairwise(spans))
        edges = sorted({x for span in spans for x in span if x < end})
        assert row._row.winners(np.array(edges, float)) == [row.at(x) for x in edges], row.name


def test_beyond_what_is_looked_at_one_by_one_a_turn_is_found_by_bisection() -> None:
    study = ms.study("mixtral-8x7b-v0.1", on=CHIP, prompt=300, output=1, estimate="calibrated")
    whole, few = turns_of(study, "prefill", "prompt"), turns_of(study, "prefill", "prompt")
    few.most = 256
    for a, b in zip(whole.rows(10**6), few.rows(10**6), strict=True):
        if a.name.startswith("layers.experts"):
            assert len(a.flips) == 2
            assert a.flips == b.flips
            assert a.flips[0][1] > few.most


def test_shares_of_the_time_are_those_of_the_estimate() -> None:
    from mansard.backends.calibrated.sides import shares

    study = ms.study("llama-3.1-8b", on=CHIP, prompt=512, output=2, batch=8, estimate="calibrated")
    turns = turns_of(study)
    rows = turns.rows(64)
    decode = study.analyze().decode
    total = sum(float(row.seconds([8])[0]) for row in rows) + float(turns.outside_s([8])[0])
    assert total == pytest.approx(decode.total_s, rel=1e-9)
    ((_, found),) = shares(turns, rows, [8])
    engine = next(row for row in decode.ops if row.name == "engine")
    assert found["overhead"] == pytest.approx(engine.share, rel=1e-9)
    assert sum(found.values()) == pytest.approx(1)

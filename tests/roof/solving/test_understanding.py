"""Crossovers, sensitivities, explanations and formulas: anchors, and agreement with numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sympy as sp
from tests.conftest import Run

import mansard as ms
from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.query.study import Study


def step(model: str = "llama-3.1-70b", **changed: object) -> Study:
    asked = {"on": "h100-sxm", "context": 4096, "level": "O0"} | changed
    return ms.study(model, **asked)  # type: ignore[arg-type]


def study(model: str = "llama-3.1-8b", **changed: object) -> Study:
    return ms.study(model, **{"on": "h100-sxm"} | changed)  # type: ignore[arg-type]


# Crossovers.


def test_the_first_compute_bound_batch_of_a_70b_on_an_h100() -> None:
    """B·2kn/989.4e12 ≥ 2(B(k+n) + kn)/3.35e12 [Williams 2009, eq. 1], in bf16."""
    found = step().crossovers("batch")
    first = {name.rpartition(".")[2]: found[name].first for name in
             ("lm_head", "layers.gate_proj", "layers.up_proj", "layers.down_proj",
              "layers.q_proj", "layers.o_proj", "layers.k_proj", "layers.v_proj")}  # fmt: skip
    assert first == {"lm_head": 308, "gate_proj": 310, "up_proj": 310, "down_proj": 310,
                     "q_proj": 319, "o_proj": 319, "k_proj": 438, "v_proj": 438}  # fmt: skip


def test_eight_devices_flip_later_and_narrow_projections_never() -> None:
    found = step(on="h100-sxm:8", techniques=["parallel{tp=8}"]).crossovers("batch")
    names = ("lm_head", "layers.gate_proj", "layers.q_proj", "layers.k_proj")
    assert [found[n].first for n in names] == [313, 336, 438, None]


def test_merged_projections_flip_where_wider_ones_do() -> None:
    """At -O1 the gate's activation is fused as well, so that less is written: 303."""
    found = step(techniques=["merge-qkv"]).crossovers("batch")
    assert found["layers.qkv_proj"].first == 316
    assert found["layers.gate_up_proj"].first == 309
    assert step(level="O1").crossovers("batch")["layers.gate_up_proj"].first == 303


@pytest.mark.parametrize("model", ["llama-3.1-8b", "mixtral-8x7b-v0.1"])
def test_each_flip_is_where_analyze_says_another_bound(model: str) -> None:
    found = step(model).crossovers("batch")
    assert ("exact" in found.method) == (model != "mixtral-8x7b-v0.1")
    for op in found.ops:
        for (_, last, before), (first, _, after) in zip(op.flips, op.flips[1:], strict=False):
            assert last is not None
            for batch, bound in ((last, before), (first, after)):
                asked = step(model, batch=batch).analyze()
                assert asked.op(op.name).bound == bound, (op.name, batch)


def test_shares_add_up_and_decode_never_turns_fully_compute_bound() -> None:
    found = step().crossovers("batch")
    for batch, shares in found.shares:
        assert sum(shares.values()) == pytest.approx(1)
        assert shares.get("compute", 0.0) < 1
        times = step(batch=batch).analyze().decode.time_by_resource_s
        for resource, share in shares.items():
            assert share == pytest.approx(times[resource] / sum(times.values()), rel=1e-9)


def test_a_prefill_flips_with_the_length_of_the_prompt() -> None:
    found = study().crossovers("prompt", phase="prefill")
    flip = found["layers.o_proj"].first
    assert flip is not None
    assert study(prompt=flip).analyze().op("layers.o_proj", "prefill").bound == "compute"
    assert study(prompt=flip - 1).analyze().op("layers.o_proj", "prefill").bound == "memory"


@pytest.mark.parametrize(("over", "phase", "message"), [
    ("gamma", None, "no size to cross over"), ("batch", "denoise", "no phase"),
])  # fmt: skip
def test_unknown_names_are_refused(over: str, phase: str | None, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        study().crossovers(over, phase)


# Sensitivities.

CASES = [
    study(),
    study(batch=320),
    study("mixtral-8x7b-v0.1", batch=8),
    study("llama-3.1-70b", on="h100-sxm:8", batch=32),
    study("gemma-2-2b", prompt=4000, output=300),
    study(techniques=["speculative-decode{draft=eagle}"], output=30),
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("metric", ["ttft", "tpot", "latency", "throughput"])
def test_elasticities_add_up_to_one_less_the_overhead(case: int, metric: str) -> None:
    found = CASES[case].sensitivity(metric)
    sign = 1 if metric == "throughput" else -1
    assert found.total == pytest.approx(sign * (1 - found.overhead), abs=1e-12)
    known = getattr(CASES[case].question.estimate, metric)
    assert found.value == pytest.approx(known, rel=1e-12)
    assert all(sign * value >= 0 for value in found.elasticities.values())


@pytest.mark.parametrize("case", [1, 3])
@pytest.mark.parametrize("metric", ["ttft", "tpot"])
def test_an_elasticity_is_what_a_slightly_faster_chip_shows(case: int, metric: str) -> None:
    asked, nudge = CASES[case], 1e-6
    chip = asked.question.estimate.chip
    today: dict[str, tuple[Any, str]] = {
        "hardware.memory.bandwidth": (chip.bandwidth_bytes_per_s, "B/s"),
        "hardware.peak.matrix.bf16": (chip.peaks["matrix", "bf16", "dense"], "FLOP/s"),
        "hardware.link.per_direction": (chip.link_bytes_per_s, "B/s"),
    }
    found = asked.sensitivity(metric)
    for field, value in found.elasticities.items():
        rate, unit = today[field]
        faster = asked.question.changed(set={field: f"{rate * (1 + nudge)!r} {unit}"})
        change = getattr(faster.estimate, metric) / getattr(asked.question.estimate, metric) - 1
        assert change / nudge == pytest.approx(value, rel=1e-4, abs=1e-6), field


def test_decode_of_one_sequence_rests_on_bandwidth_alone() -> None:
    found = study().sensitivity("tpot")
    assert dict(found.elasticities) == {"hardware.memory.bandwidth": pytest.approx(-1)}


def test_hops_of_collectives_are_overhead_no_rate_shortens() -> None:
    assert CASES[3].sensitivity("tpot").overhead > 0.05


# Formulas.


@pytest.mark.parametrize("case", range(5))
@pytest.mark.parametrize("metric", ["ttft", "tpot", "latency", "throughput"])
def test_a_formula_has_the_value_of_the_answer(case: int, metric: str) -> None:
    asked = CASES[case].question.estimate
    formula = asked.expr(metric)
    assert {s.name for s in formula.free_symbols} <= {"batch", "prompt", "output"}
    values = {s: asked.scenario.symbols[s.name] for s in formula.free_symbols}
    assert float(formula.subs(values).doit()) == pytest.approx(getattr(asked, metric), rel=1e-12)


def test_a_maximum_stays_a_maximum_over_what_is_left() -> None:
    formula = study().analyze().expr("tpot", over=["batch"])
    assert {s.name for s in formula.free_symbols} == {"batch"}
    assert len(formula.atoms(sp.Max)) == 5  # noqa: TID251 - the maxima it shows
    (batch,) = formula.free_symbols
    for size in (1, 311, 340, 4000):
        known = study(batch=size).analyze().tpot
        assert float(formula.subs(batch, size)) == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize(("metric", "over", "message"), [
    ("memory", None, "no metric with a formula"), ("tpot", ["gamma"], "no scenario symbol"),
])  # fmt: skip
def test_a_formula_that_does_not_exist_is_refused(
    metric: str, over: list[str] | None, message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        study().analyze().expr(metric, over)


# Explanations.


def test_the_pieces_of_a_metric_have_its_value_and_bend_where_ops_flip() -> None:
    found = study().explain("tpot", over="batch")
    assert found.method == "exact: tpot is piecewise affine in batch"
    assert found.stretches[0].low == 1
    assert found.stretches[-1].high is None
    for piece in found.stretches:
        for batch in {piece.low, piece.high or piece.low + 1000}:
            known = study(batch=batch).analyze().tpot
            assert piece.base + piece.slope * batch == pytest.approx(known, rel=1e-12)
    flipping = [op for piece in found.stretches for op, _ in piece.flips]
    assert flipping == ["layers.gate_up_proj", "lm_head", "layers.down_proj", "layers.qkv_proj",
                        "layers.o_proj"]  # fmt: skip


def test_what_no_piece_describes_says_why() -> None:
    found = study("mixtral-8x7b-v0.1").explain("tpot", over="batch")
    assert found.stretches == ()
    assert found.method == "tpot is not piecewise affine in batch: a power of it"


def test_the_parts_of_a_metric_add_up_to_it() -> None:
    found = study(batch=20).explain("tpot")
    assert sum(part.time_s for part in found.parts) == pytest.approx(found.value, rel=1e-12)


def test_a_merged_op_is_found_by_the_name_of_its_part(run: Run) -> None:
    ran = run("explain", "llama-3.1-8b", "--on", "h100-sxm", "--op", "layers.gate_proj")
    assert ran.code == 0
    assert "layers.gate_proj is part of layers.gate_up_proj in decode" in ran.out
    assert "changed by    merge-qkv: one read of the input" in ran.out
    assert "234881024*T" in ran.out


def test_the_command_shows_breakpoints_passes_and_sources(run: Run) -> None:
    ran = run("explain", "llama-3.1-8b", "--on", "h100-sxm", "--metric", "tpot", "--over", "batch")
    assert ran.code == 0
    line = next(line for line in ran.out.splitlines() if "310…319" in line)
    assert "layers.gate_up_proj compute" in line
    assert "hardware.memory.bandwidth 3.35 TB/s" in ran.out
    assert "merge-qkv" in ran.out


def test_one_pass_shows_only_the_rows_it_touched() -> None:
    found = study().explain("ttft", technique="merge-qkv")
    assert {p.row.name for p in found.parts} == {"layers.qkv_proj", "layers.gate_up_proj"}
    assert [e.technique.name for e in found.effects] == ["merge-qkv"]


def test_the_latex_names_rates_and_leaves_maxima(run: Run) -> None:
    ran = run("explain", "llama-3.1-8b", "--on", "h100-sxm", "-f", "latex", "--over", "batch")
    assert ran.out.startswith(r"\begin{align*}")
    assert r"\max\left(\frac{7516192768 \cdot \mathit{batch}}{\pi_{bf16}}" in ran.out
    assert r"\beta &= 3.35 \cdot 10^{12}\,/\mathrm{s}" in ran.out


def test_an_explanation_is_plain_json(run: Run) -> None:
    ran = run("explain", "llama-3.1-8b", "--on", "h100-sxm", "--over", "batch", "-f", "json")
    document = json.loads(ran.out)
    assert document["pieces"][1]["flips"] == [{"op": "layers.gate_up_proj", "bound": "compute"}]
    assert document["sources"][0]["field"] == "memory.bandwidth"


@pytest.mark.parametrize(("asked", "message"), [
    ({"metric": "tpto"}, "no metric to explain called 'tpto'"),
    ({"over": "gamma"}, "no size to cross over"),
    ({"op": "layers.gate_porj"}, "no op in decode"),
    ({"technique": "prune"}, "no pass that ran here"),
])  # fmt: skip
def test_what_cannot_be_explained_is_refused(asked: dict[str, str], message: str) -> None:
    with pytest.raises(MansardError, match=message):
        study().explain(**asked)


def test_memory_is_explained_by_what_occupies_it(run: Run) -> None:
    ran = run(
        "explain", "llama-3.1-8b", "--on", "h100-sxm", "--metric", "memory", "--over", "batch"
    )
    assert ran.code == 0
    assert "exact: memory is piecewise affine in batch" in ran.out
    assert "weights 16.1 GB" in ran.out


@pytest.mark.parametrize(("asked", "over"), [(study(), "context"), (step(), "prompt")])
def test_a_size_that_does_not_occur_is_refused(asked: Study, over: str) -> None:
    with pytest.raises(SpecError, match=over):
        asked.explain("tpot", over=over)


def test_a_metric_that_does_not_exist_here_is_refused() -> None:
    with pytest.raises(SpecError, match="this answer has no ttft"):
        step().explain("ttft")


def test_a_schedule_without_formulas_says_so() -> None:
    asked = study(on="h100-sxm:2", output=4, techniques=["disaggregate{prefill=1 decode=1}"])
    with pytest.raises(SpecError, match="step by step"):
        asked.crossovers()
    with pytest.raises(SpecError, match="step by step"):
        asked.sensitivity()
    assert asked.explain("tpot").parts

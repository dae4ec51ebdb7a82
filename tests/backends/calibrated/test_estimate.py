"""Calibrated estimates of whole models: above the bound, banded, and with their basis."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import mansard as ms
from mansard.backends.calibrated.lookup import find
from mansard.backends.calibrated.parameters import Calibration, Key, bundled
from mansard.backends.calibrated.said import at_the_bound
from mansard.backends.calibrated.work import phase_band
from mansard.render.estimate_words import rests_on

LLAMA = "llama-2-7b"


@pytest.fixture(scope="module")
def bound() -> ms.Estimate:
    return ms.analyze(LLAMA, on="a100-sxm-80gb", batch=16, prompt=1024, output=1024)


@pytest.fixture(scope="module")
def found() -> ms.Estimate:
    return ms.analyze(
        LLAMA, on="a100-sxm-80gb", batch=16, prompt=1024, output=1024, estimate="calibrated"
    )


def test_no_row_is_faster_than_its_bound(found: ms.Estimate) -> None:
    rows = [row for phase in found.phases.values() for row in phase.ops]
    assert len(rows) > 15
    for row in rows:
        assert row.ideal_s is not None
        assert row.low_s is not None
        assert row.high_s is not None
        assert row.time_s >= row.ideal_s * 0.999999
        assert row.low_s <= row.time_s <= row.high_s
        assert row.basis


def test_work_and_memory_are_those_of_the_bound(found: ms.Estimate, bound: ms.Estimate) -> None:
    assert found.memory == bound.memory
    for name, phase in found.phases.items():
        assert (phase.flops, phase.bytes) == (bound.phase(name).flops, bound.phase(name).bytes)


def test_rows_add_up_to_their_phase_and_phases_to_the_latency(found: ms.Estimate) -> None:
    for phase in found.phases.values():
        assert sum(r.time_s * r.count for r in phase.ops) == pytest.approx(phase.time_s)
        assert sum(phase.time_by_resource_s.values()) == pytest.approx(phase.time_s)
    assert found.latency == pytest.approx(found.ttft + 1023 * found.tpot)  # type: ignore[operator]


def test_a_step_costs_the_engine_once(found: ms.Estimate) -> None:
    (engine,) = (row for row in found.decode.ops if row.kind == "overhead")
    assert engine.count == 1
    assert engine.bytes == engine.flops == 0
    assert 1e-5 < engine.time_s < found.decode.time_s / 2


def test_bands_surround_metrics_and_the_bound_stands_beside(
    found: ms.Estimate, bound: ms.Estimate
) -> None:
    beside = found.calibrated
    assert beside is not None
    assert bound.calibrated is None
    for name, band in beside.bands.items():
        assert band.low < getattr(found.metrics, name) < band.high
        assert beside.ideal[name] == getattr(bound.metrics, name)
    assert beside.ratios["latency_s"] == pytest.approx(found.latency / bound.latency)  # type: ignore[operator]
    assert sum(share for _, share in beside.shares) == pytest.approx(1.0)


def test_published_batches_of_three_engines_lie_in_the_band(found: ms.Estimate) -> None:
    """DeepSpeed-MII 26.0 s, vLLM 25.1 s, TensorRT-LLM 22.9 s [LLM-Inference-Bench 2024]."""
    assert found.calibrated is not None
    band = found.calibrated.bands["latency_s"]
    assert all(band.low < measured < band.high for measured in (26.0, 25.1, 22.9))


def test_an_unmeasured_chip_has_a_wide_band_and_says_so(found: ms.Estimate) -> None:
    other = ms.analyze(LLAMA, on="mi300x", batch=16, prompt=1024, output=64, estimate="calibrated")
    assert any(note.code == "M080" for note in other.notes)
    assert not any(note.code == "M080" for note in found.notes)
    assert other.calibrated is not None
    assert found.calibrated is not None
    wide, narrow = other.calibrated.bands["tpot_s"], found.calibrated.bands["tpot_s"]
    assert wide.high / wide.low > 2 * narrow.high / narrow.low


def test_the_time_to_first_token_says_that_it_excludes_queueing(found: ms.Estimate) -> None:
    assert any("queueing" in note.message for note in found.notes)


@pytest.mark.parametrize(
    ("model", "on", "technique", "form"),
    [
        ("llama-3.1-8b", "h100-sxm", "quantize{weights=fp8 activations=fp8}", "gemm"),
        ("llama-3.1-8b", "h100-sxm:2", "parallel{tp=2}", "collective"),
        ("qwen3-30b-a3b", "h100-sxm", "", "moe"),
        ("mamba2-2.7b", "h100-sxm", "", "scan"),
        ("deepseek-v2-lite", "h100-sxm", "", "moe"),
    ],
)
def test_every_kind_of_kernel_is_predicted_by_its_own_form(
    model: str, on: str, technique: str, form: str
) -> None:
    found = ms.analyze(
        model, on=on, batch=4, prompt=256, output=8, estimate="calibrated",
        techniques=[technique] if technique else [],
    )  # fmt: skip
    assert found.calibrated is not None
    assert form in {basis.form for basis in found.calibrated.bases}


def test_narrow_activations_pay_for_the_kernel_that_quantizes_them() -> None:
    found = ms.analyze(
        "llama-3.1-8b", on="h100-sxm", batch=4, prompt=256, output=8, estimate="calibrated",
        techniques=["quantize{weights=fp8 activations=fp8}"],
    )  # fmt: skip
    (row,) = (r for r in found.decode.ops if r.kind == "quantize")
    assert row.time_s > 20 * (row.ideal_s or 0.0) > 0  # a launch, not its bytes


def test_an_engine_that_was_measured_is_asked_for_by_name() -> None:
    times = {
        name: ms.analyze(
            LLAMA, on="h100-sxm", batch=1, prompt=128, output=32, estimate="calibrated",
            set={"framework": name},
        ).tpot
        for name in ("vllm", "trtllm")
    }  # fmt: skip
    assert times["vllm"] > times["trtllm"]  # type: ignore[operator]


def test_errors_of_one_form_add_and_of_two_add_in_squares() -> None:
    assert phase_band(20.0, {"gemm": (1.0 + 2.0, 3.0 + 3.0)}, 0.0, None, False) == (17.0, 26.0)
    of_two = {"gemm": (3.0, 6.0), "stream": (4.0, 8.0)}
    assert phase_band(25.0, of_two, 0.0, None, False) == (20.0, 35.0)
    assert phase_band(25.0, of_two, 22.0, None, False)[0] == 22.0  # nothing is faster


def test_even_routing_is_said_to_be_assumed() -> None:
    found = ms.analyze(
        "qwen3-30b-a3b", on="h100-sxm", batch=4, prompt=64, output=4, estimate="calibrated"
    )
    assert any(note.code == "M082" for note in found.notes)


def test_a_cache_in_fewer_bits_is_read_faster() -> None:
    def attention(*techniques: str) -> float:
        found = ms.analyze(
            "llama-3.1-8b", on="h100-sxm", batch=64, prompt=8192, output=4,
            estimate="calibrated", techniques=techniques,
        )  # fmt: skip
        return found.op("layers.attention", "decode").time_s

    assert attention("quantize{kv=fp8}") < 0.8 * attention()


def test_an_answer_of_several_devices_predicts_their_collectives() -> None:
    found = ms.analyze(
        "llama-3.1-70b", on="h100-sxm:8", batch=8, prompt=512, output=8, estimate="calibrated"
    )
    rows = [row for row in found.decode.ops if row.kind == "collective"]
    assert rows
    assert all(row.time_s > 3e-6 and "all_reduce" in row.basis for row in rows[:1])


def test_a_stack_that_was_measured_has_the_band_of_whole_networks_held_back() -> None:
    def band(
        model: str, framework: str, on: str = "h100-sxm", *techniques: str
    ) -> tuple[float, float]:
        found = ms.analyze(model, on=on, batch=4, prompt=256, output=8, techniques=techniques,
                           estimate="calibrated", set={"framework": framework})  # fmt: skip
        assert found.calibrated is not None
        said[model, on] = rests_on(found)
        tpot, limits = found.tpot, found.calibrated.bands["tpot_s"]
        assert tpot is not None
        return limits.low / tpot, limits.high / tpot

    said: dict[tuple[str, str], str] = {}
    low, high = band("llama-3.1-8b", "vllm")
    engine = find(Key("engine", "vllm"), "h100-sxm", "hopper").one
    assert (low, high) == pytest.approx((engine.low, engine.high))
    foreign = find(
        Key("engine", "vllm"), "mi250", ""
    ).one  # its kernels are other chips', as fitted
    assert band(LLAMA, "vllm", "mi250") == pytest.approx((foreign.low, foreign.high))
    assert band(LLAMA, "vllm", "mi250", "quantize{weights=int4}")[1] > 1.2 * foreign.high
    wide = band("qwen3-30b-a3b", "vllm")  # experts: no such network was measured
    assert wide[0] < low
    assert wide[1] > high
    assert "Bands are of whole networks held back" in said["llama-3.1-8b", "h100-sxm"]
    assert "Bands are of kernels and of the engine" in said["qwen3-30b-a3b", "h100-sxm"]


@pytest.mark.parametrize("on", ["mi300x", "gaudi3", "apple-m4-max", "h100-sxm", "l40s"])
def test_no_band_reaches_below_the_bound(on: str) -> None:
    found = ms.analyze("llama-3.1-8b", on=on, batch=2, prompt=64, output=4, estimate="calibrated")
    assert found.calibrated is not None
    for name in ("ttft_s", "tpot_s", "latency_s"):
        band, ideal = found.calibrated.bands[name], found.calibrated.ideal[name]
        assert ideal is not None
        assert 0.999 * ideal <= band.low < band.high


def measured_alone(tmp_path: Path) -> str:
    """Write a calibration whose products take what the bundled one says, and nothing else."""
    bundled_sets = bundled("a100-sxm-80gb")
    assert bundled_sets is not None
    products = tuple(one for one in bundled_sets.sets if one.key.form == "gemm")
    path = tmp_path / "mine.toml"
    path.write_text(Calibration("a100-sxm-80gb", products).to_toml(), encoding="utf-8")
    return str(path)


def test_an_engine_that_slows_a_users_kernels_is_said_with_its_factor(tmp_path: Path) -> None:
    found = ms.analyze(
        LLAMA, on="a100-sxm-80gb", batch=1, prompt=64, output=4, estimate="calibrated",
        set={"calibration": measured_alone(tmp_path)},
    )  # fmt: skip
    (note,) = (note for note in found.notes if note.code == "M083")
    assert re.search(r"kernels run \d\.\d\d times as long in prefill", note.message)
    assert found.calibrated is not None
    (engine,) = (b for b, _ in found.calibrated.shares if b.form == "engine")
    assert "times as long in prefill" in engine.set
    row = found.op("layers.gate_up_proj", "prefill")
    assert "your calibration" in row.basis
    assert "; engine: kernels run" in row.basis


def test_the_share_of_an_engine_has_what_it_slows(found: ms.Estimate) -> None:
    """The steps' own time and the part of every kernel beyond what it takes alone."""
    assert found.calibrated is not None
    (share,) = (s for b, s in found.calibrated.shares if b.form == "engine")
    rows = [(p, r) for p in found.phases.values() for r in p.ops if r.kind == "overhead"]
    alone = sum(r.time_s * r.count * p.steps for p, r in rows)
    assert share > alone / (found.latency or 0.0)


def test_the_medians_of_a_family_count_as_those_of_other_chips() -> None:
    found = ms.analyze(LLAMA, on="l40s", batch=1, prompt=64, output=4, estimate="calibrated")
    (note,) = (note for note in found.notes if note.code == "M080")
    assert found.calibrated is not None
    share = sum(s for b, s in found.calibrated.shares if "median of" in b.set)
    assert note.message.startswith(f"{share:.0%} of the time")
    assert share > 0.9
    assert "engine" in note.message
    assert " and " in note.message


def test_a_basis_says_when_it_was_fitted_not_measured(found: ms.Estimate) -> None:
    assert found.calibrated is not None
    assert all(re.search(r"rows, fitted \d{4}-", b.set) for b in found.calibrated.bases)


def test_decode_on_keys_expanded_from_a_latent_reads_every_one_of_them() -> None:
    """The cache holds the rotated part alone, a sixth of a key: it does not say how many."""
    found = ms.analyze(
        "deepseek-v2-lite", on="h200-sxm", batch=4, prompt=2048, output=4, estimate="calibrated"
    )
    row = found.op("layers.attention", "decode")
    assert row.time_s > 1.2 * (row.ideal_s or 0.0)
    assert not [note for note in found.notes if note.code == "M084"]


def test_a_row_at_its_bound_is_named_as_outside_what_was_measured() -> None:
    (note,) = at_the_bound(("layers.attention", "lm_head"))
    assert note.code == "M084"
    assert "layers.attention and lm_head" in note.message
    assert not tuple(at_the_bound(()))


def exchanged(on: str, batch: int = 64, given: dict[str, str] | None = None) -> tuple[str, ...]:
    """Return what decode's exchanges of experts' rows rest on, there and back."""
    found = ms.analyze(
        "deepseek-v3", on=on, techniques=["parallel{dp=8 ep=8}"], batch=batch,
        prompt=256, output=4, estimate="calibrated", set=given or {},
    )  # fmt: skip
    names = ("layers.dispatch.all_to_all", "layers.combine.all_to_all")
    return tuple(found.op(name, "decode").basis for name in names)


def test_rows_go_to_experts_as_deepep_was_measured_to_send_them() -> None:
    there, back = exchanged("h200-sxm:8")
    assert there.startswith("h200-sxm, sglang, dispatch, ll: ")
    assert back.startswith("h200-sxm, sglang, combine, ll: ")
    many, _ = exchanged("h200-sxm:8", batch=8 * 256)
    assert many.startswith("h200-sxm, sglang, dispatch, normal: ")


@pytest.mark.parametrize(("on", "given"), [("h200-sxm:8", {"framework": "vllm"}),
                                           ("a100-sxm-80gb:8", {})])  # fmt: skip
def test_elsewhere_they_are_an_all_to_all_of_nccl(on: str, given: dict[str, str]) -> None:
    assert all("nccl, alltoall" in basis for basis in exchanged(on, given=given))


def test_a_sibling_nobody_measured_takes_the_medians_of_its_family_and_says_so() -> None:
    assert all("median of the hopper family" in basis for basis in exchanged("h800-sxm:8"))


def test_uneven_routing_is_priced_and_no_longer_said_to_be_left_out() -> None:
    asked: dict[str, Any] = {"on": "h200-sxm:8", "batch": 4096, "prompt": 256, "output": 4}
    even, uneven = (
        ms.analyze("deepseek-v3", techniques=[*more, "parallel{dp=8 ep=8}"],
                   estimate="calibrated", **asked)
        for more in ((), ("moe-routing{imbalance=2}",))
    )  # fmt: skip
    for name in ("layers.experts.gate_up_proj", "layers.dispatch.all_to_all"):
        assert uneven.op(name, "decode").time_s > 1.1 * even.op(name, "decode").time_s
    said = [next(n.message for n in found.notes if n.code == "M082") for found in (even, uneven)]
    assert "busiest rank wait" in said[0]
    assert "ranks as moe-routing says" in said[1]

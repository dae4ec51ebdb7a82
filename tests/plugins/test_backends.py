"""Backends that are bundled as plugins: each against a count by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

import mansard as ms
from mansard.core.errors import PluginError
from mansard.plugins import registry

Install = Callable[..., None]
Run = Callable[..., Any]
ASKED: Mapping[str, Any] = {"on": "h100-sxm", "batch": 4, "prompt": 512, "output": 33}


def asked(backend: str | None, **changes: Any) -> ms.Estimate:
    """An answer about a small model."""
    return ms.analyze("llama-3.2-1b", backend=backend, **{**ASKED, **changes})


BOUND = asked(None)


def test_all_of_them_are_mansards_and_say_their_source() -> None:
    found = registry.backends()
    assert set(found) == {"caches", "carbon", "dataflow", "energy", "launches", "pim"}
    assert {p.owner for p in found.values()} == {"mansard"}
    assert all(vars(type(p.thing))["source"].startswith("[") for p in found.values())


def test_energy_is_the_sum_over_units_and_levels() -> None:
    answer = asked("energy")
    matrix = sum(
        r.flops_by_unit.get("matrix", 0) * r.count * p.steps
        for p in BOUND.phases.values()
        for r in p.ops
    )
    moved = sum(p.bytes * p.steps for p in BOUND.phases.values())
    figures = answer.figures
    assert figures["matrix_j"] == pytest.approx(matrix * 0.295e-12)
    assert figures["memory_j"] == pytest.approx(moved * 350 / 8 * 1e-12)
    levels = ("matrix_j", "vector_j", "onchip_j", "memory_j")
    assert sum(figures.get(k, 0) for k in levels) == pytest.approx(answer.metrics.energy_j)
    assert figures["prefill_j"] + figures["decode_j"] == pytest.approx(answer.metrics.energy_j)
    assert figures["whole_batch_j"] == answer.metrics.energy_j
    assert answer.metrics.energy_j is not None
    assert answer.metrics.energy_j < figures["tdp_over_that_time_j"]
    assert answer.tpot == BOUND.tpot


def test_energy_of_decoding_one_sequence_is_that_of_reading_memory() -> None:
    figures = asked("energy", batch=1).figures
    assert figures["memory_j"] > 5 * figures["matrix_j"]
    assert "decode:layers.gate_up_proj_j" in figures


def test_energy_says_which_figures_it_borrowed() -> None:
    notes = asked("energy:table=45nm").notes
    assert any(n.code == "M090" and "no bf16" in n.message for n in notes)
    idle = asked("energy:idle=100W")
    seconds = sum(p.total_s for p in BOUND.phases.values())
    assert idle.figures["idle_j"] == pytest.approx(100 * seconds)


def test_carbon_is_power_times_time_times_grid_and_a_share_of_the_device() -> None:
    answer = asked("carbon:grid=400,pue=1.2,power=700W,host=100W,embodied=150,lifetime=4")
    assert BOUND.throughput is not None
    seconds = 4 * 33 / BOUND.throughput
    assert answer.figures["operational_g"] == pytest.approx(800 * seconds * 1.2 / 3.6e6 * 400)
    year = 365.25 * 24 * 3600
    assert answer.figures["embodied_g"] == pytest.approx(seconds / (4 * year) * 150_000)
    assert not any(n.code == "M091" for n in answer.notes)
    assert any(n.code == "M091" for n in asked("carbon").notes)


def test_a_phase_takes_at_least_its_launches() -> None:
    answer = asked("launches:launch=50us")
    assert answer.latency is not None
    assert answer.decode.time_s == pytest.approx(BOUND.decode.kernels * 50e-6)
    assert answer.decode.bound == "overhead"
    assert answer.tpot == pytest.approx(BOUND.decode.kernels * 50e-6)
    ttft = max(BOUND.phases["prefill"].time_s, BOUND.phases["prefill"].kernels * 50e-6)
    assert answer.ttft == pytest.approx(ttft)
    assert answer.latency == pytest.approx(ttft + 32 * BOUND.decode.kernels * 50e-6)
    assert answer.throughput == pytest.approx(4 * 33 / answer.latency)
    assert answer.figures["launches_of_a_decode_step_s"] == pytest.approx(answer.tpot)
    assert asked("launches:launch=0").tpot == BOUND.tpot


def test_caches_spare_the_memory_what_fits_them_and_nothing_else() -> None:
    free = asked("caches")
    slow = asked("caches:bandwidth=1TB/s")
    none = asked("caches:share=0")
    assert none.tpot == BOUND.tpot
    assert free.tpot is not None
    assert BOUND.tpot is not None
    assert slow.tpot is not None
    spared = BOUND.decode.activation_bytes / 3.35e12
    assert BOUND.tpot - spared * 1.001 <= free.tpot < BOUND.tpot
    assert free.tpot < slow.tpot


def test_memory_that_computes_takes_what_memory_bounds() -> None:
    answer = asked("pim", batch=1)
    bound = asked(None, batch=1)
    assert answer.figures["decode_in_memory_share"] > 0.9
    assert answer.figures["prefill_in_memory_share"] < 0.5
    assert {r.device for r in answer.decode.ops if r.kind == "linear"} == {"pim"}
    assert answer.tpot is not None
    assert bound.tpot is not None
    # 16 TB/s inside, 3.35 TB/s outside: no more than their ratio is gained.
    assert bound.tpot / (16 / 3.35) <= answer.tpot * 1.001 < bound.tpot
    assert answer.memory.capacity == bound.memory.capacity // 2  # type: ignore[operator]


def test_memory_that_waits_long_for_the_chip_is_not_used() -> None:
    bound = asked(None, batch=1)
    assert asked("pim:sync=1ms", batch=1).tpot == pytest.approx(bound.tpot)


def test_a_model_in_sram_reads_every_chips_part_at_once() -> None:
    answer = asked("dataflow:chips=20,hop=1us", on="groq-lpu-v1", batch=1)
    lone = asked(None, on="groq-lpu-v1", batch=1)
    assert answer.figures == {"chips": 20.0, "hops_of_a_token_s": pytest.approx(19e-6)}
    assert answer.tpot is not None
    moved = lone.decode.bytes - lone.decode.activation_bytes
    assert answer.tpot == pytest.approx(moved / (20 * 80e12) + 19e-6, rel=0.1)
    needed = asked("dataflow", on="groq-lpu-v1", batch=1)
    assert needed.figures["chips"] == -(-(lone.memory.weights + lone.memory.kv_cache) // 230e6)
    assert needed.memory.fits
    assert any(n.code == "M092" for n in needed.notes)


def test_only_the_phases_that_were_asked_for_are_answered() -> None:
    answer = asked("energy", phase="decode")
    assert set(answer.phases) == {"decode"}
    assert answer.ttft is None
    assert answer.latency is None


def test_the_command_line_prints_and_the_document_has_what_a_backend_says(run: Run) -> None:
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "--backend", "energy:rows=0")
    assert ran.code == 0
    assert "per token" in ran.out
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "--backend", "energy:rows=0", "-f", "json")
    document = json.loads(ran.out)
    assert document["backend"] == "energy:rows=0"
    assert document["estimate"] == "ideal"
    assert document["figures"]["memory_j"] > 0
    assert document["metrics"]["energy_j"] > document["figures"]["memory_j"]


@dataclass(frozen=True)
class Bad:
    """Fails as it is told."""

    name = "bad"
    how: str = "raise"

    def estimate(self, program: Any, on: Any, scenario: Any) -> Any:
        """Raise, or return what is no answer."""
        if self.how == "raise":
            raise KeyError("nobody tried this")
        return {"time_s": 1}


@pytest.mark.parametrize(
    ("how", "words"),
    [("raise", "failed: KeyError: 'nobody tried this'"), ("dict", "returned a dict")],
)
def test_a_backend_that_fails_is_named_with_its_distribution(
    install: Install, how: str, words: str
) -> None:
    install("bad", {"mansard_backends": [Bad(how)]}, "bad-dist")
    with pytest.raises(PluginError, match="bad, of bad-dist") as caught:
        asked("bad")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("enrgy", "did you mean 'energy'"),
        ("energy:idel=3", "no option of energy"),
        ("energy:idle=3GB", "idle"),
        ("energy,carbon", "no backend called"),
    ],
)
def test_a_backend_that_is_not_there_is_answered_with_what_is(
    run: Run, backend: str, words: str
) -> None:
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "--backend", backend)
    assert ran.code == 2
    assert words in ran.err


def test_a_backend_answers_for_one_length(run: Run) -> None:
    asked = ("analyze", "gpt2", "--on", "h100-sxm", "-p", "uniform(1k,2k)")
    ran = run(*asked, "--backend", "energy")
    assert ran.code == 2
    assert "one length" in ran.err


def test_how_long_a_launch_takes_must_be_said() -> None:
    with pytest.raises(ms.MansardError, match="how long a launch takes"):
        asked("launches")


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (
            "energy",
            ("HBM3) 5.47 pJ", "bf16 0.295 pJ", "[Jouppi 2021, table 2]", "a meter shows more"),
        ),
        ("energy:table=45nm,idle=90W", ("[Horowitz 2014, fig. 1.1.9]", "90 W of each device")),
        (
            "carbon",
            ("700 W, its thermal design power", "480 g CO2e a kWh", "world's mean", "PUE 1"),
        ),
        ("carbon:grid=20,embodied=150", ("20 g CO2e", "150 kg CO2e of making a device")),
        ("pim", ("generic-hbm3-pim: 16.0 TB/s inside", "50% of the memory", "this is a bound")),
        ("caches", ("50% (share) of the 52.4 MB cache", "in no time")),
        ("launches:launch=5us", ("5.00 µs from one launch to the next, as given",)),
    ],
)
def test_a_backend_says_what_it_assumed_in_place_of_what_real_engines_reach(
    run: Run, backend: str, words: tuple[str, ...]
) -> None:
    asked_for = ("analyze", "gpt2", "--on", "h100-sxm", "--backend", backend)
    table = " ".join(run(*asked_for).out.split())
    document = json.loads(run(*asked_for, "-f", "json").out)
    for word in words:
        assert word in table
        assert word in " ".join(document["assumes"])
    assert "arXiv:2411.00136" not in table
    page = run(*asked_for, "-f", "md").out
    assert "- assumes: " in page
    assert "arXiv:2411.00136" not in page


def test_carbon_without_a_world_mean_does_not_cite_it() -> None:
    assert not any("Ember" in said for said in asked("carbon:grid=20").assumes)


@dataclass(frozen=True)
class Silent:
    """Answer as the roofline does, and say nothing."""

    name = "silent"
    size: int = ms.option(0, "tokens of something", least=0, unit="tokens")

    def estimate(self, program: Any, on: Any, scenario: Any) -> Any:
        """Return the bound."""
        from mansard.backends import roofline

        return roofline.estimate(program, on, scenario)


def test_a_backend_of_a_plugin_that_states_nothing_is_said_to(install: Install, run: Run) -> None:
    install("silent", {"mansard_backends": [Silent()]}, "silent-dist")
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "--backend", "silent:size=1k")
    assert "the backend silent does not state what it assumes" in ran.out
    listed = {b["name"]: b for b in json.loads(run("backends", "list", "-f", "json").out)}
    assert listed["silent"]["owner"] == "silent-dist"
    assert listed["energy"]["owner"] == "mansard"
    shown = run("backends", "show", "silent").out
    assert "Answer as the roofline does" in shown
    assert "tokens, as 512 or 8k, at least 0" in shown


def test_backends_are_listed_and_shown_and_a_near_name_is_offered(run: Run) -> None:
    shown = run("backends", "show", "launches").out
    assert "[Vellaisamy 2025]" in shown
    assert "it must be given" in shown
    assert "-1" not in shown
    ran = run("backends", "show", "enrgy")
    assert ran.code == 2
    assert "did you mean 'energy'" in ran.err
    assert "backends list" in " ".join(run("analyze", "--help").out.split())


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("launches:launch=5", "launches: launch: 5 has no unit: time needs one"),
        ("carbon:power=300", "carbon: power: 300 has no unit"),
        ("caches:bandwidth=2e12", "bandwidth: 2000000000000.0 has no unit"),
        ("dataflow:x", "backend 'dataflow:x': expected '='"),
        ("energy:idle=1W,carbon", "no backend called 'carbon'"),
        ("energy:rows=1k", "energy: rows is '1k', not a whole number"),
    ],
)
def test_options_that_cannot_be_read_are_refused_in_a_backends_words(
    run: Run, backend: str, words: str
) -> None:
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "--backend", backend)
    assert ran.code == 2
    assert words in ran.err
    assert "pipeline" not in ran.err
    assert "technique" not in ran.err


def test_a_backend_says_only_why_it_cannot_answer() -> None:
    with pytest.raises(ms.MansardError, match="in place of the roofline") as raised:
        ms.analyze("gpt2", on="h100-sxm", backend="energy", estimate="calibrated")
    assert "length" not in raised.value.message + str(raised.value.hint)
    with pytest.raises(ms.MansardError, match="energy answers for one length") as raised:
        ms.analyze("gpt2", on="h100-sxm", backend="energy", prompt="uniform(100,200)")
    assert "estimate" not in raised.value.message + str(raised.value.hint)

"""Questions that have another answer than a token's time: energy, money, models without decode."""

from __future__ import annotations

import pytest
from tests.conftest import Run

import mansard as ms
from mansard.core.errors import SpecError, UnknownNameError
from mansard.query.planning.plan import plan

SMALL = "qwen2.5-0.5b"


def test_energy_may_be_limited_in_joules_or_watt_hours() -> None:
    asked = ms.study(SMALL, on="h100-sxm", prompt=256, output=16)
    bare = asked.solve("batch", maximize=True, subject_to="energy <= 3600").value
    for text in ("3600J", "3.6kJ", "1Wh", "0.001 kWh"):
        assert asked.solve("batch", maximize=True, subject_to=f"energy <= {text}").value == bare
    with pytest.raises(SpecError):
        asked.solve("batch", maximize=True, subject_to="energy <= 3600W")


def test_a_denoiser_is_asked_about_the_phase_that_takes_longest_or_the_one_named(run: Run) -> None:
    asked = ms.study("dit-xl-2-256", on="l4")
    assert asked.crossovers().phase == "denoise"
    assert asked.crossovers(phase="vae_decode").phase == "vae_decode"
    done = run("crossovers", "dit-xl-2-256", "--on", "l4", "--phase", "denoise")
    assert "denoise over batch" in done.out
    done = run("crossovers", "dit-xl-2-256", "--on", "l4", "--phase", "denoised")
    assert done.code == 2
    assert "did you mean 'denoise'" in done.err


def test_what_a_model_without_decode_has_is_listed() -> None:
    asked = ms.study("dit-xl-2-256", on="l4")
    for ask in (asked.explain, asked.sensitivity):
        with pytest.raises(SpecError, match="no tpot") as problem:
            ask("tpot")
        assert "this answer has latency, throughput, memory, capacity" in (problem.value.hint or "")


def test_a_plan_of_a_model_that_decodes_nothing_is_refused_at_once() -> None:
    with pytest.raises(SpecError, match="a plan needs a model that decodes"):
        plan("dit-xl-2-256", on="l4", slo="latency<1s", rate=5.0)


def test_a_rate_at_the_limit_is_said_to_need_to_be_below_it() -> None:
    with pytest.raises(SpecError, match="must be below 1,000,000,000"):
        plan(SMALL, on="l4", slo="latency<1s", rate=1e9)


def test_costs_and_energy_follow_the_rates_that_the_time_of_a_batch_follows() -> None:
    """Each is the batch's time at a price; throughput is one over that time."""
    asked = ms.study(SMALL, on="h100-sxm", prompt=256, output=16, price=2.0)
    rate = asked.sensitivity("throughput")
    metrics = asked.analyze().metrics
    for name in ("energy", "cost", "cost_per_mtok"):
        found = asked.sensitivity(name)
        assert found.elasticities == {k: -v for k, v in rate.elasticities.items()}
        value = metrics.energy_j if name == "energy" else getattr(metrics, name)
        assert found.value == value == asked.explain(name).value


def test_a_cost_without_a_price_asks_for_one() -> None:
    asked = ms.study(SMALL, on="h100-sxm", prompt=256, output=16)
    for ask in (asked.explain, asked.sensitivity):
        with pytest.raises(SpecError, match="nothing gives a price") as problem:
            ask("cost")
        assert problem.value.hint == "add --price 2.50"


def test_a_sweep_by_cost_without_a_price_is_refused() -> None:
    asked = ms.study(SMALL, on="h100-sxm", prompt=256, output=16)
    for reduced in ({"top": 1, "best": "cost"}, {"pareto": "cost_per_mtok,tpot"}):
        with pytest.raises(SpecError, match="nothing gives a price"):
            asked.sweep({"batch": "1,2"}, **reduced)
    with pytest.raises(SpecError, match="no point has tpot"):
        ms.study("dit-xl-2-256", on="l4").sweep({"batch": "1,2"}, top=1, best="tpot")


def test_a_calibrated_sensitivity_shows_its_band_and_what_it_rests_on(run: Run) -> None:
    said = run("sensitivity", SMALL, "--on", "h100-sxm", "--estimate", "calibrated").out
    assert "band (4 of 5 measurements)" in said
    assert "Rests on measurements" in said


def test_an_axis_of_the_hardware_that_changes_nothing_is_refused() -> None:
    asked = ms.study(SMALL, on="h100-sxm")
    with pytest.raises(SpecError, match="changes no figure"):
        asked.sweep({"hardware.name": "a,b"})
    with pytest.raises(SpecError, match="must be positive") as problem:
        asked.sweep({"hardware.memory.bandwidth": "0TB/s"})
    assert problem.value.hint == "write it like 3.35TB/s"


def test_an_unknown_nobody_knows_is_told_where_the_list_is() -> None:
    with pytest.raises(UnknownNameError) as problem:
        ms.study(SMALL, on="h100-sxm").solve("nonsense", subject_to="tpot <= 1s")
    assert "mansard hardware show" in (problem.value.hint or "")


@pytest.mark.parametrize("name", ["network.per_direction", "network.latency", "network"])
def test_a_network_is_no_unknown_but_an_axis_of_a_sweep(name: str) -> None:
    with pytest.raises(SpecError, match="a network is an axis of a sweep") as refused:
        ms.study(SMALL, on="h100-sxm").solve(name, minimize=True, subject_to="tpot <= 9ms")
    assert f"mansard sweep --vary {name}=" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tpot <= 9**9**9**9", "write the number itself"),
        ("tpot <= 1/0*1ms", "divide by a number that is not 0"),
        ("tpot <= 5\x1b[31mms", "write it like 'tpot <= 20ms'"),
        ("tpot + <= 5ms", "write numbers, names"),
    ],
)
def test_a_constraint_that_cannot_be_read_is_refused_with_what_to_write(
    text: str, hint: str
) -> None:
    with pytest.raises(SpecError) as refused:
        ms.study(SMALL, on="h100-sxm").solve("batch", maximize=True, subject_to=text)
    assert hint in str(refused.value.hint)


@pytest.mark.parametrize("values", ["1..1T", "1.5", "1..8+-1", "8tok"])
def test_a_batch_counts_sequences(values: str) -> None:
    with pytest.raises(SpecError, match=r"axis batch: .* sequences"):
        ms.study(SMALL, on="h100-sxm").sweep(batch=values)
    if ".." in values and "+" not in values:
        with pytest.raises(SpecError, match="sequences"):
            ms.study(SMALL, on="h100-sxm").solve(
                "batch", maximize=True, within=values, subject_to="tpot <= 9ms"
            )


def test_a_link_of_nothing_is_left_out_with_the_reason() -> None:
    study = ms.study(SMALL, on="h100-sxm")
    found = study.sweep({"network.per_direction": "0GB/s,1GB/s"})
    assert [n.message for n in found.notes if n.code == "M071"] == [
        "left out: network.per_direction is '0GB/s': it must be above 0"
    ]


def test_requests_a_second_may_be_a_bare_number(run: Run) -> None:
    ask = ("plan", SMALL, "--on", "l4:1", "--slo", "tpot<1s", "-p", "64", "-n", "8", "--rate")
    assert run(*ask, "1").out == run(*ask, "1/s").out
    assert "5/s (or 5)" in run("plan", "--help").out


@pytest.mark.parametrize("command", ["explain", "sensitivity"])
def test_a_model_that_makes_no_tokens_is_asked_about_its_latency(run: Run, command: str) -> None:
    ask = (command, "bert-base-uncased", "--on", "h100-sxm")
    assert "latency = " in run(*ask).out
    refused = run(*ask, "--metric", "tpot")
    assert refused.code == 2
    assert "this answer has no tpot" in refused.err
    assert "add --metric latency" in refused.err
    assert "tpot = " in run(command, SMALL, "--on", "h100-sxm").out


def test_the_api_asks_about_the_latency_of_what_makes_no_tokens_too() -> None:
    asked = ms.study("dit-xl-2-256", on="l4")
    assert asked.explain().metric == asked.sensitivity().metric == "latency"
    few = ms.study(SMALL, on="l4")
    assert few.explain().metric == few.sensitivity().metric == "tpot"

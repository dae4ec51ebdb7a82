"""The fewest devices that serve a rate, against trying everything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mansard as ms
from mansard.query.planning.front import front
from mansard.query.planning.layouts import layouts
from mansard.query.planning.objectives import read_objectives
from mansard.query.planning.plan import Plan, plan

Run = Callable[..., Any]
LENGTHS: dict[str, Any] = {"prompt": 1024, "output": 32}
SMALL = 1_200_000_000
"""Bytes of memory, so that few sequences fit."""


def everything(
    model: str, chip: str, most: int, rate: float, ttft: float, tpot: float, variants: list[str]
) -> Iterator[tuple[int, float]]:
    """Devices and time per token of every layout and batch that serves, each from ``analyze``."""
    asked = {**LENGTHS, "set": {"hardware.memory.capacity": f"{SMALL}B"}}
    experts = "moe" in model
    for variant in variants:
        for layout in layouts(most, experts=experts):
            for batch in range(layout.dp, 200, layout.dp):
                texts = [variant, f"batch-continuously{{admitted={layout.dp}}}", layout.pipeline]
                found = ms.analyze(
                    model, on=f"{chip}:{layout.devices}", batch=batch,
                    techniques=[text for text in texts if text], **asked,
                )  # fmt: skip
                if not found.memory.fits:
                    break
                assert found.ttft is not None
                assert found.tpot is not None
                assert found.throughput is not None
                if found.ttft < ttft and found.tpot < tpot:
                    served = found.throughput / LENGTHS["output"]
                    yield layout.devices * max(1, math.ceil(rate / served - 1e-9)), found.tpot


@pytest.mark.parametrize(
    ("model", "chip", "most", "rate", "ttft", "tpot", "variants"),
    [
        ("qwen2.5-0.5b", "l4", 2, 60.0, 0.1, 0.015, [""]),
        ("qwen2.5-0.5b", "a100-sxm-80gb", 1, 200.0, 0.05, 0.004, ["", "quantize{weights=int8}"]),
        ("smollm2-135m", "h100-sxm", 1, 1500.0, 0.02, 0.003, [""]),
    ],
)
def test_a_plan_is_the_best_of_everything(
    model: str, chip: str, most: int, rate: float, ttft: float, tpot: float, variants: list[str]
) -> None:
    found = plan(
        model, on=chip, slo=f"ttft<{ttft * 1e3}ms,tpot<{tpot * 1e3}ms", rate=rate, **LENGTHS,
        set={"hardware.memory.capacity": f"{SMALL}B"}, split="together",
        variants=[(v,) if v else () for v in variants], most_devices=1000,
    )  # fmt: skip
    tried = list(everything(model, chip, most, rate, ttft, tpot, variants))
    assert tried
    assert found.best is not None
    allowed = [o for o in found.options if o.pools[0].devices_each <= most]
    best = min(allowed, key=lambda o: o.order)
    assert best.devices == min(tried)[0]
    assert best.tpot_s == pytest.approx(min(tried)[1], rel=1e-9)


@pytest.fixture(scope="module")
def served() -> Plan:
    return plan(
        "llama-3.1-8b", on="h100-sxm:4", slo="ttft<300ms,tpot<20ms", rate=6, prompt=1024, output=128
    )


def test_an_option_is_what_analyze_says_of_it(served: Plan) -> None:
    best = served.best
    assert best is not None
    (pool,) = best.pools
    layout = f"parallel{{{pool.layout}}}" if pool.devices_each > 1 else ""
    again = ms.analyze(
        "llama-3.1-8b", on=f"h100-sxm:{pool.devices_each}", batch=pool.batch, prompt=1024,
        output=128, techniques=[t for t in ("batch-continuously", layout) if t],
    )  # fmt: skip
    assert best.tpot_s == pytest.approx(again.tpot, rel=1e-9)
    assert best.ttft_s == pytest.approx(again.ttft, rel=1e-9)
    assert again.throughput is not None
    assert pool.requests_per_s == pytest.approx(again.throughput / 128, rel=1e-9)
    assert pool.requests_per_s * pool.replicas >= 6


def test_apart_the_cache_moves_before_the_first_step(served: Plan) -> None:
    apart = [o for o in served.options if len(o.pools) == 2]
    assert apart
    for option in apart:
        prefill, decode = option.pools
        assert option.ttft_s > 1 / prefill.requests_per_s  # a prompt, then its cache's way
        assert min(p.requests_per_s * p.replicas for p in option.pools) >= 6
        assert decode.batch >= 1
        assert option.devices <= 4


def test_nothing_on_the_front_is_beaten_in_both(served: Plan) -> None:
    points = [(p.tokens_per_s_per_user, p.tokens_per_s_per_device) for p in served.front]
    assert len(points) > 10
    for user, device in points:
        assert not any(u >= user and d >= device for u, d in points if (u, d) != (user, device))
    assert front([]) == ()


def test_where_nothing_serves_the_nearest_miss_is_said(run: Run) -> None:
    ran = run("plan", "llama-3.1-8b", "--on", "h100-sxm:2", "--rate", "1/s", "-p", "256",
              "-n", "16", "--slo", "tpot<1ms")  # fmt: skip
    assert ran.code == 1
    assert re.search(r"tpot<1ms: the least tpot is \d\.\d+ ms \(", ran.out)
    ran = run(
        "plan", "qwen2.5-0.5b", "--on", "l4:1", "--rate", "1/s", "-p", "256", "-n", "16",
        "--slo", "ttft>1h,tokens_per_s_per_user>=9 ktok/s")  # fmt: skip
    assert re.search(r"ttft>1h: the greatest ttft is [\d.]+ m?s \(", ran.out)
    assert re.search(r"ktok/s: the greatest tokens_per_s_per_user is [\d,]+/s \(", ran.out)
    ran = run("plan", "llama-3.1-405b", "--on", "l4", "--rate", "1/s", "--slo", "tpot<1s")
    assert ran.code == 1
    assert "memory: " in ran.out
    ran = run("plan", "qwen2.5-0.5b", "--on", "l4:1", "--rate", "9000/s", "--slo", "tpot<1s")
    assert ran.code == 1
    assert "at most 1 were allowed" in ran.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--slo", "tpto<3ms", "--rate", "1/s"], "tpto"),
        (["--slo", "memory<3GB", "--rate", "1/s"], "metric a user of the service sees"),
        (["--slo", "tpot<3GB", "--rate", "1/s"], "3GB"),
        (["--slo", ",", "--rate", "1/s"], "no objective"),
        (["--slo", "tpot<3ms", "--rate", "0/s"], "0 requests a second, which must be above 0"),
        (["--slo", "tpot<3ms", "--rate", "1e30/s"], "below 1,000,000,000"),
        (["--slo", "tpot<-3ms", "--rate", "1/s"], "the limit is negative"),
        (["--slo", "tpot*tpot<3ms", "--rate", "1/s"], "'tpot*tpot' is s**2, '3ms' time"),
        (["--slo", "tpot<3ms", "--rate", "-1/s"], "negative"),
        (["--slo", "tpot<3ms", "--rate", "fast"], "'fast'"),
        (["--slo", "tpot<3ms", "--rate", "1/s", "-b", "4"], "batch is what a plan chooses"),
        (["--slo", "tpot<3ms", "--rate", "1/s", "-t", "parallel:tp=2"], "parallel is what a plan"),
        (["--slo", "tpot<3ms", "--rate", "1/s", "--phase", "decode"], "both phases"),
        (["--slo", "tpot<3ms"], "--rate"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(run: Run, options: list[str], says: str) -> None:
    ran = run("plan", "qwen2.5-0.5b", "--on", "l4", *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_json_and_markdown_say_the_same(run: Run) -> None:
    ask = ("plan", "qwen2.5-0.5b", "--on", "l4:2", "--slo", "tpot<20ms", "--rate", "50/s",
           "-p", "256", "-n", "16")  # fmt: skip
    document = json.loads(run(*ask, "-f", "json").out)
    assert document["schema"] == "mansard.plan/1"
    assert document["devices"] == document["options"][0]["devices"]
    text = run(*ask, "-f", "md").out
    assert text.startswith("# qwen2.5-0.5b on l4")
    assert f"batch {document['options'][0]['pools'][0]['batch']}" in text


def test_objectives_are_arithmetic_over_what_users_see() -> None:
    import numpy as np

    (rule,) = read_objectives("latency - ttft <= 2*tpot + 1s/4")
    held = rule.holds(
        {
            "latency": np.array([1.0, 3.0]),
            "ttft": np.array([0.5, 0.5]),
            "tpot": np.array([0.2, 0.2]),
        },
        size=2,
    )
    assert held.tolist() == [True, False]


def test_a_plan_of_distributed_lengths_is_of_expectations() -> None:
    lengths: dict[str, Any] = {"prompt": "uniform(100,102)", "output": "uniform(16,17)"}
    found = plan("qwen2.5-0.5b", on="l4:2", slo="tpot<8ms", rate=50, **lengths)
    assert "expectations" in found.assumes[0]
    together = next(o for o in found.options if len(o.pools) == 1)
    (pool,) = together.pools
    layout = f"parallel{{{pool.layout}}}" if pool.devices_each > 1 else ""
    again = ms.analyze(
        "qwen2.5-0.5b", on=f"l4:{pool.devices_each}", batch=pool.batch, **lengths,
        techniques=[t for t in ("batch-continuously", layout) if t],
    )  # fmt: skip
    assert together.tpot_s == pytest.approx(again.tpot, rel=1e-9)
    assert again.throughput is not None
    assert pool.requests_per_s == pytest.approx(again.throughput / 16.5, rel=1e-9)
    apart = next(o for o in found.options if len(o.pools) == 2)
    (one, _) = apart.pools
    pairs = [ms.analyze("qwen2.5-0.5b", on=f"l4:{2 * one.devices_each}", prompt=p, output=16,
                        techniques=["disaggregate"]) for p in (100, 101, 102)]  # fmt: skip
    sent = math.fsum(e.phases["prefill"].total_s + e.phases["transfer"].total_s for e in pairs) / 3
    assert apart.ttft_s == pytest.approx(sent, rel=1e-9)
    with pytest.raises(ms.MansardError, match="plans look at every length"):
        plan("qwen2.5-0.5b", on="l4", slo="tpot<8ms", rate=50, prompt="uniform(1,5000)")


def test_a_calibrated_plan_takes_more_devices_than_the_bound_and_shows_its_bands() -> None:
    asked: dict[str, Any] = {
        "on": "h100-sxm:8", "slo": "ttft<1s,tpot<40ms", "rate": 60, "prompt": 1024, "output": 128,
        "split": "together",
    }  # fmt: skip
    bound = plan("llama-3.1-8b", **asked)
    made = plan("llama-3.1-8b", estimate="calibrated", **asked)
    assert bound.best is not None
    assert made.best is not None
    assert made.best.devices > bound.best.devices
    assert bound.best.tpot_band_s is None
    (pool,) = made.best.pools
    layout = next(t for t in layouts(8, experts=False) if str(t) == pool.layout)
    one = ms.analyze(
        "llama-3.1-8b", on=f"h100-sxm:{layout.devices}", batch=pool.batch, prompt=1024, output=128,
        techniques=[f"batch-continuously{{admitted={layout.dp}}}", layout.pipeline],
        estimate="calibrated",
    )  # fmt: skip
    assert one.calibrated is not None
    assert made.best.tpot_s == pytest.approx(one.tpot)
    band = one.calibrated.bands["tpot_s"]
    assert made.best.tpot_band_s == pytest.approx((band.low, band.high))
    assert any("objectives hold for the median" in sentence for sentence in made.assumes)
    assert not any("times are bounds" in sentence for sentence in made.assumes)


# Why, what it costs, and several chips.


def test_what_stops_a_larger_batch_is_the_condition_that_fails_there(served: Plan) -> None:
    best = served.best
    assert best is not None
    (pool,) = best.pools
    found = re.fullmatch(r"(.+) fails at batch ([\d,]+)", best.stops)
    assert found
    batch = int(found[2].replace(",", ""))
    layout = f"parallel{{{pool.layout}}}" if pool.devices_each > 1 else ""
    there = ms.analyze(
        "llama-3.1-8b", on=f"h100-sxm:{pool.devices_each}", batch=batch, prompt=1024,
        output=128, techniques=[t for t in ("batch-continuously", layout) if t],
    )  # fmt: skip
    from mansard.query.gate import read_gate

    assert not read_gate(found[1]).holds(there)
    assert there.throughput is not None
    assert there.throughput / 128 > pool.requests_per_s


def test_every_layout_serves_or_says_why_not() -> None:
    found = plan("llama-3.1-70b", on="h100-sxm", slo="ttft<1s,tpot<30ms", rate=5, **LENGTHS)
    used = {pool.layout for option in found.options for pool in option.pools}
    why = dict(found.failed)
    assert used | set(why) == {str(layout) for layout in layouts(8, experts=False)}
    assert why["one device"].startswith("memory: ")
    assert why["pp=2"].startswith("tpot<30ms: the least tpot is ")


def test_objectives_that_exclude_each_other_are_said_to(run: Run) -> None:
    least = ms.analyze("qwen2.5-0.5b", on="l4", prompt=256, output=16, batch=1).tpot
    assert least is not None
    ran = run("plan", "qwen2.5-0.5b", "--on", "l4:1", "--rate", "1/s", "-p", "256", "-n", "16",
              "--slo", f"tpot<{least * 1.2}s,latency>10s")  # fmt: skip
    assert ran.code == 1
    assert "holds at some batch, all of them at none" in " ".join(ran.out.split())


def test_a_price_makes_costs_of_an_hour_and_of_tokens(run: Run) -> None:
    ask = ("plan", "qwen2.5-0.5b", "--on", "l4", "--slo", "tpot<20ms", "--rate", "50/s",
           "-p", "256", "-n", "16")  # fmt: skip
    document = json.loads(run(*ask, "--price", "0.5", "-f", "json").out)
    best = document["options"][0]
    assert best["cost_per_hour"] == 0.5 * best["devices"]
    assert best["cost_per_mtok"] == pytest.approx(best["cost_per_hour"] / (50 * 16 * 3600) * 1e6)
    assert json.loads(run(*ask, "-f", "json").out)["options"][0]["cost_per_hour"] is None
    assert "$/h" in run(*ask, "--price", "0.5").out
    assert "$" not in run(*ask).out


def test_chips_are_ranked_by_what_they_cost(run: Run) -> None:
    ask = ("plan", "qwen2.5-0.5b", "--on", "l4,h100-sxm", "--slo", "tpot<20ms", "--rate", "50/s",
           "-p", "256", "-n", "16")  # fmt: skip

    def first(*prices: str) -> str:
        document = json.loads(run(*ask, *prices, "-f", "json").out)
        assert document["schema"] == "mansard.plans/1"
        assert [p["on"] for p in document["plans"]] == ["l4", "h100-sxm"]
        ranked: list[str] = document["best_first"]
        return ranked[0]

    alone = [json.loads(run(*ask[:3], chip, *ask[4:], "-f", "json").out) for chip in
             ("l4", "h100-sxm")]  # fmt: skip
    few = min(alone, key=lambda d: (d["devices"], d["options"][0]["tpot_s"]))
    assert first() == few["on"]
    assert first("--price", "0.01,100") == "l4"
    assert first("--price", "100,0.01") == "h100-sxm"
    ran = run(*ask, "--price", "1,2,3")
    assert (ran.code, "3 prices for 2 chips" in ran.err) == (2, True)
    shown = run(*ask, "--price", "2")
    assert "l4" in shown.out
    assert "h100-sxm" in shown.out
    assert run(*ask, "-f", "md").out.startswith("# qwen2.5-0.5b: 50 requests/s")


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("price", [(), ("--price", "2.5")])
def test_no_line_of_a_plan_is_wider_than_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int, price: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for on in ("l4", "l4,h100-sxm"):
        ran = run("plan", "qwen2.5-0.5b", "--on", on, "--slo", "tpot<20ms", "--rate", "900/s",
                  "-p", "256", "-n", "16", *price)  # fmt: skip
        assert max(map(len, ran.out.splitlines())) <= width


@pytest.mark.parametrize("slo", ["tpot<20ms", "tpot<1us"])
def test_a_plan_is_valid_under_the_shipped_schema(run: Run, slo: str) -> None:
    from importlib import resources

    import jsonschema  # type: ignore[import-untyped]

    ran = run("plan", "qwen2.5-0.5b", "--on", "l4", "--slo", slo, "--rate", "50/s", "-p", "256",
              "-n", "16", "-f", "json")  # fmt: skip
    text = resources.files("mansard").joinpath("schemas/plan-1.schema.json").read_text("utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(ran.out), schema)
    found = set(json.loads(ran.out))
    assert set(schema["required"]) <= found <= set(schema["properties"])

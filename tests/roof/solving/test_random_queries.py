"""A thousand random queries: the answer holds and its neighbour does not."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mansard as ms
from mansard.core.errors import SpecError
from mansard.query.metrics import quantities
from mansard.query.solving.conditions import read_conditions
from mansard.query.solving.unknowns import read_unknown
from mansard.query.solving.values import Values
from mansard.query.study import Study

QUESTIONS: dict[str, dict[str, Any]] = {
    "dense": {"source": "llama-3.1-8b", "on": "h100-sxm", "prompt": 1000, "output": 60},
    "tp8": {"source": "llama-3.1-70b", "on": "h100-sxm:8", "batch": 16, "output": 40},
    "window": {"source": "gemma-2-2b", "on": "l40s", "prompt": 4000, "output": 200},
    "experts": {"source": "mixtral-8x7b-v0.1", "on": "mi300x", "batch": 5, "output": 30},
    "recurrent": {"source": "mamba2-2.7b", "on": "h100-sxm", "batch": 3},
    "int4": {
        "source": "llama-3.1-8b", "on": "l40s",
        "techniques": ["quantize{weights=int4 group=128}"],
    },
    "translation": {"source": "t5-small", "on": "h100-sxm", "batch": 4, "output": 30},
    "latent": {"source": "deepseek-v2-lite", "on": "l40s", "batch": 2, "output": 30},
    "streams": {
        "source": "llama-3.1-8b", "on": "h100-sxm:2", "output": 50,
        "techniques": ["parallel{tp=2 overlap=true}"],
    },
    "riders": {
        "source": "qwen2.5-0.5b", "on": "l40s", "output": 50,
        "techniques": ["chunk-prefill{size=256 decoding=4}"],
    },
    "step": {"source": "llama-3.1-8b", "on": "h100-sxm", "batch": 9, "context": 5000},
}  # fmt: skip
UNITS = {"ttft": "s", "tpot": "s", "latency": "s", "throughput": "/s", "memory": "B",
         "tokens_per_s_per_user": "/s", "kv_cache": "B"}  # fmt: skip
WITHIN = 20_000
FACTORS = st.floats(0.9, 1.1).filter(lambda f: abs(f - 1) > 1e-9)
"""Limits equal to a figure but for rounding are a test of their own, in test_solve.py."""


@cache
def asked(name: str) -> Study:
    return ms.study(**QUESTIONS[name])


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, str, str, str, bool]:
    """Return a question, an unknown, a constraint near a value it can have, and a goal."""
    name = draw(st.sampled_from(sorted(QUESTIONS)))
    step = name == "step"
    find = draw(st.sampled_from(["batch", "context"] if step else ["batch", "prompt", "output"]))
    metrics = ["tpot", "tokens_per_s_per_user", "memory", "kv_cache"] if step else list(UNITS)
    metric = draw(st.sampled_from(metrics))
    x = draw(st.integers(2, 2000) | st.integers(2, WITHIN))
    sizes = {**asked(name).scenario.symbols, "prompt" if find == "context" else find: x}
    engine = asked(name).compiled
    at = float(
        engine.figures(sizes["batch"], sizes["prompt"], sizes["output"], [metric])[metric][0]
    )
    near = draw(FACTORS) * at
    op = draw(st.sampled_from(["<=", "<", ">=", ">"]))
    text = f"{metric} {op} {int(near) if UNITS[metric] == 'B' else near}{UNITS[metric]}"
    return name, find, text, metric, draw(st.booleans())


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(queries())
def test_an_answer_holds_and_its_neighbour_does_not(query: tuple[str, str, str, str, bool]) -> None:
    name, find, text, _, maximize = query
    study = asked(name)
    (condition,) = read_conditions([text])
    within = f"1..{WITHIN}"
    solution = study.solve(
        find, maximize=maximize, minimize=not maximize, subject_to=text, within=within
    )
    question = study.question
    values = Values(question, read_unknown(question, find, within))

    def holds(*xs: int) -> list[bool]:
        return list(condition.holds(values.figures(condition, np.array(xs, float)), len(xs)))

    probes = [1, 2, 50, 333, 4095, 4097, WITHIN - 1, WITHIN]
    if solution.value is None:
        assert not any(holds(*probes))
        return
    assert isinstance(solution.value, int)
    beyond = solution.value + (1 if maximize else -1)
    if 1 <= beyond <= WITHIN:
        assert holds(solution.value, beyond) == [True, False]
        assert solution.binding == text
    else:
        assert holds(solution.value) == [True]
    inside = [any(a <= x <= b for a, b in solution.intervals) for x in probes]
    assert inside == holds(*probes)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["dense", "tp8", "window", "experts"]),
    st.sampled_from(["memory.bandwidth", "peak.matrix.bf16"]),
    st.sampled_from(["ttft", "latency"]),
    st.floats(0.3, 3.0),
)
def test_the_least_rate_holds_and_a_little_less_does_not(
    name: str, field: str, metric: str, factor: float
) -> None:
    from mansard.query.gate import read_gate

    study = asked(name)
    today = quantities(study.question.estimate)[metric]
    assert today is not None
    text = f"{metric} <= {today * factor!r}s"
    unknown = f"hardware.{field}"
    solution = study.solve(unknown, minimize=True, subject_to=text)
    if solution.estimate is None:
        assert "at its best" in solution.reason
        return
    assert isinstance(solution.value, float)
    assert read_gate(text).holds(solution.estimate)
    unit = "B/s" if field == "memory.bandwidth" else "FLOP/s"
    less = study.question.changed(set={unknown: f"{solution.value * (1 - 1e-9)!r} {unit}"})
    assert not read_gate(text).holds(less.estimate)


@pytest.mark.parametrize("name", ["dense", "window", "experts", "int4"])
@pytest.mark.parametrize("text", [
    "2*tpot < ttft/30", "throughput >= 40*tokens_per_s_per_user", "max(ttft, 0.5s) <= 0.1*latency",
    "memory/batch <= 1GB",
])  # fmt: skip
def test_expressions_agree_with_every_value_tried(name: str, text: str) -> None:
    study = asked(name)
    (condition,) = read_conditions([text])
    solution = study.solve("batch", subject_to=text, within="1..3000")
    question = study.question
    values = Values(question, read_unknown(question, "batch", "1..3000"))
    xs = np.arange(1, 3001, dtype=float)
    expected = condition.holds(values.figures(condition, xs), len(xs))
    inside = np.zeros(len(xs), dtype=bool)
    for low, high in solution.intervals:
        inside |= (xs >= low) & (xs <= high)
    assert np.array_equal(inside, expected)


@pytest.mark.parametrize(("find", "text", "goal"), [
    ("batch", "tpot <= 12ms", "maximize"), ("prompt", "ttft <= 400ms", "maximize"),
    ("output", "latency <= 2s", "maximize"), ("batch", "throughput >= 2000/s", "minimize"),
])  # fmt: skip
def test_analyze_agrees_at_the_answer_and_next_to_it(find: str, text: str, goal: str) -> None:
    from mansard.query.gate import read_gate

    up = goal == "maximize"
    solution = asked("dense").solve(find, maximize=up, minimize=not up, subject_to=text)
    assert solution.estimate is not None
    assert read_gate(text).holds(solution.estimate)
    assert isinstance(solution.value, int)
    beyond = solution.value + (1 if up else -1)
    sizes: dict[str, Any] = {**asked("dense").scenario.symbols, find: beyond}
    assert not read_gate(text).holds(ms.analyze("llama-3.1-8b", on="h100-sxm", **sizes))


def test_two_constraints_leave_what_both_allow() -> None:
    both = asked("dense").solve("batch", subject_to=["tpot <= 12ms", "throughput >= 2000/s"])
    low = asked("dense").solve("batch", minimize=True, subject_to="throughput >= 2000/s").value
    high = asked("dense").solve("batch", maximize=True, subject_to="tpot <= 12ms").value
    assert both.intervals == ((low, high),)


def test_an_unbounded_question_is_refused_and_says_which_way_is_free() -> None:
    with pytest.raises(SpecError, match="batch is free upwards"):
        asked("dense").solve("batch", maximize=True, subject_to="throughput >= 100/s")

"""``solve_many``: for each workload what ``solve`` says of it, and refusals by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mansard as ms
from mansard.core.errors import MansardError, SpecError
from mansard.query.solving.edges import last_holding
from mansard.query.solving.question import Question
from mansard.query.study import Study

STUDIES: dict[str, dict[str, Any]] = {
    "dense": {"source": "llama-3.1-8b", "on": "h100-sxm"},
    "experts": {"source": "mixtral-8x7b-v0.1", "on": "mi300x"},
    "window": {"source": "gemma-2-2b", "on": "l40s"},
    "latent": {"source": "deepseek-v3", "on": "h100-sxm:16", "techniques": ["parallel{tp=16}"]},
    "int4": {"source": "mixtral-8x7b-v0.1", "on": "l40s",
             "techniques": ["quantize{weights=int4 group=128}"]},
    "ranks": {"source": "mixtral-8x7b-v0.1", "on": "h100-sxm:8",
              "techniques": ["parallel{tp=2 dp=4 ep=8}"]},
}  # fmt: skip
COUNT = 320
EACH = {"dense": COUNT, "experts": COUNT, "window": COUNT, "latent": 40, "int4": 60, "ranks": 40}
EXPERTS: dict[str, dict[str, Any]] = {
    "mixtral": STUDIES["experts"],
    "mixtral, int4": STUDIES["int4"],
    "deepseek-v3": STUDIES["latent"],
    "gpt-oss": {"source": "gpt-oss-20b", "on": "h100-sxm"},
}


@cache
def asked(name: str) -> Study:
    return ms.study(**STUDIES[name], prompt=1024, output=32)


def one(study: Study, sizes: dict[str, int]) -> Study:
    """Return the study of one workload, its program compiled once."""
    other = Question(study).sized(**sizes).study
    other.__dict__["prepared"], other.__dict__["compiled"] = study.prepared, study.compiled
    other.question.__dict__["priced"] = study.question.priced
    other.question.__dict__["estimate"] = study.question.estimate
    return other


def agree(
    study: Study, find: str, over: dict[str, Any], subject_to: list[str], goal: str, within: str
) -> np.ndarray:
    keywords: dict[str, Any] = {goal: True, "subject_to": subject_to, "within": within}
    found = study.solve_many(find, over=over, **keywords)
    for k, value in enumerate(found.values):
        sizes = {name: int(values[k]) for name, values in over.items()}
        answer = one(study, sizes).solve(find, **keywords)
        assert value == (-1 if answer.value is None else answer.value), sizes
        stops = found.constraints[found.stops[k]] if found.stops[k] >= 0 else ""
        assert stops in answer.binding, sizes
    assert (found.stops[~found.found] == -1).all()
    return found.values


@pytest.mark.parametrize("name", STUDIES)
def test_batches_of_random_workloads_are_those_of_solve(name: str) -> None:
    draws = np.random.default_rng(7)
    prompt, output = draws.integers(1, 20_000, EACH[name]), draws.integers(2, 1500, EACH[name])
    limits = ["tpot <= 40ms", "memory <= capacity", "ttft < 3s"]
    found = agree(asked(name), "batch", {"prompt": prompt, "output": output}, limits,
                  "maximize", "1..100k")  # fmt: skip
    assert (found > 0).any()


@pytest.mark.parametrize("name", ["dense", "window"])
def test_least_batches_for_a_throughput_are_those_of_solve(name: str) -> None:
    draws = np.random.default_rng(8)
    prompt, output = draws.integers(1, 6_000, 80), draws.integers(2, 1500, 80)
    limits = ["throughput >= 1500/s", "memory <= 0.9*capacity"]
    found = agree(asked(name), "batch", {"prompt": prompt, "output": output}, limits,
                  "minimize", "1..100k")  # fmt: skip
    assert (found == -1).any()
    assert (found > 1).any()


@pytest.mark.parametrize("name", EXPERTS)
def test_throughput_with_experts_is_that_of_every_batch_looked_at(name: str) -> None:
    """A batch touches more experts and reads them once: what a sequence costs falls."""
    study = ms.study(**EXPERTS[name], prompt=1024, output=32)
    draws, batches = np.random.default_rng(10), np.arange(1, 4097)
    prompt, output = draws.integers(1, 9000, 24), draws.integers(2, 900, 24)
    rates = np.array(
        [study.compiled.figures(batches, p, n, ("throughput",))["throughput"]
         for p, n in zip(prompt, output, strict=True)]
    )  # fmt: skip
    assert (np.diff(rates) >= -1e-12 * rates[:, 1:]).all()
    limit, over = float(0.7 * np.median(rates[:, -1])), {"prompt": prompt, "output": output}
    enough = f"throughput >= {limit!r}/s"
    found = study.solve_many("batch", minimize=True, subject_to=enough, over=over, within="1..4096")
    holds = rates >= limit
    assert found.values.tolist() == np.where(holds.any(1), holds.argmax(1) + 1, -1).tolist()
    assert 0 < found.found.sum() < 24


@pytest.mark.parametrize("name", ["experts", "dense"])
def test_longest_prompts_for_a_throughput_are_those_of_solve(name: str) -> None:
    draws = np.random.default_rng(9)
    batch, output = draws.integers(1, 100, 40), draws.integers(2, 900, 40)
    limits = ["throughput > 300/s", "latency <= 60s", "tokens_per_s_per_user >= 20/s"]
    found = agree(asked(name), "prompt", {"batch": batch, "output": output}, limits,
                  "maximize", "1..100k")  # fmt: skip
    assert (found > 0).any()


def test_a_limit_copied_from_an_answer_holds_as_it_does_for_solve() -> None:
    study = asked("dense")
    limit = float(study.compiled.point(37, 3000, 200, ("tpot",))["tpot"])
    for op in ("<=", "<"):
        keywords: dict[str, Any] = {"maximize": True, "subject_to": f"tpot {op} {limit!r}s"}
        found = study.solve_many("batch", over={"prompt": [3000], "output": 200}, **keywords)
        solved = one(study, {"prompt": 3000, "output": 200}).solve("batch", **keywords)
        assert found.values.tolist() == [solved.value]


def test_what_fits_nowhere_is_minus_one_and_a_note_counts_it() -> None:
    found = asked("dense").solve_many("batch", maximize=True, subject_to="memory <= capacity",
                                      over={"prompt": [1024, 10**9], "output": 32})  # fmt: skip
    assert found.values.tolist()[1] == -1
    assert found.found.tolist() == [True, False]
    assert found.stops.tolist() == [0, -1]
    (note,) = found.notes
    assert note.code == "M150"
    assert "1 of 2 workloads, the first at index 1" in note.message


def test_no_workloads_have_no_answers() -> None:
    found = asked("dense").solve_many("batch", maximize=True, subject_to="tpot <= 25ms",
                                      over={"prompt": []})  # fmt: skip
    assert len(found) == 0
    assert found.notes == ()


def test_contexts_of_single_steps_are_found_and_given() -> None:
    study = ms.study("llama-3.1-8b", on="h100-sxm", context=5000)
    found = study.solve_many("context", over={"batch": [1, 64]}, maximize=True,
                             subject_to="tpot <= 25ms")  # fmt: skip
    for batch, value in zip((1, 64), found.values, strict=True):
        other = ms.study("llama-3.1-8b", on="h100-sxm", context=5000, batch=batch)
        assert other.solve("context", maximize=True, subject_to="tpot <= 25ms").value == value


OVER = {"prompt": [1024, 2048]}


@pytest.mark.parametrize(
    ("name", "find", "keywords", "says"),
    [
        ("ranks", "batch", {"subject_to": "throughput >= 500/s"}, "not certain which way"),
        ("dense", "batch", {"subject_to": "tpot >= 1us"}, "free upwards"),
        ("dense", "batch", {"subject_to": "tpot = 20ms"}, "single values"),
        ("dense", "batch", {"subject_to": ()}, "nothing constrains"),
        ("dense", "hardware.memory.bandwidth", {}, "is no size"),
        ("dense", "prompt", {}, "looked for at once"),
        ("dense", "batch", {"minimize": True}, "greatest or the least"),
        ("dense", "batch", {"over": {"promt": [1]}}, "prompt"),
        ("dense", "batch", {"over": {}}, "no workloads"),
        ("dense", "batch", {"over": {"prompt": [10, 0]}}, "0 at index 1"),
        ("dense", "batch", {"over": {"prompt": [10, float("nan")]}}, "nan at index 1"),
        ("dense", "batch", {"over": {"prompt": ["a"]}}, "no numbers"),
        ("dense", "batch", {"over": {"prompt": [[1], [2]]}}, "no list"),
        ("dense", "batch", {"over": {"prompt": [1, 2], "output": [1, 2, 3]}}, "differ in number"),
        ("dense", "batch", {"over": {"output": [5, 1]}}, "output is 1 at index 1"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(
    name: str, find: str, keywords: dict[str, Any], says: str
) -> None:
    given = {"over": OVER, "subject_to": "tpot <= 25ms", "maximize": True, **keywords}
    with pytest.raises(MansardError) as error:
        asked(name).solve_many(find, **given)
    assert says in f"{error.value.message} {error.value.hint}"
    assert error.value.hint


def test_other_estimates_and_distributions_are_refused() -> None:
    calibrated = ms.study("llama-3.1-8b", on="h100-sxm", estimate="calibrated")
    mixed = ms.study("llama-3.1-8b", on="h100-sxm", prompt="lognormal(2k,0.8)")
    for study, says in ((calibrated, "calibrated estimate"), (mixed, "distribution")):
        with pytest.raises(SpecError, match=says):
            study.solve_many("batch", over={"output": [64]}, maximize=True,
                             subject_to="tpot <= 25ms")  # fmt: skip


def test_edges_of_any_rising_curve_are_those_of_a_walk() -> None:
    draws = np.random.default_rng(3)
    powers, limits = draws.uniform(0.05, 3, 500), draws.uniform(0, 90, 500)
    xs = np.arange(1, 301.0)
    walked = (xs[:, None] ** powers <= limits).sum(axis=0)
    found = last_holding(lambda x, k: x ** powers[k] - limits[k], np.ones(500), np.full(500, 300.0))
    assert found.tolist() == walked.tolist()


def test_the_page_says_what_it_answers() -> None:
    page = (Path(__file__).parents[3] / "docs/solving.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})  # noqa: S102 - the page's own example, which asserts

"""A scenario that was swept before is swept over other sizes from its table on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mansard as ms
from mansard.backends.engine.figures import FIGURES
from mansard.backends.engine.lowered import Lowered
from mansard.backends.engine.straight import Straight
from mansard.query import grounds, tables
from mansard.query import prepare as prepare_module
from mansard.query.disk import Disk
from mansard.query.study import study

Run = Callable[..., Any]
SWEEP = ("sweep", "qwen2.5-0.5b", "--on", "h100-sxm")
SIZES = st.integers(1, 10**6)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, where remembering is on."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MANSARD_CACHE", str(folder))
    return folder


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were loaded, so that a table was made."""
    names: list[str] = []
    load = tables.keep

    def noted(study_: Any, *rest: Any) -> None:
        names.append(str(study_.source))
        load(study_, *rest)

    monkeypatch.setattr(tables, "keep", noted)
    return names


def kept(folder: Path) -> list[Path]:
    """Return the documents that are tables."""
    return [f for f in folder.glob("*.json") if b'"steps"' in f.read_bytes()]


def document(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_bytes().split(b"\n", 1)[1])
    return found


FIRST = ("--vary", "batch=1,2")
OTHERS = [
    ("--vary", "batch=1..300"),
    ("--vary", "batch=1..64x2", "--vary", "prompt=1k,8k", "--vary", "output=1,2,300"),
    ("-b", "3", "-p", "77", "--vary", "output=1..9"),
    ("-n", "20k", "--vary", "prompt=1k,32k"),
    ("--vary", "batch=1..300", "--pareto", "throughput,tpot", "-f", "csv"),
    ("--vary", "batch=1..300", "--top", "3", "--best", "throughput", "-f", "json"),
]


@pytest.mark.parametrize("more", OTHERS, ids=" ".join)
def test_other_sizes_are_answered_from_the_table_to_the_last_byte(
    run: Run, cache: Path, lowered: list[str], monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
) -> None:  # fmt: skip
    run(*SWEEP, *FIRST)
    assert lowered == ["qwen2.5-0.5b"]
    assert len(kept(cache)) == 1
    found = run(*SWEEP, *more)
    assert lowered == ["qwen2.5-0.5b"]
    monkeypatch.setenv("MANSARD_CACHE", "off")
    assert found == run(*SWEEP, *more)
    assert lowered != ["qwen2.5-0.5b"]


@pytest.mark.parametrize("more", [
    ("-t", "quantize:weights=int4"),
    ("-O0",),
    ("--phase", "decode"),
    ("--set", "hardware.memory.bandwidth=2TB/s"),
    ("--set", "model.num_hidden_layers=12"),
    ("--context", "4k"),
], ids=" ".join)  # fmt: skip
def test_another_scenario_has_another_table(
    run: Run, cache: Path, lowered: list[str], more: tuple[str, ...]
) -> None:
    run(*SWEEP, *FIRST)
    first = run(*SWEEP, *FIRST, *more)
    assert len(lowered) == 2
    assert len(kept(cache)) == 2
    again = run(*SWEEP, "--vary", "batch=2,1", *more)
    assert len(lowered) == 2
    assert set(first.out.splitlines()) == set(again.out.splitlines())


def test_every_chip_and_model_has_its_table_up_to_a_number(
    run: Run, cache: Path, lowered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_TABLES", 3)
    line = ("sweep", "qwen2.5-0.5b,qwen2.5-1.5b", "--on", "h100-sxm,h200-sxm", "-f", "csv")
    first = run(*line, "--vary", "batch=1,2")
    assert len(kept(cache)) == 3
    lowered.clear()
    second = run(*line, "--vary", "batch=2,1")
    assert lowered == ["qwen2.5-1.5b"]
    assert set(first.out.splitlines()) == set(second.out.splitlines())


def test_a_model_that_changes_under_its_path_is_compiled_anew(
    run: Run, cache: Path, lowered: list[str], tmp_path: Path
) -> None:
    config = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
              "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 128}  # fmt: skip
    (tmp_path / "tiny").mkdir()
    file = tmp_path / "tiny" / "config.json"
    line = ("sweep", str(tmp_path / "tiny"), "--on", "h100-sxm", "-f", "csv", "--vary")
    file.write_text(json.dumps(config))
    run(*line, "batch=1,2")
    first = run(*line, "batch=1,3")
    file.write_text(json.dumps({**config, "num_hidden_layers": 9}))
    assert run(*line, "batch=1,3") != first
    assert len(lowered) == 2


@pytest.mark.parametrize("ground", ["own_files", "loaded_plugins", "installed_names"])
def test_a_table_of_another_version_is_none(
    run: Run, cache: Path, lowered: list[str], monkeypatch: pytest.MonkeyPatch, ground: str
) -> None:
    run(*SWEEP, *FIRST)
    monkeypatch.setattr(grounds, ground, lambda: ["another-1.1.dist-info"])
    run(*SWEEP, "--vary", "batch=1,3")
    assert len(lowered) == 2


def _forged(file: Path, **changed: Any) -> None:
    """Change a table with a checksum that is right."""
    Disk(file.parent).write(file.stem, {**document(file), **changed})


def _constants(file: Path) -> dict[str, Any]:
    steps = document(file)["steps"]
    return {**steps, "steps": [[op, args, 7 if op == "constant" else v]
                               for op, args, v in steps["steps"]]}  # fmt: skip


def _writable_by_others(file: Path) -> None:
    _forged(file, steps=_constants(file))
    file.chmod(0o622)


def _in_an_open_folder(file: Path) -> None:
    _forged(file, steps=_constants(file))
    file.parent.chmod(0o777)


def _torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def _of_another_shape(file: Path) -> None:
    _forged(file, steps=[1, 2])


def _with_an_operation_that_is_none(file: Path) -> None:
    steps = document(file)["steps"]
    steps["steps"][-1] = ["__import__('os').system('true')", [0], 0]
    _forged(file, steps=steps)


def _short_of_an_argument(file: Path) -> None:
    steps = document(file)["steps"]
    first = next(k for k, (op, _, _) in enumerate(steps["steps"]) if op == "mul")
    steps["steps"][first][1] = steps["steps"][first][1][:1]
    _forged(file, steps=steps)


def _with_text_for_a_number(file: Path) -> None:
    steps = document(file)["steps"]
    first = next(k for k, (op, _, _) in enumerate(steps["steps"]) if op == "constant")
    steps["steps"][first][2] = "__import__('os')"
    _forged(file, steps=steps)


def _resting_on_what_comes_later(file: Path) -> None:
    steps = document(file)["steps"]
    steps["steps"][0] = ["add", [1, 1], 0]
    _forged(file, steps=steps)


def _with_a_mesh_that_is_none(file: Path) -> None:
    _forged(file, mesh=[["tp", 8]])


@pytest.mark.parametrize(
    "spoil",
    [_writable_by_others, _in_an_open_folder, _torn, _of_another_shape,
     _with_an_operation_that_is_none, _short_of_an_argument, _with_text_for_a_number,
     _resting_on_what_comes_later, _with_a_mesh_that_is_none],
)  # fmt: skip
def test_a_spoiled_table_counts_as_absent(
    run: Run, cache: Path, lowered: list[str], monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
) -> None:  # fmt: skip
    run(*SWEEP, *FIRST)
    spoil(kept(cache)[0])
    found = run(*SWEEP, "--vary", "batch=1,3", "-f", "csv")
    assert len(lowered) == 2
    monkeypatch.setenv("MANSARD_CACHE", "off")
    assert found == run(*SWEEP, "--vary", "batch=1,3", "-f", "csv")


@pytest.mark.parametrize("line", [
    ("sweep", "bert-base-uncased", "--on", "h100-sxm"),
    (*SWEEP, "--estimate", "calibrated"),
    (*SWEEP, "-p", "uniform(10,20)"),
], ids=" ".join)  # fmt: skip
def test_what_is_no_plain_table_is_compiled_each_time(
    run: Run, cache: Path, line: tuple[str, ...]
) -> None:
    first = run(*line, "--vary", "batch=1,2", "-f", "csv")
    assert first.code == 0
    assert not kept(cache)
    again = run(*line, "--vary", "batch=2,1", "-f", "csv")
    assert set(first.out.splitlines()) == set(again.out.splitlines())


PLAN = ("plan", "qwen2.5-1.5b", "--on", "h100-sxm", "--max-devices", "2", "--rate", "50/s")


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_plan_of_other_objectives_takes_its_replicas_from_tables(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    compiled: list[Any] = []
    lower = Lowered.__init__

    def counted(self: Any, program: Any) -> None:
        compiled.append(program)
        lower(self, program)

    monkeypatch.setattr(Lowered, "__init__", counted)
    run(*PLAN, "--slo", "tpot<30ms", "-f", form)
    assert len(kept(cache)) == 6  # steady and static: one device, two ranks, two stages
    assert len(compiled) == 6
    found = run(*PLAN, "--slo", "tpot<8ms,ttft<1s", "-p", "3k", "-f", form)
    assert len(compiled) == 6
    monkeypatch.setenv("MANSARD_CACHE", "off")
    assert found == run(*PLAN, "--slo", "tpot<8ms,ttft<1s", "-p", "3k", "-f", form)
    assert len(compiled) == 12


def test_the_time_a_cache_takes_to_its_replica_is_kept_of_the_lengths_it_is_of(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[Any] = []
    prepare = prepare_module.prepare

    def counted(*given: Any) -> Any:
        prepared.append(given)
        return prepare(*given)

    monkeypatch.setattr(prepare_module, "prepare", counted)
    run(*PLAN, "--slo", "tpot<30ms")
    whole = len(prepared)
    prepared.clear()
    run(*PLAN, "--slo", "tpot<29ms")
    same_lengths = len(prepared)
    prepared.clear()
    run(*PLAN, "--slo", "tpot<29ms", "-p", "3k")
    assert same_lengths < len(prepared) < whole


def test_a_sweep_says_the_same_of_a_table_that_a_plan_left(
    run: Run, cache: Path, lowered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*PLAN, "--slo", "tpot<30ms")
    lowered.clear()
    line = ("sweep", "qwen2.5-1.5b", "--on", "h100-sxm:2", "--vary", "batch=1..9")
    found = run(*line, "-t", "parallel{tp=2}")
    assert not lowered
    monkeypatch.setenv("MANSARD_CACHE", "off")
    assert found == run(*line, "-t", "parallel{tp=2}")


def test_python_reads_and_writes_no_table(cache: Path) -> None:
    ms.study("qwen2.5-0.5b", on="h100-sxm").sweep(batch=[1, 2])
    assert not cache.exists()


def test_a_large_grid_is_compiled_for_its_ranges_though_a_table_is_there(
    cache: Path, run: Run, lowered: list[str]
) -> None:
    run(*SWEEP, "--vary", "batch=1..9")
    assert kept(cache)
    lowered.clear()
    large = (*SWEEP, "--top", "1", "--best", "throughput", "--vary", "prompt=1..100")
    run(*large, "--vary", "batch=1..99")
    assert not lowered, "a list is evaluated from the table"
    assert run(*large, "--vary", "batch=1..100").code == 0
    assert set(lowered) == {"qwen2.5-0.5b"}


def _tables(cache: Path) -> tuple[Any, tables.Table]:
    asked = study("qwen2.5-0.5b", on="h100-sxm:2", techniques=["quantize{weights=int4}"])
    with tables.kept_on_disk():
        tables.keep(asked, asked.compiled, asked.prepared)
        found = tables.recall(asked)
    assert found is not None
    assert found.cluster == asked.compiled.cluster
    return asked.compiled, found


def test_a_table_evaluates_as_what_was_compiled_to_the_last_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANSARD_CACHE", str(tmp_path / "cache"))
    compiled, table = _tables(tmp_path)

    @given(st.lists(st.tuples(SIZES, SIZES, SIZES), min_size=1, max_size=20))
    def same(points: list[tuple[int, int, int]]) -> None:
        b, p, n = (np.array(c, dtype=float) for c in zip(*points, strict=True))
        ours, theirs = (e.figures(b, p, n, FIGURES) for e in (table, compiled))
        for name in FIGURES:
            assert np.array_equal(ours[name], theirs[name], equal_nan=True), name

    same()


def test_steps_survive_json_to_the_last_digit() -> None:
    line = Straight(("batch", "prompt", "output"))
    third = line.constant(Fraction(1, 3))
    value = line.do("mul", line.symbol("batch"), third)
    line.show("whole", line.do("add", value, line.constant(2**80)))
    line.show("unknown", line.constant(float("nan")))
    line.show("real", line.do("div", value, line.constant(0.1)))
    line.show("flag", line.do("less", value, line.constant(1)))
    back = tables._read(json.loads(json.dumps(tables._written(line))))
    assert back.axes == line.axes
    assert back.masks == line.masks
    assert back.shown == line.shown
    assert list(map(repr, back.steps)) == list(map(repr, line.steps))

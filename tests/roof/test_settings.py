"""A question's settings: the stronger place counts, and every place may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import mansard as ms
from mansard.query.settings import question

Run = Callable[..., Any]

SCENARIO = """
model = "qwen2.5-0.5b"
on = "l4"
batch = 4
prompt = "1k"
output = 32
techniques = [{name = "quantize", weights = "int4", group = 128}, "fuse-attention"]
[set.hardware.memory]
bandwidth = "400GB/s"
"""


def settled(
    tmp_path: Path, given: Mapping[str, Any], env: Mapping[str, str], model: object = None
) -> dict[str, tuple[Any, str]]:
    """Value and origin of every setting, from an empty folder and no user's file."""
    found = question(model, given, {"HOME": str(tmp_path / "home"), **env}, tmp_path)
    return {name: (s.value, s.origin.split(" ")[0]) for name, s in found.items()}


def test_each_place_outweighs_the_next(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("batch = 3\nprompt = 30\noutput = 300\n", "utf-8")
    (tmp_path / "mansard.toml").write_text('batch = 4\nphase = "prefill"\non = "l4"\n', "utf-8")
    user = tmp_path / "home/.config/mansard/config.toml"
    user.parent.mkdir(parents=True)
    user.write_text('on = "h100-sxm"\nprice = 2.5\n', "utf-8")
    env = {"MANSARD_BATCH": "2", "MANSARD_PROMPT": "20"}
    assert settled(tmp_path, {"batch": 1}, env, str(file)) == {
        "batch": (1, "command"),
        "prompt": (20, "environment"),
        "output": (300, "scenario"),
        "phase": ("prefill", "project"),
        "on": ("l4", "project"),
        "price": (2.5, "user"),
        "level": ("O1", "default"),
        "estimate": ("ideal", "default"),
        "techniques": ((), "default"),
    }


def test_overrides_are_merged_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[set]\n"model.a" = 1\nmodel.b = 2\n', "utf-8")
    found = settled(tmp_path, {"set": {"model.a": "9"}}, {}, str(file))
    assert found["set.model.a"] == ("9", "command")
    assert found["set.model.b"] == ("2", "scenario")


@pytest.mark.parametrize(
    ("given", "left"), [({"context": 64}, {"context"}), ({"prompt": 64}, {"prompt", "output"})]
)
def test_a_context_and_lengths_from_different_places_exclude_each_other(
    tmp_path: Path, given: Mapping[str, int], left: set[str]
) -> None:
    file = tmp_path / "s.toml"
    file.write_text("context = 8\n" if "prompt" in given else "prompt = 8\noutput = 8\n", "utf-8")
    found = settled(tmp_path, given, {}, str(file))
    assert {"context", "prompt", "output"} & {n for n in found if found[n][1] != "default"} == (
        left & set(given)
    )


def test_a_scenario_says_what_the_command_line_would(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(SCENARIO, "utf-8")
    words = run(
        "analyze", "qwen2.5-0.5b", "--on", "l4", "-b", "4", "-p", "1k", "-n", "32",
        "-t", "quantize:weights=int4,group=128", "-t", "fuse-attention",
        "--set", "hardware.memory.bandwidth=400GB/s", "-f", "json",
    )  # fmt: skip
    assert run("analyze", str(file), "-f", "json").out == words.out
    assert ms.analyze(file).tpot == ms.analyze(str(file)).tpot
    assert ms.analyze(file, batch=8).scenario.batch == 8


def test_paths_in_a_scenario_start_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', "utf-8")
    file = tmp_path / "s.toml"
    file.write_text('model = "config.json"\non = "l4"\n', "utf-8")
    assert ms.analyze(file).model.family == "gpt2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("batch = 0", "batch must be a whole number of at least 1"),
        ('batch = "many"', "batch: cannot read 'many'"),
        ("batsch = 2", "no setting called 'batsch'"),
        ("batch = ", "cannot read scenario"),
        ("techniques = [{weights = 3}]", "a technique has no name"),
        ("techniques = [{name = 'quantize', weights = {a = 1}}]", "no value of an option"),
        ("price = -1", "cannot be negative"),
        ("set = 3", "set is a table"),
        ("set.modell.a = 3", "no section to override called 'modell'"),
        ("", "names no model"),
    ],
)
def test_a_scenario_that_cannot_be_read_says_where(
    run: Run, tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "s.toml"
    head = 'model = "gpt2"\non = "l4"\n' if text else ""
    file.write_text(head + text + "\n", "utf-8")
    ran = run("analyze", str(file))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "hint:" in ran.err


def test_a_missing_scenario_and_a_chips_file_are_refused(run: Run, tmp_path: Path) -> None:
    ran = run("analyze", str(tmp_path / "none.toml"))
    assert ran.code == 2
    assert "No such file" in ran.err
    chip = tmp_path / "chip.toml"
    chip.write_text('id = "mine"\nname = "Mine"\n', "utf-8")
    assert "no setting called 'id'" in run("analyze", str(chip)).err


def test_config_show_says_where_each_setting_was_said(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(SCENARIO, "utf-8")
    out = run("config", "show", str(file), "-b", "2", "--origin", "-f", "csv").out
    assert "batch,2,command line" in out
    assert "set.hardware.memory.bandwidth,400GB/s,scenario" in out


def test_a_price_makes_a_cost_and_power_an_energy() -> None:
    found = ms.analyze("gpt2", on="h100-sxm", batch=4, prompt=128, output=8, price=3.6)
    assert found.latency is not None
    seconds = found.latency
    assert found.metrics.cost == pytest.approx(3.6 * seconds / 3600)
    assert found.metrics.cost_per_mtok == pytest.approx(3.6 * seconds / 3600 / 32 * 1e6)
    assert found.metrics.energy_j == pytest.approx(700 * seconds)  # its thermal design power
    unpriced = ms.analyze("gpt2", on="h100-sxm", prompt=128, output=8).metrics
    assert unpriced.cost is None
    assert unpriced.cost_per_mtok is None


def test_a_variable_that_nothing_reads_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANSARD_BACTH", "3")
    ran = run("analyze", "gpt2", "--on", "l4", "-p", "64", "-n", "4")
    assert ran.code == 0
    assert "MANSARD_BACTH; did you mean MANSARD_BATCH?" in ran.err
    assert "MANSARD_CACHE" not in ran.err

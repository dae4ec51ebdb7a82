"""The README's blocks run, and print what it says they print."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mansard as ms
from mansard.cli.root import COMMANDS
from mansard.passes.pipeline import run as run_passes

TEXT = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
CONSOLE = [text for kind, text in BLOCKS if kind == "console"]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]


def test_every_block_is_of_a_kind_that_is_run_here() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "console", "python"}
    assert (len(CONSOLE), len(PYTHON)) == (2, 2)


@pytest.mark.parametrize("block", CONSOLE, ids=lambda b: b.partition("\n")[0][10:40])
def test_a_command_prints_what_the_readme_shows(block: str, run: Callable[..., Any]) -> None:
    first, _, shown = block.partition("\n")
    program, *arguments = shlex.split(first.removeprefix("$ "))
    assert program == "mansard"
    ran = run(*arguments)
    assert ran.code == 0
    assert ran.out == shown


def test_its_short_commands_run(run: Callable[..., Any], tmp_path: Path) -> None:
    shells = [text for kind, text in BLOCKS if kind == "sh"]
    lines = [shlex.split(line, comments=True) for text in shells for line in text.splitlines()]
    assert lines[0] == ["make", "demo"]
    config = tmp_path / "config.json"
    config.write_text(
        '{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100,'
        ' "num_attention_heads": 4, "intermediate_size": 128, "torch_dtype": "bfloat16"}'
    )
    for program, *words in lines[1:]:
        assert program == "mansard"
        assert run(*(str(config) if word == "./config.json" else word for word in words)).code == 0


def test_the_python_example_says_what_the_command_line_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(PYTHON[0], {})  # noqa: S102 - the block is the repository's own
    time, kv, *graph = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d\.\d\d ms a token, \d\d\.\d GB", time)
    assert int(float(kv)) > 0
    assert graph[0].startswith("graph")


def test_the_plugin_is_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("readme_plugin")
    monkeypatch.setitem(sys.modules, "readme_plugin", module)
    exec(PYTHON[1], vars(module))  # noqa: S102 - the block is the repository's own
    (technique,) = module.mansard_passes()
    program, (done,) = run_passes(ms.load("gpt2"), (technique(),))
    assert done.changed == "12 activations"
    assert 'fn="relu"' in str(program) or "gelu" not in str(program)
    assert technique().source.startswith("[")


def test_every_command_it_names_exists() -> None:
    named = set(re.findall(r"(?:^|[`$] ?)mansard ([a-z]+)", TEXT, re.M))
    assert named <= set(COMMANDS)
    assert {"analyze", "techniques", "models", "hardware"} <= named

"""The page on ONNX files: its table is made from the files, its commands run on them."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8")
FOLDER = ROOT / ".." / "shared" / "data" / "onnx"
FILES = sorted(FOLDER.glob("*.onnx"))
Run = Callable[..., Any]


def commands() -> list[tuple[str, tuple[str, ...]]]:
    """Return each command of the page with the lines it is said to print."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ mansard "):
                found.append((line.removeprefix("$ mansard "), ()))
            else:
                found[-1] = (found[-1][0], (*found[-1][1], line))
    return found


@pytest.mark.skipif(not FILES, reason="the exported files are not here")
@pytest.mark.parametrize(("command", "printed"), commands(), ids=lambda c: c if c else "")
def test_a_command_of_the_page_runs_and_prints_what_it_says(
    run: Run, command: str, printed: tuple[str, ...]
) -> None:
    words = [str(FOLDER / w) if w.endswith(".onnx") else w for w in shlex.split(command)]
    ran = run(*words)
    assert ran.code == 0
    lines = ran.out.splitlines()
    for line in printed:
        assert any(one.startswith(line) for one in lines), line


@pytest.mark.skipif(not FILES, reason="the exported files are not here")
def test_the_table_is_what_the_files_say() -> None:
    spec = importlib.util.spec_from_file_location("write_onnx", ROOT / "scripts" / "write_onnx.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.written(PAGE, FOLDER) == PAGE


def test_the_page_has_a_table_of_all_files_and_commands() -> None:
    assert len(re.findall(r"^\| \w+__", PAGE, re.MULTILINE)) == 33
    assert len(commands()) >= 10

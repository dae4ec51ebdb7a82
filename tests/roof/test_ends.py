"""How a command ends where its output goes nowhere, or somebody stops it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_full_disk_behind_stdout_is_said_in_a_line(form: str) -> None:
    command = [sys.executable, "-m", "mansard", "analyze", "gpt2", "--on", "l4", "-f", form]
    with FULL.open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write: No space left on device\n")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_sweep_stopped_before_its_first_point_leaves_the_file_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: object, **asked: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("mansard.query.sweeps.run.sweep", stopped)
    file = tmp_path / "points.csv"
    file.write_text("before\n")
    ran = run("sweep", "gpt2", "--on", "l4", "--vary", "batch=1..9", "-f", "csv", "-o", str(file))
    assert (ran.code, ran.out) == (130, "")
    assert f"interrupted before the first point; {file} is unchanged" in ran.err
    assert file.read_text() == "before\n"


def test_a_sweep_stopped_before_its_first_point_writes_no_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: object, **asked: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("mansard.query.sweeps.run.sweep", stopped)
    file = tmp_path / "points.csv"
    ran = run("sweep", "gpt2", "--on", "l4", "--vary", "batch=1..9", "-f", "csv", "-o", str(file))
    assert f"interrupted before the first point; {file} is not written" in ran.err
    assert not file.exists()

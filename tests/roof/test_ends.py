"""How a command ends where its output goes nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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

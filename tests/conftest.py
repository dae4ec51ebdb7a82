"""Running the command line in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

from mansard.cli import main

os.environ["MANSARD_CACHE"] = "off"  # no test answers from what another run left

# How long an example takes says nothing about the code: timings are benchmarks.
settings.register_profile("mansard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mansard")


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command, and refuse a traceback wherever it ends."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def once(*arguments: str) -> Ran:
        code = main(arguments)
        found = capsys.readouterr()
        assert "Traceback" not in found.err
        return Ran(code, found.out, found.err)

    return once

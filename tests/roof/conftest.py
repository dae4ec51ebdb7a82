"""One real answer to look at."""

from __future__ import annotations

import pytest

import mansard as ms


@pytest.fixture(scope="session")
def answer() -> ms.Estimate:
    """A small model on a common chip."""
    return ms.analyze("qwen2.5-0.5b", on="h100-sxm", batch=4, prompt=1024, output=32)

"""A server to ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mansard.serve.answers import Answers

QUESTION: dict[str, Any] = {
    "model": "qwen2.5-0.5b", "on": "h100-sxm", "batch": 4, "prompt": 1024, "output": 32,
}  # fmt: skip


@pytest.fixture(scope="session")
def answers() -> Answers:
    """What computes, its programs kept between tests."""
    return Answers()


@pytest.fixture
def question() -> dict[str, Any]:
    """A question about a small model."""
    return dict(QUESTION)


@pytest.fixture(scope="session")
def client(answers: Answers) -> Iterator[Any]:
    """The server's application, asked as a browser on this machine would."""
    testing = pytest.importorskip(
        "starlette.testclient", reason="the extra `serve` is not installed"
    )
    from mansard.serve.app import make_app

    with testing.TestClient(make_app(answers=answers), base_url="http://127.0.0.1:8765") as found:
        yield found

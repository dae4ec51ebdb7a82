"""The pages that come from registries say what the registries say."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mansard.cli.root import COMMANDS

ROOT = Path(__file__).parents[1]


def pages() -> Mapping[str, Callable[[], str]]:
    """Page → what writes it, from the script that is no part of the package."""
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts/write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Mapping[str, Callable[[], str]] = module.PAGES
    return found


PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_would_be_generated_now(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANSARD_PLUGINS", "")
    written = (ROOT / "docs" / name).read_text("utf-8")
    assert written == PAGES[name](), "run: python scripts/write_docs.py"


def test_every_command_has_its_module_and_its_line() -> None:
    assert all(":" in place and line.endswith(".") for place, line in COMMANDS.values())

"""The pages that come from registries say what the registries say."""

from __future__ import annotations

import importlib.util
import re
import tomllib
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
TAXONOMY = tomllib.loads((ROOT / "scripts/taxonomy.toml").read_text("utf-8"))["row"]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_would_be_generated_now(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANSARD_PLUGINS", "")
    written = (ROOT / "docs" / name).read_text("utf-8")
    assert written == PAGES[name](), "run: python scripts/write_docs.py"


def test_every_command_has_its_module_and_its_line() -> None:
    assert all(":" in place and line.endswith(".") for place, line in COMMANDS.values())


def test_each_row_of_the_surveys_is_provided_or_says_why_not() -> None:
    assert len(TAXONOMY) >= 60
    assert all(("why" in row) != ("by" in row) for row in TAXONOMY)
    assert all({"rewrite", "formula"} <= set(row) for row in TAXONOMY if "by" in row)


def test_every_technique_and_backend_has_its_row() -> None:
    from mansard.plugins.registry import backends, passes

    named = {re.split(r"[{:]", row["by"])[0] for row in TAXONOMY if "by" in row}
    own = {name for name, found in passes().items() if found.owner == "mansard"}
    assert named == own | {f"--backend {name}" for name in backends()}

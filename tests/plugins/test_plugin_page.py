"""docs/plugins.md: its plugins are installed, its programs run and print what it shows."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "plugins.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+(?: \w+)?)\n(.*?)^```$", re.M | re.S)
SECTIONS = {
    title: BLOCK.findall(body)
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
}
RUN = [title for title, blocks in SECTIONS.items() if any(kind == "python" for kind, _ in blocks)]
Install = Callable[..., None]


def test_the_sections_that_run_are_those_that_were_promised() -> None:
    assert RUN == [
        "A technique in ten minutes", "A chip in five", "A card in five lines",
        "An op and its cost", "A backend", "Tests of your own",
    ]  # fmt: skip
    assert {kind for blocks in SECTIONS.values() for kind, _ in blocks} == {
        "python plugin", "python", "text", "console",
    }  # fmt: skip


@pytest.mark.parametrize("title", RUN)
def test_a_section_installs_runs_and_prints_what_it_shows(
    title: str,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = SECTIONS[title]
    for kind, text in blocks:
        if kind == "python plugin":
            module = ModuleType(f"page_{RUN.index(title)}")
            monkeypatch.setitem(sys.modules, module.__name__, module)
            exec(text, vars(module))  # noqa: S102 - the block is the repository's own
            install("page", module)
    shown = iter([text for kind, text in blocks if kind == "text"])
    for kind, text in blocks:
        if kind == "python":
            exec(text, {"__name__": "page"})  # noqa: S102 - the block is the repository's own
            assert capsys.readouterr().out == next(shown)
    assert next(shown, None) is None


def plugin(title: str) -> str:
    """The plugin of a section."""
    (text,) = (str(text) for kind, text in SECTIONS[title] if kind == "python plugin")
    return text


def code(text: str) -> list[str]:
    """Lines that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


def test_they_are_as_short_as_the_page_says() -> None:
    technique = plugin("A technique in ten minutes")
    example = ROOT / "tests/example_plugin/sliding_window/mansard_sliding_window.py"
    assert technique.rstrip() == example.read_text("utf-8").rstrip()
    assert len(code(technique)) <= 35
    before, chip, after = plugin("A chip in five").split('"""')
    assert len(code(chip)) <= 15
    assert len(code(after)) <= 3
    assert code(before) == ["import mansard as ms", "CHIP = "]
    card = plugin("A card in five lines").split('"""')[1]
    assert len(code(card)) <= 12


BROKEN = re.findall(r"^\$ MANSARD_PLUGINS=([\w-]+) mansard (.*)\n((?:(?!`).+\n)+)", TEXT, re.M)


@pytest.mark.parametrize(("only", "arguments", "shown"), BROKEN)
def test_the_broken_distribution_says_what_the_page_shows(
    only: str, arguments: str, shown: str, install: Install, run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(ROOT / "tests/example_plugin/broken")
    monkeypatch.delitem(sys.modules, "mansard_broken", raising=False)
    import tomllib

    text = (ROOT / "tests/example_plugin/broken/pyproject.toml").read_text("utf-8")
    module = tomllib.loads(text)["project"]["entry-points"]["mansard"][only]
    install(only, module, "mansard-broken")
    ran = run(*arguments.split())
    assert ran.code == 4
    assert ran.err == shown


def test_every_broken_plugin_that_can_be_shown_is() -> None:
    assert {only for only, _, _ in BROKEN} == {
        "broken-import", "broken-hook", "broken-name", "broken-version", "broken-graph",
    }  # fmt: skip

"""Commands of plugins: in the help without an import, run through their entry points."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mansard.core.errors import PluginError
from mansard.plugins import commands

Run = Callable[..., Any]

MODULE = """
import click

@click.command()
@click.option("--loud", is_flag=True)
def hello(loud):
    click.echo("HELLO" if loud else "hello")

def plain():
    print("plain")

def broken():
    raise KeyError("nobody tried this")

number = 3
"""
ENTRIES = "\n".join(
    ["[mansard.commands]"]
    + [f"{n} = greetings_for_tests:{n}" for n in ("hello", "plain", "broken", "number")]
    + ["gone = greetings_for_tests:gone", "", "[mansard]", "greet = greetings_for_tests"]
)


def distribution(folder: Path, name: str, entries: str) -> None:
    """Lay down what an installer would: metadata beside the modules."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with one distribution that has commands."""
    (tmp_path / "greetings_for_tests.py").write_text(MODULE)
    distribution(tmp_path, "hello-dist", ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(commands.LIMIT, raising=False)
    return tmp_path


def test_the_help_lists_them_with_their_distribution_and_imports_nothing(
    site: Path, run: Run
) -> None:
    ran = run("--help")
    assert ran.code == 0
    assert "Commands of plugins" in ran.out
    assert re.search(r"^  hello +of hello-dist$", ran.out, re.M)
    assert "greetings_for_tests" not in sys.modules


def test_they_run_whether_click_made_them_or_not(site: Path, run: Run) -> None:
    assert run("hello", "--loud").out == "HELLO\n"
    assert run("plain").out == "plain\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "KeyError: 'nobody tried this'"),
        ("gone", "has no attribute 'gone'"),
        ("number", "is no command"),
    ],
)
def test_one_that_breaks_is_named_with_its_distribution(
    site: Path, run: Run, name: str, words: str
) -> None:
    ran = run(name)
    assert ran.code == 4
    assert f"command {name!r} of hello-dist failed" in ran.err
    assert words in ran.err


def test_a_misspelt_one_is_answered_with_near_names(site: Path, run: Run) -> None:
    ran = run("helo")
    assert ran.code == 2
    assert "did you mean 'hello'" in ran.err


def test_the_environment_limits_them_too(
    site: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("hello", "hello-dist", "greet"):
        monkeypatch.setenv(commands.LIMIT, limit)
        assert "hello" in commands.listed()
    monkeypatch.setenv(commands.LIMIT, "other")
    assert "hello" not in commands.listed()
    monkeypatch.setenv(commands.LIMIT, "")
    assert commands.listed() == {}


def test_two_of_one_name_cannot_be_run_and_the_rest_goes_on(site: Path, run: Run) -> None:
    distribution(site, "other-dist", "[mansard.commands]\nhello = other:hello\n")
    with pytest.raises(PluginError, match="'hello': of hello-dist and of other-dist"):
        commands.load("hello")
    assert run("hello").code == 4
    assert "of hello-dist and of other-dist" in run("--help").out
    assert "two commands are called 'hello'" in run("doctor").out


def test_one_that_has_the_name_of_mansards_own_is_reported_by_the_doctor(
    site: Path, run: Run
) -> None:
    distribution(site, "bold-dist", "[mansard.commands]\nanalyze = bold:analyze\n")
    ran = run("doctor")
    assert "'analyze' of bold-dist has the name of one of mansard's own" in ran.out
    assert "hello of hello-dist" in ran.out
    assert run("analyze", "--help").code == 0

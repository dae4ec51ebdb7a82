"""What goes on when a plugin fails: lists, checks and the page hold the rest, and say what not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mansard as ms
from mansard.core.errors import PluginError
from mansard.ir.program import Program
from mansard.plugins import importing, installed, loading, registry

Install = Callable[..., None]
Run = Callable[..., Any]

GOOD = 'id = "good-1"\n[memory]\ncapacity = "4GB"\nbandwidth = "1TB/s"\n'
BAD = GOOD.replace("good", "bad").replace('"4GB"', '"-4GB"')


@pytest.fixture
def half(install: Install) -> None:
    """A plugin one of whose chips is good."""
    install("half", {"mansard_hardware": {"bad-1": BAD, "good-1": GOOD}}, "half-dist")


def test_one_bad_chip_is_left_out_of_the_list_and_named(half: None, run: Run) -> None:
    for skip, code in ((), 4), (("--ignore-broken-plugins",), 0):
        ran = run(*skip, "hardware", "list", "-f", "json")
        assert ran.code == code
        listed = {chip["id"] for chip in json.loads(ran.out)}
        assert {"h100-sxm", "good-1"} < listed
        assert "bad-1" not in listed
        assert "chip 'bad-1' of half-dist cannot be read" in ran.err
        assert "M140" in ran.err
    assert run("hardware", "list", "--grep", "good-1").code == 0  # nobody asked for the bad one


def test_one_bad_chip_is_an_error_where_it_is_asked_for_and_nowhere_else(
    half: None, run: Run
) -> None:
    ran = run("hardware", "show", "bad-1")
    assert ran.code == 2
    assert "bad-1 of half-dist: memory.capacity" in ran.err
    assert run("analyze", "gpt2", "--on", "good-1").code == 0
    assert "bad-1" in run("hardware", "check").err
    assert "'bad-1' of half-dist" in run("doctor").out


def test_the_page_offers_the_chips_that_can_be_read(half: None) -> None:
    from mansard.query.plugins import whole
    from mansard.serve.catalogue import listings
    from mansard.serve.names import Names

    offered = {chip["id"] for chip in listings(Names())["chips"]}
    assert {"h100-sxm", "good-1"} < offered
    assert "bad-1" not in offered
    assert ["bad-1" in note.message for note in whole()] == [True]


def test_serve_stops_in_the_terminal_when_a_plugin_fails_that_its_answers_would_need(
    install: Install, run: Run
) -> None:
    from mansard.query.plugins import whole
    from mansard.serve.catalogue import listings
    from mansard.serve.names import Names

    install("raises", {"mansard_models": ValueError("no licence")}, "raises-dist")
    ran = run("serve", "--port", "0")
    assert ran.code == 4
    assert "raises-dist failed in mansard_models: ValueError: no licence" in ran.err
    with loading.skipping_broken():
        assert ["no licence" in note.message for note in whole()] == [True]
    assert listings(Names())["models"]


def test_a_model_that_cannot_be_lowered_is_left_out_of_the_list(install: Install, run: Run) -> None:
    models = {"odd": {"model_type": "no-such-family"}}
    install("odd", {"mansard_models": models}, "odd-dist")
    ran = run("models", "list", "gpt2", "-f", "json")
    assert ran.code == 4
    assert "gpt2" in {m["name"] for m in json.loads(ran.out)}
    assert "model 'odd' of odd-dist cannot be read" in ran.err
    assert run("analyze", "gpt2", "--on", "h100-sxm").code == 0


@pytest.mark.parametrize(
    ("card", "words"),
    [('[card.x]\nbase = "nope"\n', "family 'x' of cards-dist"), ("[card.x\n", "not valid TOML")],
)
def test_a_bad_card_is_left_out_of_the_families_and_named(
    install: Install, run: Run, card: str, words: str
) -> None:
    install("cards", {"mansard_cards": {"fam": card}}, "cards-dist")
    ran = run("models", "families", "llama", "-f", "json")
    assert ran.code == 4
    assert "llama" in {f["name"] for f in json.loads(ran.out)}
    assert "cards-dist" in ran.err
    assert words in ran.err


def test_two_things_of_one_name_leave_the_second_out_of_lists(install: Install, run: Run) -> None:
    install("a", {"mansard_hardware": {"good-1": GOOD}}, "dist-a")
    install("b", {"mansard_hardware": {"good-1": GOOD}}, "dist-b")
    with pytest.raises(PluginError, match="'good-1': of dist-a and of dist-b"):
        registry.hardware()
    ran = run("hardware", "list", "-f", "json")
    assert ran.code == 4
    assert [c["from"] for c in json.loads(ran.out) if c["id"] == "good-1"] == ["dist-a"]
    assert "'good-1': of dist-a and of dist-b" in ran.err


def test_one_module_registered_by_two_plugins_is_an_error_that_names_both(
    install: Install, run: Run
) -> None:
    module = ModuleType("one_module")
    install("first", module, "dist-a")
    install("second", module, "dist-b")
    with pytest.raises(PluginError, match=r"'second' of dist-b .* is plugin 'first' of dist-a"):
        loading.registry()
    listed = json.loads(run("plugins", "list", "-f", "json").out)
    assert [bool(p["problem"]) for p in listed] == [False, False, True]


def test_plugins_list_shows_what_each_plugin_of_a_distribution_provides(
    install: Install, run: Run
) -> None:
    install("chip", {"mansard_hardware": {"good-1": GOOD}}, "one-dist")
    install("nothing", {}, "one-dist")
    listed = {p["entry"]: p for p in json.loads(run("plugins", "list", "-f", "json").out)}
    assert listed["chip"]["provides"] == {"chips": ["good-1"]}
    assert listed["nothing"]["provides"] == {}


def test_plugins_list_and_check_have_a_row_for_each_plugin_that_fails(
    install: Install, run: Run
) -> None:
    install("gone", "no_such_module_at_all", "gone-dist")
    install("raises", {"mansard_passes": RuntimeError("no licence")}, "raises-dist")
    install("leaves", {"mansard_passes": SystemExit("goodbye")}, "leaves-dist")
    install("fine", {"mansard_hardware": {"good-1": GOOD}}, "fine-dist")
    ran = run("plugins", "list", "-f", "json")
    assert ran.code == 0
    problems = {p["entry"]: p["problem"] for p in json.loads(ran.out)}
    assert "ModuleNotFoundError" in problems["gone"]
    assert "no licence" in problems["raises"]
    assert "ends the process (goodbye)" in problems["leaves"]
    assert problems["fine"] == problems["mansard"] == ""
    assert "3 broken" in run("plugins", "list").out
    ran = run("plugins", "check", "-f", "json")
    assert ran.code == 1
    loads = {f["thing"]: f["holds"] for f in json.loads(ran.out) if f["what"] == "loads"}
    assert loads == {"plugin gone": False, "plugin raises": False, "plugin leaves": False,
                     "plugin fine": True}  # fmt: skip


def test_a_check_of_one_plugin_is_not_about_the_others(install: Install, run: Run) -> None:
    install("gone", "no_such_module_at_all", "gone-dist")
    install("fine", {}, "fine-dist")
    ran = run("plugins", "check", "fine", "-f", "json")
    assert {f["thing"] for f in json.loads(ran.out)} == {"fine-dist", "plugin fine"}
    ran = run("plugins", "check", "slab")
    assert ran.code == 2
    names = ran.err.partition("pick one of: ")[2].strip().split(", ")
    assert len(names) == len(set(names)) == 5


class Distributions:
    """Metadata of distributions in a folder on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, version: str, *entries: str, under: str = "site") -> None:
        """Write what an installer would."""
        info = self.folder / under / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text("[mansard]\n" + "\n".join(entries))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distributions:
    """A folder on the path, and another."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), str(tmp_path / "other")])
    return Distributions(tmp_path)


def contradictory() -> list[list[str]]:
    """Names and versions of distributions that are two of one name."""
    found = installed.contradictions("mansard")
    return [[f"{s.owner} {s.version}" for s in same] for same in found]


def test_two_distributions_of_one_name_contradict_each_other(site: Distributions) -> None:
    site.add("my-window", "0.1.0", "my-window = my_window")
    site.add("other", "1", "other = other")
    assert contradictory() == []
    site.add("My.Window", "3", "other = ev_other")
    site.add("other", "2", "other = other")
    assert sorted(map(sorted, contradictory())) == [
        ["My.Window 3", "my-window 0.1.0"],
        ["other 1", "other 2"],
    ]


def test_an_older_copy_further_along_the_path_is_hidden_unless_it_is_another(
    site: Distributions,
) -> None:
    site.add("my-window", "2", "my-window = my_window")
    site.add("my-window", "1", "my-window = my_window", under="other")
    assert contradictory() == []
    site.add("strange", "2", "a = a")
    site.add("strange", "1", "b = b", under="other")
    assert contradictory() == [["strange 2", "strange 1"]]


def test_what_a_plugin_prints_has_its_name_and_the_doctor_tells(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "chatty_plugin.py").write_text("print('hello', end=' ')\nprint('there')\n")
    monkeypatch.syspath_prepend(tmp_path)
    install("chatty", "chatty_plugin", "chatty-dist")
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "-f", "json")
    json.loads(ran.out)
    assert "plugin 'chatty' of chatty-dist prints: hello there" in ran.err
    monkeypatch.delitem(sys.modules, "chatty_plugin")
    loading.forget()
    ran = run("doctor")
    assert ran.code == 1
    assert "plugin 'chatty' of chatty-dist prints at import: 'hello there'" in ran.out


def test_an_import_that_takes_long_is_said_while_it_lasts(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "slow_plugin.py").write_text("import time\ntime.sleep(0.5)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(importing, "SLOW_S", 0.1)
    install("slow", "slow_plugin", "slow-dist")
    ran = run("techniques", "list")
    said = "waiting for plugin 'slow' of slow-dist: importing it has taken 0.1 s so far"
    assert f"{said}, which is no fault" in ran.err
    assert "hint:" not in ran.err


@dataclass(frozen=True)
class Loud(ms.Pass):
    """Print, and change nothing."""

    name = "loud"

    def run(self, program: Program) -> ms.Outcome:
        """Print."""
        print("loud runs")
        return ms.Outcome(program, 1)


class Objects:
    """A backend and a frontend that print, or fail."""

    name = "objects"

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def said(self, what: str) -> None:
        """Print, and raise where it was told to."""
        print(what)
        if self.error is not None:
            raise self.error

    def estimate(self, program: Program, on: Any, scenario: Any) -> Any:
        """Return the bound."""
        from mansard.backends import roofline

        self.said("it estimates")
        return roofline.estimate(program, on, scenario)

    def accepts(self, source: Any) -> bool:
        """Say no."""
        self.said("it accepts")
        return False

    def load(self, source: Any, overrides: Any = None) -> Any:
        """Nothing is accepted."""
        raise NotImplementedError


def test_what_passes_backends_and_frontends_print_does_not_end_up_in_the_data(
    install: Install, run: Run
) -> None:
    hooks = {"mansard_passes": [Loud], "mansard_backends": [Objects()],
             "mansard_frontends": [Objects()]}  # fmt: skip
    install("loud", hooks, "loud-dist")
    asked = ("analyze", "gpt2", "--on", "h100-sxm", "-t", "loud", "--backend", "objects")
    ran = run(*asked, "-f", "json")
    json.loads(ran.out)
    assert "technique loud of loud-dist prints: loud runs" in ran.err
    assert "backend objects, of loud-dist prints: it estimates" in ran.err
    assert "frontend objects, of loud-dist prints: it accepts" in ran.err


@pytest.mark.parametrize("error", [KeyError("nobody tried this"), SystemExit("goodbye")])
def test_a_frontend_that_fails_is_named_with_its_distribution(
    install: Install, run: Run, error: BaseException
) -> None:
    install("bad", {"mansard_frontends": [Objects(error)]}, "bad-dist")
    ran = run("analyze", "gpt2", "--on", "h100-sxm")
    assert ran.code == 4
    assert "frontend objects, of bad-dist, failed: " in ran.err
    assert str(error) in ran.err

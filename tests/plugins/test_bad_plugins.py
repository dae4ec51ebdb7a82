"""What a bad plugin gets: its name, its distribution and an action, never a crash of the rest."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, cast

import pytest

from mansard.cli import doctor
from mansard.core.errors import PluginError
from mansard.ir.ops import Softmax
from mansard.ir.program import Program
from mansard.passes.technique import Outcome, Pass
from mansard.plugins import answers, loading, registry

Install = Callable[..., None]
Run = Callable[..., Any]


@dataclass(frozen=True)
class Forgets(Pass):
    """Leave out an op whose result others read."""

    name = "forgets"

    def run(self, program: Program) -> Outcome:
        """Drop the first op of the target."""
        graph = program.graph()
        return Outcome(program.with_graph("target", replace(graph, ops=graph.ops[1:])), 1)


def test_a_pass_that_makes_an_invalid_graph_is_named_with_rule_op_and_distribution(
    install: Install, run: Run
) -> None:
    install("forgetful", {"mansard_passes": [Forgets]}, "forgetful-dist")
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "-t", "forgets")
    assert ran.code == 4
    assert "a technique of forgetful-dist made an invalid graph: forgets: " in ran.err
    assert "before it is made" in ran.err
    assert "%" in ran.err


@dataclass(frozen=True)
class Answers(Pass):
    """Return what the test says."""

    name = "answers"
    made: ClassVar[Callable[[Program], object]]

    def run(self, program: Program) -> Outcome:
        """Return anything, and say something."""
        print("hello from answers")
        return cast(Outcome, type(self).made(program))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda p: p, "TypeError: it returned a Program, not an Outcome"),
        (lambda p: None, "TypeError: it returned a NoneType, not an Outcome"),
        (lambda p: Outcome(p.graph(), 1), "its Outcome has a Graph, not a Program"),
        (lambda p: Outcome(replace(p, schedule=()), 1),
         "made an invalid graph: answers: no step of its schedule calls a graph"),
        (lambda p: Outcome(p.with_graph("target", replace(p.graph(), outputs=())), 1),
         "made an invalid graph: answers: no output called 'logits'"),
    ],
)  # fmt: skip
def test_a_pass_that_returns_something_else_is_named_with_its_distribution(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch, words: str,
    made: Callable[[Program], object],
) -> None:  # fmt: skip
    monkeypatch.setattr(Answers, "made", made, raising=False)
    install("answering", {"mansard_passes": [Answers]}, "answering-dist")
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "-t", "answers")
    assert ran.code == 4
    assert "answering-dist" in ran.err
    assert words in ran.err


def test_what_a_pass_prints_does_not_end_up_in_the_data(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "made", lambda p: Outcome(p, 0), raising=False)
    install("answering", {"mansard_passes": [Answers]})
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "-t", "answers", "-f", "csv")
    assert ran.code == 0
    assert "hello from answers" not in ran.out
    assert "hello from answers" in ran.err


class Stumbles:
    """A frontend that raises what none should."""

    name = "stumbles"

    def accepts(self, source: object) -> bool:
        """Every path of its own kind."""
        return str(source).endswith(".stumble")

    def load(self, source: object, overrides: object = None) -> Program:
        """Fail."""
        raise KeyError("nobody tried this")


def test_a_frontend_that_fails_is_named_with_its_distribution(install: Install, run: Run) -> None:
    install("stumbling", {"mansard_frontends": [Stumbles()]}, "stumbling-dist")
    ran = run("analyze", "x.stumble", "--on", "h100-sxm")
    assert ran.code == 4
    assert "frontend stumbles, of stumbling-dist, failed: KeyError: 'nobody tried this'" in ran.err
    assert run("analyze", "gpt2", "--on", "h100-sxm").code == 0


def test_a_pass_of_a_name_that_is_taken_names_both_owners(install: Install, run: Run) -> None:
    taken = type("Other", (Forgets,), {"name": "quantize"})
    install("taking", {"mansard_passes": [taken]}, "taking-dist")
    ran = run("techniques", "list")
    assert ran.code == 4
    said = "two techniques are called 'quantize': of mansard and of taking-dist"
    assert said in ran.err
    ran = run("analyze", "gpt2", "--on", "h100-sxm", "-t", "fuse-attention")
    assert ran.code == 4
    assert f"error: {said}" in ran.err
    assert "hint: rename the technique of taking-dist, or uninstall taking-dist" in ran.err
    (_, listed) = json.loads(run("plugins", "list", "-f", "json").out)
    assert listed["without"] == [{"kind": "technique", "name": "quantize", "problem": said}]
    assert "1 broken" in run("plugins", "list").out
    ran = run("plugins", "check", "taking")
    assert ran.code == 1
    assert "BAD  technique quantize  name" in ran.out


def test_a_chip_that_cannot_be_read_is_marked_in_the_list_of_plugins(
    install: Install, run: Run
) -> None:
    text = (
        'id = "less"\nname = "Less"\nvendor = "Example"\n'
        '[memory]\ncapacity = "-48GB"\nbandwidth = "1TB/s"\n[peak.matrix]\nbf16 = "1TFLOPS"\n'
    )
    install("less", {"mansard_hardware": {"less": text}}, "less-dist")
    install("more", {"mansard_hardware": {"more": text}, "mansard_passes": [Forgets]}, "more-dist")
    _, less, more = json.loads(run("plugins", "list", "-f", "json").out)
    assert less["without"][0]["name"] == "less"
    assert "memory.capacity: '-48GB' is negative" in less["without"][0]["problem"]
    assert more["provides"]["techniques"] == ["forgets"]
    shown = " ".join(run("plugins", "list").out.split())
    assert "BROKEN: chip 'less' of less-dist cannot be read" in shown
    assert "techniques forgets, chips more; left out: chip 'more' of more-dist" in shown
    assert "2 plugins besides mansard's own, 1 broken; `mansard plugins check` says" in shown
    ran = run("hardware", "list")
    assert ran.code == 4
    assert "`mansard plugins check` says what is wrong" in ran.err


# Distributions as installers lay them down.


def lay(folder: Path, name: str, version: str, entries: bytes) -> None:
    """Write the metadata of a distribution."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_bytes(entries)


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder for distributions, first on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(loading.LIMIT, raising=False)
    loading.forget()
    yield tmp_path
    loading.forget()


def test_entry_points_that_are_no_text_are_named_and_the_rest_goes_on(path: Path, run: Run) -> None:
    lay(path, "garbled", "1.0", b"[mansard]\ngarbled = garbled_module\n\xff\xfe\n")
    lay(path, "sound", "1.0", b"[mansard]\nsound = tests.example_plugin\n")
    ran = run("techniques", "list")
    assert ran.code == 4
    assert "the entry points of garbled are not text in UTF-8" in ran.err
    ran = run("--ignore-broken-plugins", "techniques", "list", "-f", "csv")
    assert ran.code == 0
    assert "name-softmax" in ran.out


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"!!", "its entry point says '!!', not module or module:object"),
        (b"no_such_module", "No module named 'no_such_module'"),
        (b"json:nothing", "module 'json' has no attribute 'nothing'"),
    ],
)
def test_an_entry_point_to_nothing_is_named(path: Path, run: Run, said: bytes, words: str) -> None:
    lay(path, "empty", "1.0", b"[mansard]\nempty = " + said + b"\n")
    ran = run("techniques", "list")
    assert ran.code == 4
    assert "plugin 'empty' of empty cannot be loaded: " in ran.err
    assert words in ran.err


def test_what_a_plugin_prints_does_not_end_up_in_the_data(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("chatty_plugin")

    def mansard_hardware() -> Mapping[str, str]:
        print("hello from chatty")
        return {}

    vars(module)["mansard_hardware"] = mansard_hardware
    monkeypatch.setitem(sys.modules, "chatty_plugin", module)
    install("chatty", "chatty_plugin")
    ran = run("hardware", "list", "--grep", "h100-sxm", "-f", "csv")
    assert "hello from chatty" not in ran.out
    assert "hello from chatty" in ran.err


def test_the_doctor_gives_up_a_plugin_that_hangs_at_import_and_says_for_how_long(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "endless_plugin.py").write_text("import time\ntime.sleep(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.2)
    install("endless", "endless_plugin", "endless-dist")
    began = time.monotonic()
    ran = run("doctor")
    assert time.monotonic() - began < 60
    assert ran.code == 1
    assert "endless-dist" in ran.out
    assert "had not ended after 0.2 s" in ran.out


def test_a_plugin_that_ends_the_process_is_named(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "leaving_plugin.py").write_text("import sys\nsys.exit('goodbye')\n")
    monkeypatch.syspath_prepend(tmp_path)
    install("leaving", "leaving_plugin", "leaving-dist")
    ran = run("techniques", "list")
    assert ran.code == 4
    assert "leaving-dist" in ran.err
    assert "ends the process (goodbye)" in ran.err


@pytest.mark.parametrize(
    ("hook", "answer", "words"),
    [
        ("mansard_ops", [Softmax, 3], "a list with a int in it"),
        ("mansard_frontends", [object()], "lacks accepts, load"),
        ("mansard_backends", [Forgets], "is a class, not an object"),
        ("mansard_hardware", ["toaster"], "returned a list, not a mapping of chips"),
        ("mansard_cards", {"family": 3}, "returned a int for 'family'"),
        ("mansard_models", {"tiny": "llama"}, "returned a str for 'tiny'"),
    ],
)
def test_what_a_hook_returns_is_checked_and_what_it_takes_is_said(
    install: Install, hook: str, answer: object, words: str
) -> None:
    install("wrong", {hook: answer}, "wrong-dist")
    collected = getattr(registry, hook.removeprefix("mansard_"))
    with pytest.raises(PluginError, match="wrong-dist") as caught:
        collected()
    assert words in str(caught.value)


def test_a_technique_class_is_recognized_whatever_the_sequence() -> None:
    assert answers.techniques((Forgets,)) == [("forgets", Forgets)]


CHIP = """
id = "slab"
name = "Slab"
vendor = "Example"
[memory]
capacity = "80GB"
bandwidth = "2TB/s"
[peak.matrix]
bf16 = "100TFLOPS"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('capacity = "80GB"', "", "capacity"),
        ('bandwidth = "2TB/s"', 'bandwidth = "-2TB/s"', "bandwidth"),
        ('bandwidth = "2TB/s"', "bandwidth = 2", "bandwidth"),
        ('bf16 = "100TFLOPS"', 'bf16 = "100GB"', "bf16"),
    ],
)
def test_numbers_of_a_plugins_chip_that_are_missing_negative_or_without_unit_are_named(
    install: Install, run: Run, old: str, new: str, words: str
) -> None:
    assert old in CHIP
    install("slab", {"mansard_hardware": {"slab": CHIP.replace(old, new)}}, "slab-dist")
    ran = run("analyze", "gpt2", "--on", "slab")
    assert ran.code == 2
    assert "slab" in ran.err
    assert words in ran.err
    assert "hint" in ran.err

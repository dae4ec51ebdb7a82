"""``plugins new``: what it writes installs, tests and runs as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mansard.plugins.scaffold import KINDS

Run = Callable[..., Any]
SHOWN = {
    "technique": ("techniques", "show", "my-thing"),
    "op": ("techniques", "show", "my-thing"),
    "hardware": ("hardware", "show", "my-thing"),
    "model": ("models", "show", "my-thing"),
    "backend": ("analyze", "gpt2", "--on", "h100-sxm", "--backend", "my-thing"),
    "frontend": ("plugins", "list"),
}
ALL_OF_IT = """
import sys, pytest
from mansard.cli import main
def must(code):
    sys.stdout.flush()
    if code:
        sys.exit(int(code))
must(pytest.main(["-q", "-p", "no:cacheprovider", "-W", "error"]))
print("=====")
must(main(["plugins", "check", "my-thing", "--models", "3"]))
print("=====")
must(main(sys.argv[1:]))
"""
"""What the README of a new plugin says to run, in one process."""


def installed(root: Path) -> dict[str, str]:
    """Lay metadata beside the module, as an installer would, and return what finds both."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    name, module = project["name"], project["name"].replace("-", "_")
    info = root / "src" / f"{module}-{project['version']}.dist-info"
    info.mkdir()
    needs = "".join(f"Requires-Dist: {n}\n" for n in project["dependencies"])
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n"
        f"Summary: {project['description']}\n{needs}"
    )
    groups = project["entry-points"]
    lines = [f"[{g}]\n" + "\n".join(f"{k} = {v}" for k, v in e.items()) for g, e in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    path = os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])
    env = {k: v for k, v in os.environ.items() if k != "MANSARD_PLUGINS"}
    return {**env, "PYTHONPATH": path, "MANSARD_CACHE": "off"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_passes_its_own_tests_and_the_check_and_is_shown(
    kind: str, run: Run, tmp_path: Path
) -> None:
    ran = run("plugins", "new", "my-thing", "--kind", kind, "--in", str(tmp_path))
    assert ran.code == 0
    assert "pip install -e" in ran.out
    assert ran.out.splitlines()[-1].startswith("mansard analyze ")
    assert ran.out.splitlines()[-1] in (tmp_path / "my-thing/README.md").read_text("utf-8")
    root = tmp_path / "my-thing"
    env = installed(root)

    command = [sys.executable, "-c", ALL_OF_IT, *SHOWN[kind]]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tests, checked, shown = done.stdout.split("=====\n")
    assert " passed" in tests
    assert "0 wrong" in checked
    assert ("200 TFLOP/s" if kind == "hardware" else "my-thing") in shown


def test_the_distribution_names_the_version_it_was_made_for(run: Run, tmp_path: Path) -> None:
    run("plugins", "new", "my-thing", "--in", str(tmp_path))
    project = tomllib.loads((tmp_path / "my-thing/pyproject.toml").read_text("utf-8"))["project"]
    assert project["dependencies"] == [f"mansard>={metadata.version('mansard')}"]
    assert project["entry-points"] == {"mansard": {"my-thing": "my_thing"}}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("My_Thing",), "cannot be the name of a plugin"),
        (("../evil",), "cannot be the name of a plugin"),
        (("a" * 61,), "cannot be the name of a plugin"),
        (("json",), "Python has one"),
        (("class",), "Python has one"),
        (("quantize",), "a technique cannot be called 'quantize': mansard has one"),
        (("h100-sxm", "--kind", "hardware"), "a chip cannot be called 'h100-sxm'"),
        (("energy", "--kind", "backend"), "a backend cannot be called 'energy'"),
        (("onnx", "--kind", "frontend"), "a frontend cannot be called 'onnx'"),
        (("gpt2", "--kind", "model"), "a model cannot be called 'gpt2'"),
        (("mine", "--kind", "techniqe"), "did you mean 'technique'"),
    ],
)
def test_a_name_or_kind_that_cannot_be_is_refused_and_nothing_is_written(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    ran = run("plugins", "new", *arguments, "--in", str(tmp_path))
    assert ran.code == 2
    assert words in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    ran = run("plugins", "new", "mine", "--in", str(tmp_path))
    assert ran.code == 2
    assert "exists already" in ran.err

"""The folders, the links, the wheel's map and the layers are four statements of one list."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ROOF = ROOT / "src" / "mansard"
FOLDERS = {"core", "ir", "passes", "frontends", "backends", "plugins"}
TOOL: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]


def layers() -> set[str]:
    """The module names of the layer contract, without its marks for absent and independent."""
    contract = next(c for c in TOOL["importlinter"]["contracts"] if c["type"] == "layers")
    return {name.strip("() ") for line in contract["layers"] for name in line.split("|")}


def test_exactly_six_folders_at_the_root_are_packages() -> None:
    assert {p.parent.name for p in ROOT.glob("*/__init__.py")} == FOLDERS


def test_the_roof_has_one_relative_link_to_each_folder() -> None:
    links = {p.name: p.readlink().as_posix() for p in ROOF.iterdir() if p.is_symlink()}
    if not links:
        pytest.skip("this checkout has no symbolic links")
    assert links == {name: f"../../{name}" for name in FOLDERS}


def test_the_wheel_maps_each_folder_and_leaves_its_link_out() -> None:
    wheel = TOOL["hatch"]["build"]["targets"]["wheel"]
    assert wheel["sources"] == {f: f"mansard/{f}" for f in FOLDERS} | {"src/mansard": "mansard"}
    assert set(wheel["only-include"]) == set(wheel["sources"])
    assert set(wheel["exclude"]) == {f"/src/mansard/{f}" for f in FOLDERS}


def test_the_sdist_carries_the_folders_and_not_the_links() -> None:
    sdist = TOOL["hatch"]["build"]["targets"]["sdist"]
    assert {*FOLDERS, "src", "tests"} <= set(sdist["only-include"])
    assert set(sdist["exclude"]) == {f"/src/mansard/{f}" for f in FOLDERS}


def test_every_module_of_the_package_has_a_layer() -> None:
    modules = {p.stem for p in ROOF.glob("*.py")} | {
        p.parent.name for p in ROOF.glob("*/__init__.py")
    }
    assert modules - {"__init__"} <= layers()
    assert layers() >= FOLDERS


def test_no_folder_imports_another_by_its_bare_name() -> None:
    banned = TOOL["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(banned) >= FOLDERS

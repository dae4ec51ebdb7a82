"""What holds for every file of the repository, whatever it is about."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Absolute paths of one person's machine, and the download addresses that lock files record.
MACHINE = re.compile(
    r"(?<![\w.~:/-])/(?:root|home|work|Users|opt/(?:wheels|pypi))/\w"
    r"|[A-Z]:\\Users\\|files\.pythonhosted\.org|registry\.npmjs\.org"
)


def texts() -> Iterator[tuple[str, str]]:
    """The name and text of every file that is committed or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so it is unknown which files are committed")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode("utf-8")


def test_no_file_names_a_path_or_an_address_of_one_machine() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "is_machine"),
    [
        ("see /".ljust(5) + "home/ada/models", True),
        ("'/" + "work/out.csv'", True),
        ("https://example.org/home/page", False),
        ("../work/out.csv", False),
        ("/tmp/x is anybody's", False),
    ],
)
def test_the_search_for_machine_paths_knows_one_when_it_sees_it(
    line: str, is_machine: bool
) -> None:
    assert bool(MACHINE.search(line)) is is_machine


def test_pyproject_citation_and_changelog_name_the_same_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    newest = re.search(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert citation
    assert newest
    assert citation[1] == newest[1] == version


def test_every_runtime_dependency_has_a_lower_bound_and_none_is_a_framework() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.fullmatch(r"([a-z]+)>=\d[\d.]*", d) for d in project["dependencies"]}
    assert {m[1] if m else None for m in names} == {
        "click", "networkx", "numpy", "onnx", "pluggy", "rich", "sympy",
    }  # fmt: skip


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", page.read_text("utf-8"))
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_the_index_of_the_docs_lists_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(([^)#:\s]+\.md)", index))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in ROOT.glob("docs/**/*.md")}
    assert pages - linked - {"README.md"} == set()

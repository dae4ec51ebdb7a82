"""Every citation in the package resolves in docs/references.md."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ["core", "ir", "passes", "frontends", "backends", "plugins", "src/mansard"]
NAME_YEAR = r"[A-Z][\w-]*(?:\s[\w.&-]+){0,3}?\s(?:19|20)\d\d\b"
CITATION = re.compile(rf"\[({NAME_YEAR}[^\]]*)\]")
ENTRY = re.compile(rf"^- \*\*\[({NAME_YEAR}[^\]]*)\]\*\* .*(?:\n(?!- |#|\n).*)*", re.M)

TEXT = (ROOT / "docs" / "references.md").read_text("utf-8")
KEYS = [m[1] for m in ENTRY.finditer(TEXT)]


def resolve(citation: str, keys: list[str]) -> list[str]:
    """The entries that ``citation`` may mean; exactly one is right.

    ``Dao 2022, Thm 2`` means the entry ``Dao 2022``. An author with two works in a year has a word
    in each key, ``Liu 2024 KIVI``, and the citation then has it too. Blanks may be line breaks.
    """
    citation = " ".join(citation.split())
    exact = [k for k in keys if citation == k or re.match(rf"{re.escape(k)}[\W]", citation)]
    if exact:
        return [max(exact, key=len)]
    head = re.match(NAME_YEAR, citation)
    return [k for k in keys if head and re.match(rf"{re.escape(head[0])}\b", k)]


def cited() -> list[tuple[str, str]]:
    """Each file of the package and each citation in it; several works are separated by ``;``."""
    return [
        (path.relative_to(ROOT).as_posix(), part.strip())
        for folder in PACKAGE
        for path in sorted((ROOT / folder).rglob("*.py"))
        for match in CITATION.finditer(path.read_text("utf-8"))
        for part in match[1].split(";")
        if re.match(NAME_YEAR, part.strip())
    ]


def test_every_citation_in_the_package_has_exactly_one_entry() -> None:
    wrong = {
        f"{where}: [{citation}] -> {resolve(citation, KEYS) or 'no entry'}"
        for where, citation in cited()
        if len(resolve(citation, KEYS)) != 1
    }
    assert wrong == set()


def test_every_entry_has_one_key_and_a_way_to_find_the_work() -> None:
    assert KEYS, "docs/references.md has no entries"
    assert [k for k, n in Counter(KEYS).items() if n > 1] == []
    lines = [line for line in TEXT.splitlines() if line.startswith("- **[")]
    assert len(lines) == len(KEYS), (
        "an entry's key is not of the form [Name Year] or [Name Year Tag]"
    )
    entries = [m[0] for m in ENTRY.finditer(TEXT)]
    assert [e for e in entries if not re.search(r"arXiv|doi\.org|https://", e)] == []


@pytest.mark.parametrize(
    ("citation", "expected"),
    [
        ("Dao 2022, Thm 2", ["Dao 2022"]),
        ("Dao 2022", ["Dao 2022"]),
        ("Liu 2024 KIVI, §3", ["Liu 2024 KIVI"]),
        ("Liu\n    2024 KIVI", ["Liu 2024 KIVI"]),
        ("Liu 2024", ["Liu 2024 KIVI", "Liu 2024 MLA"]),
        ("Ainslie 2023 GQA", ["Ainslie 2023"]),
        ("Gemma 2 2024, §2", ["Gemma 2 2024"]),
        ("Nobody 1999", []),
    ],
)
def test_a_citation_finds_its_entry_by_name_year_and_word(
    citation: str, expected: list[str]
) -> None:
    keys = ["Dao 2022", "Liu 2024 KIVI", "Liu 2024 MLA", "Ainslie 2023", "Gemma 2 2024"]
    assert resolve(citation, keys) == expected

"""The pictures of the viewer in the docs: one of every page, in both themes, wide and narrow."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("explore", "compare", "sweep", "passes", "hardware", "what-if", "report")


def test_every_page_is_pictured_in_both_themes_wide_and_narrow_and_the_docs_show_it() -> None:
    shown = (DOCS / "viewer.md").read_text("utf-8")
    for page in PAGES:
        for theme in ("light", "dark"):
            for width in (1440, 900):
                name = f"viewer/{page}-{theme}-{width}.jpg"
                assert f"({name})" in shown
                assert (DOCS / name).read_bytes().startswith(b"\xff\xd8\xff")


def test_no_picture_is_large_and_none_is_left_over() -> None:
    kept = {p.name for p in (DOCS / "viewer").iterdir()}
    assert kept == set(re.findall(r"\(viewer/([\w.-]+\.jpg)\)", (DOCS / "viewer.md").read_text()))
    assert all(p.stat().st_size < 130_000 for p in (DOCS / "viewer").iterdir())

"""Lists in narrow terminals: columns are left out, values are never cut."""

from __future__ import annotations

import pytest

from mansard.backends.chips import load
from mansard.render.chips import chip_list
from mansard.render.listing import Column, Listing, fitting

CHIPS = [load(name) for name in ("a100-sxm-80gb", "h100-sxm", "mi300x")]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_figure_of_a_chip_is_cut(width: int, capsys: pytest.CaptureFixture[str],
                                    monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    import sys

    from mansard.render.listing import show

    monkeypatch.setenv("COLUMNS", str(width))
    listing = chip_list(CHIPS, ["mansard"] * 3)
    show(listing, sys.stdout)
    text = capsys.readouterr().out
    assert "…" not in text
    for column in fitting(listing, width):
        assert all(row[column.name] in text for row in listing.shown)
    out = [c.title for c in listing.columns if c not in fitting(listing, width)]
    assert (", ".join(out) in " ".join(text.split())) == bool(out) or not out


def test_the_most_important_columns_that_fit_are_kept() -> None:
    columns = (Column("a", "a"), Column("b", "b", spare=1), Column("c", "c", spare=2))
    row = {"a": "x" * 10, "b": "y" * 10, "c": "z" * 10}
    listing = Listing(columns, [row], [row])
    assert [c.name for c in fitting(listing, 34)] == ["a", "b", "c"]
    assert [c.name for c in fitting(listing, 33)] == ["a", "c"]
    assert [c.name for c in fitting(listing, 22)] == ["a", "c"]
    assert [c.name for c in fitting(listing, 5)] == ["a"]

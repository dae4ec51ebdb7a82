"""docs/plugin-checks.md is of what there is: `make check-plugins` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from mansard.plugins import registry

PAGE = (Path(__file__).parents[2] / "docs" / "plugin-checks.md").read_text("utf-8")
ROWS = re.findall(r"^\| (technique|backend) ([\w-]+) \| (\d+) \| (.*?) \|", PAGE, re.M)


def test_every_technique_and_backend_was_tried() -> None:
    tried = {kind: {name for k, name, _, _ in ROWS if k == kind} for kind, *_ in ROWS}
    # one that is new is tried by `make check-plugins`, which writes the page
    assert tried["technique"] == {n for n, p in registry.passes().items() if p.owner == "mansard"}
    assert tried["backend"] == {n for n, b in registry.backends().items() if b.owner == "mansard"}


def test_nothing_was_wrong_and_everything_applied_somewhere() -> None:
    assert [name for _, name, _, wrong in ROWS if wrong != "-"] == []
    assert [name for _, name, held, _ in ROWS if int(held) == 0] == []
    assert ", 0 are wrong." in PAGE

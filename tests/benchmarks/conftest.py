"""Importing what benchmarks share, as their scripts do."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
OURS = {"harness", "peer", *(path.stem for path in FOLDER.glob("[a-z]*.py"))}
"""What the folder holds, by the names it is imported by there."""
Bench = Callable[[str], Any]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Import a module by the name that scripts of the folder import it by."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in [n for n in sys.modules if n.partition(".")[0] in OURS]:
        del sys.modules[name]

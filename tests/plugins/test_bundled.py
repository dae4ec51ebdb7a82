"""What is bundled as plugins is written as a stranger would write it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mansard.plugins import builtin, bundled, registry
from mansard.query.checking import check

FOLDER = Path(__file__).parents[2] / "plugins" / "bundled"
MODULES = sorted(p.name for p in FOLDER.glob("*.py") if p.name != "__init__.py")


@pytest.mark.parametrize("module", MODULES)
def test_it_imports_public_names_alone(module: str) -> None:
    tree = ast.parse((FOLDER / module).read_text("utf-8"))
    names = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert [n for n in names if any(part.startswith("_") for part in n.split("."))] == [
        n for n in names if n == "__future__.annotations"
    ]


def test_a_module_is_called_as_what_it_adds() -> None:
    for name in builtin._bundled(bundled.TECHNIQUES):
        assert builtin.technique(name).name == name
    found = {name.replace("-", "_") + ".py" for name in (
        *builtin._bundled(bundled.TECHNIQUES), *builtin._bundled(bundled.BACKENDS))}  # fmt: skip
    assert {*MODULES} - found == {"alternatives.py", "prompts.py"}  # what several of them share


def test_there_are_at_least_forty_techniques_each_with_source_and_assumptions() -> None:
    found = registry.passes()
    assert len(found) >= 40
    assert {p.owner for p in found.values()} == {"mansard"}
    bare = [n for n, p in found.items() if not re.match(r"\[\w", p.thing.source)]
    assert bare == []


def test_all_of_mansard_passes_its_own_check() -> None:
    """On models that differ; `mansard plugins check mansard` takes all of them."""
    found = check("mansard", limit_s=600, most=6)
    assert [f for f in found if f.problem and "applies to none" not in f.problem] == []
    none = {f.thing for f in found if f.problem}
    # Needs a model that is not among the first six: latents, a mesh, an encoder.
    assert none <= {"technique absorb-mla", "technique low-rank-attention"}

"""Every operator's shape rule says what onnxruntime makes, at two bindings."""

from __future__ import annotations

import pytest
from tests.frontends.onnx.graphs import BINDINGS, build, cases, compare, executed, resolved

from mansard.frontends.onnx.registry import RULES

ALL = cases("executed.txt")

TOLD = [tuple(line.split(" -> ")) for line in cases("stated.txt")]
ELSEWHERE = {
    "If", "Loop", "Scan", "SequenceMap", "SequenceEmpty", "SequenceConstruct", "SequenceInsert",
    "SequenceErase", "SequenceAt", "SequenceLength", "SplitToSequence", "ConcatFromSequence",
    "Optional", "OptionalGetElement", "OptionalHasElement",
}  # fmt: skip
"""Executed in ``test_control``."""


@pytest.mark.parametrize("case", ALL)
def test_the_rule_says_what_onnxruntime_makes(case: str) -> None:
    proto, inputs = build(case)
    found = resolved(proto)
    assert not found.unknown
    for binding in BINDINGS:
        shapes = executed(proto, inputs, binding)
        assert shapes
        assert compare(found, shapes, binding) == []


@pytest.mark.parametrize(("case", "expected"), TOLD)
def test_the_rule_says_what_the_documentation_states(case: str, expected: str) -> None:
    proto, _ = build(case)
    found = resolved(proto)
    for binding in BINDINGS:
        shape = [int(d) if d.isdigit() else binding[d] for d in expected.split(",")]
        assert compare(found, {"y0": shape}, binding) == []


def test_every_operator_with_a_rule_has_a_case() -> None:
    tested = {build(case)[0].graph.node[0].op_type for case in [*ALL, *(c for c, _ in TOLD)]}
    assert {op for _, op in RULES} - tested - ELSEWHERE == set()

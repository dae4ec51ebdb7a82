"""A phase a model does not have is refused with those it has."""

from __future__ import annotations

import pytest

import mansard as ms
from mansard.core.errors import UnknownNameError
from mansard.core.symbols import T, batch, prompt
from mansard.ir.builder import Builder
from mansard.ir.ops import Activation
from mansard.ir.program import TARGET, Call, Program, binding


def test_the_hint_names_the_phases_there_are() -> None:
    build = Builder()
    graph = build.done(build(Activation(build.input("x", T, 8), "relu"), "y"))
    call = Call(TARGET, binding(batch, prompt, 0), phase="prefill", wants=("y",))
    with pytest.raises(UnknownNameError, match="'decode'") as refused:
        ms.analyze(Program({TARGET: graph}, (call,)).verified(), on="l4", phase="decode")
    assert refused.value.hint == "pick one of: prefill"

"""What every pass has: a graph, a phase, a report, and a variant where a phase is asked for."""

from __future__ import annotations

import pytest
import sympy as sp
from tests.passes.models import KNOWN, figures, model
from tests.passes.rewriting import known

from mansard.core.errors import SpecError, UnknownNameError
from mansard.ir.program import Call, Loop, Program, Together, Wait, binding, calls
from mansard.passes.fuse_attention import FuseAttention
from mansard.passes.options import options
from mansard.passes.pipeline import parse, run
from mansard.passes.quantize import Quantize
from mansard.passes.shipped import technique_homes
from mansard.passes.technique import Pass, counted, variant


def test_every_pass_says_what_it_does_and_where_it_is_from() -> None:
    for name, cls in KNOWN.items():
        assert cls.name == name
        assert (cls.__doc__ or "").split("\n")[0].endswith(".")
        assert cls.source.startswith("[")
        assert {"on", "phase"} <= options(cls).keys()
        for declared in options(cls).values():
            assert declared.metadata["help"]


def test_a_phase_gets_a_variant_and_its_calls_alone_are_pointed_at_it() -> None:
    program, (done,) = run(model("gpt2"), (FuseAttention(on="target", phase="decode"),))
    assert set(program.graphs) == {"target", "target@decode"}
    assert [(c.phase, c.graph) for c in calls(program.schedule)] == [
        ("prefill", "target"), ("decode", "target@decode"),
    ]  # fmt: skip
    assert program.graph("target") is model("gpt2").graph("target")
    assert done.changed == "12 attentions in target@decode"


def test_a_second_pass_for_a_phase_changes_the_variant_there_is() -> None:
    both = "quantize{weights=int8 phase=decode},fuse-attention{on=target phase=decode}"
    program, _ = run(model("gpt2"), parse(both, KNOWN))
    assert set(program.graphs) == {"target", "target@decode"}
    text = str(program)
    assert text.count("#layers.attention") == 3


def test_a_pass_without_a_phase_reaches_every_variant() -> None:
    one = parse("quantize{weights=int8 phase=decode},fuse-attention,fuse-elementwise", KNOWN)
    program, _ = run(model("gpt2"), one)
    for graph in program.graphs.values():
        assert "layers.attention" in {op.kernel for op, _ in graph.walk()}
    whole, _ = run(model("gpt2"), parse("fuse-attention,fuse-elementwise", KNOWN))
    assert figures(program) == figures(whole)


def test_a_variant_reaches_calls_in_loops_sides_and_waits() -> None:
    call = Call("target", binding(1, 1, 0), phase="decode")
    wait = Wait(like=call)
    steps = (Loop((call,), sp.Integer(2)), Together((call, wait)), Wait(time_s=sp.S.One))
    program = Program({"target": model("gpt2").graph()}, steps)
    made = variant(program, "target", "decode", model("gpt2").graph())
    assert {c.graph for c in calls(made.schedule)} == {"target@decode"}
    with pytest.raises(UnknownNameError, match="prefil"):
        variant(program, "target", "prefil", model("gpt2").graph())


def test_numbers_agree_with_their_nouns() -> None:
    assert (counted(1, "kernel"), counted(2, "kernel")) == ("1 kernel", "2 kernels")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (FuseAttention(), "fuse-attention"),
        (FuseAttention(skip_masked=False), "fuse-attention{skip-masked=false}"),
        (Quantize(weights="int4", skip=()), "quantize{weights=int4 skip=[]}"),
    ],
)
def test_a_pass_prints_as_pipelines_are_written(made: Pass, text: str) -> None:
    assert str(made) == text
    assert parse(text, KNOWN) == (made,)


def test_options_are_checked_in_python_too() -> None:
    with pytest.raises(SpecError, match="int7"):
        Quantize(weights="int7")
    with pytest.raises(SpecError, match="tile is 0"):
        Quantize(weights="int4", tile=0)


def test_every_technique_is_reachable_as_an_attribute_of_passes() -> None:
    from mansard import passes

    shipped = [known()[name] for name in technique_homes()]
    for cls in shipped:
        assert getattr(passes, cls.__name__) is cls
    assert {cls.__name__ for cls in shipped} <= set(passes.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Quantise'"):
        _ = passes.Quantise

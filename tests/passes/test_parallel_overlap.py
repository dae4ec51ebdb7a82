"""``parallel{overlap=true}``: a run of layers takes the longer of its kernels and its links."""

from __future__ import annotations

import pytest
from tests.passes.rewriting import applied, through
from tests.passes.serving import O1

from mansard.backends.chips import load as chip
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import Phase, Row
from mansard.backends.roofline import estimate
from mansard.ir.ops import Collective
from mansard.ir.program import Program
from mansard.ir.region import Overlap, Repeat

SCENARIO = {"batch": 16, "prompt": 1000, "output": 2}


def phases(program: Program, devices: int) -> dict[str, Phase]:
    """What a program takes on H100s."""
    cluster = Cluster(chip("h100-sxm"), devices, mesh=program.mesh)
    return dict(estimate(program, cluster, SCENARIO).phases)


def is_layer(row: Row) -> bool:
    """Whether a row belongs to the run of layers."""
    return row.name.startswith("layers.")


@pytest.mark.parametrize("name", ["llama-3.1-8b", "mixtral-8x7b-v0.1"])
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_a_run_takes_its_longest_stream_and_the_rest_is_waited_for(name: str, phase: str) -> None:
    apart = phases(through(name, f"parallel{{tp=8}},{O1}"), 8)[phase]
    beside = phases(through(name, f"parallel{{tp=8 overlap=true}},{O1}"), 8)[phase]
    layers = [row for row in apart.ops if is_layer(row)]
    link_s = sum(r.time_s * r.count for r in layers if r.kind == "collective")
    kernels_s = sum(r.time_s * r.count for r in layers if r.kind != "collective")
    rest_s = sum(r.time_s * r.count for r in apart.ops if not is_layer(r))
    assert link_s > 0
    assert beside.time_s == pytest.approx(max(link_s, kernels_s) + rest_s, rel=1e-9)
    assert apart.time_s == pytest.approx(link_s + kernels_s + rest_s, rel=1e-9)
    for figure in ("flops", "bytes", "link_bytes", "kernels"):
        assert getattr(beside, figure) == pytest.approx(getattr(apart, figure), rel=1e-12)


def test_the_axes_of_a_mesh_are_streams_of_their_own() -> None:
    pipeline = "parallel{{tp=2 dp=4 ep=8{}}}," + O1
    apart = phases(through("mixtral-8x7b-v0.1", pipeline.format("")), 8)["prefill"]
    beside = phases(through("mixtral-8x7b-v0.1", pipeline.format(" overlap=true")), 8)["prefill"]
    kernels: dict[str, float] = {}
    for row in filter(is_layer, apart.ops):
        stream = row.name.rpartition(".")[2] if row.kind == "collective" else "device"
        kernels[stream] = kernels.get(stream, 0.0) + row.time_s * row.count
    assert set(kernels) == {"device", "all_reduce", "all_to_all"}  # tp's messages, and ep's
    rest_s = sum(r.time_s * r.count for r in apart.ops if not is_layer(r))
    assert beside.time_s == pytest.approx(max(kernels.values()) + rest_s, rel=1e-9)


def test_it_stays_a_run_of_layers_that_later_techniques_reach() -> None:
    later = through("llama-3.1-8b", f"parallel{{tp=2 overlap=true}},quantize{{weights=int4}},{O1}")
    first = through("llama-3.1-8b", f"quantize{{weights=int4}},{O1},parallel{{tp=2 overlap=true}}")
    regions = [[type(op) for op in p.graph().ops if op.bodies] for p in (later, first)]
    assert regions == [[Overlap], [Overlap]]
    assert [type(op) for op in later.graph().ops[2].bodies[0].ops] == [Repeat]
    one, other = (phases(p, 2)["decode"].time_s for p in (later, first))
    assert one == pytest.approx(other, rel=1e-12)


def test_a_model_whose_layers_send_nothing_is_told_so() -> None:
    program, (done,) = applied("llama-3.1-8b", "parallel{dp=2 overlap=true}")
    (note,) = done.notes
    assert (note.code, "no run of layers" in note.message) == ("M022", True)
    assert not any(isinstance(op, Collective | Overlap) for op, _ in program.graph().walk())

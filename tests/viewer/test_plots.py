"""Figures on matplotlib axes: what they show is what the SVG shows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mansard as ms

ASKED: dict[str, Any] = {"on": "h100-sxm", "batch": 4, "prompt": 1024, "output": 32}


@pytest.fixture(scope="module")
def estimate() -> ms.Estimate:
    """A small model on a common chip."""
    return ms.analyze("qwen2.5-0.5b", **ASKED)


@pytest.fixture(scope="module")
def swept() -> Any:
    """Six points, of which some do not fit."""
    study = ms.study("llama-3.1-8b", on="h100-sxm", output=32)
    return study.sweep(batch=[1, 64, 1024], prompt=[1024, 4096])


def test_a_graph_is_refused_with_the_call_that_draws_it(estimate: ms.Estimate) -> None:
    with pytest.raises(ms.MansardError, match="no axes") as problem:
        estimate.plot("graph")
    assert "figure('graph')" in (problem.value.hint or "")
    assert "<svg" in estimate.figure("graph").svg


@pytest.fixture
def pyplot() -> Iterator[Any]:
    """Matplotlib without a window."""
    matplotlib = pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    matplotlib.use("svg")
    from matplotlib import pyplot as found

    yield found
    found.close("all")


def test_without_matplotlib_the_extra_is_named(
    estimate: ms.Estimate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ms.MansardError, match="matplotlib") as error:
        estimate.plot("roofline")
    assert "mansard[plot]" in (error.value.hint or "")


def test_no_such_plot_names_those_there_are(estimate: ms.Estimate, swept: Any) -> None:
    for asked in (estimate, swept):
        with pytest.raises(ms.MansardError) as error:
            asked.plot("pie")
        assert "heatmap" in (error.value.hint or "") or "roofline" in (error.value.hint or "")


def test_every_operator_is_a_dot_at_its_place_under_the_roof(
    pyplot: Any, estimate: ms.Estimate
) -> None:
    ax = estimate.plot("roofline", phase="prefill")
    worked = [op for op in estimate.prefill.ops if op.flops and op.intensity]
    placed = [tuple(c.get_offsets()[0]) for c in ax.collections]
    assert placed == [(op.intensity, op.flops / op.time_s) for op in worked]
    peaks = [line.get_ydata()[-1] for line in ax.lines if len(line.get_ydata())]
    slope = float(estimate.chip.bandwidth_bytes_per_s)
    roof = sum(peaks)  # units of one kernel work at once
    assert all(y <= min(roof, slope * x) * (1 + 1e-9) for x, y in placed)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_bars_are_the_times_of_the_operators(pyplot: Any, estimate: ms.Estimate) -> None:
    ax = estimate.plot("breakdown")
    longest = [op.time_s * op.count for op in estimate.decode.ops]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths[:3] == pytest.approx(longest[:3])
    assert sum(widths) == pytest.approx(estimate.decode.time_s)


def test_memory_is_stacked_up_to_its_total(pyplot: Any, estimate: ms.Estimate) -> None:
    ax = estimate.plot("memory")
    assert sum(bar.get_width() for bar in ax.patches) * 1e9 == pytest.approx(estimate.memory.total)


def test_a_sweep_is_plotted_as_cells_and_as_a_front(pyplot: Any, swept: Any) -> None:
    cells = swept.plot("heatmap", "throughput")
    assert len(cells.patches) == 6
    assert len(cells.lines) == sum(not row["fits"] for row in swept.rows) > 0
    front = swept.plot("pareto", "throughput", "tpot")
    assert len(front.collections) == 6


def test_axes_that_are_given_are_drawn_on_and_returned(
    pyplot: Any, estimate: ms.Estimate, swept: Any, tmp_path: Path
) -> None:
    figure, places = pyplot.subplots(5, 1, figsize=(7, 20))
    kinds = ("roofline", "breakdown", "memory")
    for ax, kind in zip(places, kinds, strict=False):
        assert estimate.plot(kind, ax=ax) is ax
    assert swept.plot("heatmap", "tpot", ax=places[3]) is places[3]
    assert swept.plot("pareto", ax=places[4]) is places[4]
    figure.savefig(tmp_path / "all.svg")
    assert "Roofline" in places[0].get_title()
    assert pyplot.get_fignums() == [figure.number]

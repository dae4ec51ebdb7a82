"""Figures from Python: what they show, and that nothing from outside is markup in them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

import mansard as ms
from mansard.render.console import uncoloured
from mansard.render.drawings.drawing import LogAxis
from mansard.render.palette import HUES, MEMORY_HUES
from mansard.render.roofs import roofline

SVG = "{http://www.w3.org/2000/svg}"
CSS = Path(__file__).parents[2] / "plugins/viewer/page/src/style.css"


@pytest.fixture(scope="module")
def estimate() -> ms.Estimate:
    """A small model on a common chip."""
    return ms.analyze("qwen2.5-0.5b", on="h100-sxm", batch=4, prompt=1024, output=32)


@pytest.mark.parametrize("kind", ["roofline", "breakdown", "memory", "graph"])
def test_each_figure_is_well_formed_and_says_what_it_is_about(
    estimate: ms.Estimate, kind: str
) -> None:
    figure = estimate.figure(kind)
    title = ET.fromstring(figure.svg).findtext(f"{SVG}title")
    assert title == figure.title
    assert "qwen2.5-0.5b" in figure.title


def test_a_dot_lies_under_the_roof_where_its_operator_is(estimate: ms.Estimate) -> None:
    root = ET.fromstring(estimate.figure("roofline", "prefill").svg)
    found = root.findall(f"{SVG}circle")
    worked = [op for op in estimate.prefill.ops if op.flops and op.intensity]
    assert len(found) == len(worked)
    hues = [c.get("fill") for c in found]
    assert hues == [HUES[op.bound] for op in worked]
    across = [float(c.get("cx", "nan")) for c in found]
    order = sorted(range(len(worked)), key=lambda k: worked[k].intensity or 0)
    assert [across[k] for k in order] == sorted(across)


def test_bars_of_the_breakdown_are_as_long_as_their_shares(estimate: ms.Estimate) -> None:
    root = ET.fromstring(estimate.figure("breakdown", "decode").svg)
    bars = [r for r in root.findall(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    lengths = [float(r.get("width", "nan")) for r in bars]
    shares = [op.share for op in estimate.decode.ops][: len(lengths) - 1]
    for length, share in zip(lengths, shares, strict=False):
        expected = max(1.0, lengths[0] * share / shares[0])
        assert length == pytest.approx(expected, abs=0.01)


def test_a_graph_has_a_line_a_kernel_whose_shares_are_the_phase() -> None:
    found = ms.analyze("deepseek-v3", on="h200-sxm:8", batch=8)
    texts = [t.text or "" for t in ET.fromstring(found.figure("graph").svg).iter(f"{SVG}text")]
    assert "layers × 3" in texts
    assert "layers × 58" in texts
    names = {op.name for op in found.decode.ops}
    assert len([t for t in texts if t in names]) >= len(names)
    shares = [float(t.strip("<% ")) for t in texts if t.endswith("%")]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))


def test_names_are_text_in_every_figure_and_in_notebooks(estimate: ms.Estimate) -> None:
    name = '<img src="x" onerror="alert(1)">\x00'
    hostile = replace(estimate, model=replace(estimate.model, name=name))
    for text in (hostile.figure("memory").svg, hostile.figure("roofline").svg,
                 hostile._repr_html_()):  # fmt: skip
        assert "<img" not in text
        assert "\x00" not in text
    assert "<script" not in estimate._repr_html_()
    assert "<svg" in estimate._repr_html_()


def test_no_such_figure_names_those_there_are(estimate: ms.Estimate) -> None:
    with pytest.raises(ms.MansardError) as error:
        estimate.figure("pie")
    assert "roofline" in (error.value.hint or "")


def test_a_figure_is_saved(estimate: ms.Estimate, tmp_path: Path) -> None:
    file = estimate.figure("memory").save(tmp_path / "memory.svg")
    assert ET.parse(file).getroot().tag == f"{SVG}svg"


def test_a_sweep_is_drawn_as_cells_and_as_a_front() -> None:
    study = ms.study("qwen2.5-0.5b", on="h100-sxm", output=32)
    swept = study.sweep(batch=[1, 8, 64], prompt=[1024, 4096])
    root = ET.fromstring(swept.figure("heatmap", "throughput").svg)
    assert len(root.findall(f"{SVG}rect")) == 1 + 6
    front = ET.fromstring(swept.figure("pareto", "throughput", "tpot").svg)
    assert len(front.findall(f"{SVG}circle")) == 6
    assert len([c for c in front.findall(f"{SVG}circle") if c.get("r") == "6"]) >= 1
    with pytest.raises(ms.MansardError, match="two axes"):
        study.sweep(batch=[1, 2]).figure("heatmap")


def test_the_roof_in_a_terminal_marks_operators_by_share(estimate: ms.Estimate) -> None:
    for width in (60, 80, 120):
        text = uncoloured(roofline(estimate.chip, estimate.decode, width), width)
        lines = text.splitlines()
        assert max(map(len, lines)) <= width
        assert "ridge" in text
        assert "FLOP/B" in text
        assert re.search(rf"1 {re.escape(estimate.decode.ops[0].name)}", text)
        assert any("⠤" <= c <= "⣿" for line in lines for c in line)


def test_analyze_draws_it(capsys: pytest.CaptureFixture[str]) -> None:
    from mansard.cli import main

    assert main(["analyze", "qwen2.5-0.5b", "--on", "h100-sxm", "--roofline"]) == 0
    assert capsys.readouterr().out.count("Roofline, ") == 2


def test_a_logarithmic_axis_puts_a_decade_at_every_power() -> None:
    axis = LogAxis(0.1, 1000, 0, 400)
    assert [axis.at(10.0**p) for p in axis.powers] == pytest.approx([0, 100, 200, 300, 400])
    assert axis.at(1e9) == 400


def test_the_page_and_the_figures_have_one_palette() -> None:
    style = CSS.read_text("utf-8").partition("@media")[0]
    for bound, hue in HUES.items():
        assert f"--{bound}: {hue};" in style
    short = {"weights": "weights", "kv_cache": "kv", "activations": "act", "overhead": "over"}
    for name, hue in MEMORY_HUES.items():
        assert f"--m-{short[name]}: {hue};" in style

"""Terminal output: right at every width, plain where it must be, and true to the figures."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

import mansard as ms
from mansard.backends.estimate import Memory
from mansard.render.ansi_text import UNUSUAL, written
from mansard.render.bars import bar, cells
from mansard.render.console import uncoloured
from mansard.render.estimate_words import CAVEATS, caveat
from mansard.render.ink import cells as cells_of
from mansard.render.lines import View
from mansard.render.memory_bar import memory_bar
from mansard.render.palette import FREE, MEMORY
from mansard.render.terminal import plain, renderables, show
from mansard.render.words import capacity


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal(answer: ms.Estimate, width: int) -> None:
    text = plain(answer, View(top=None), width)
    table = text.partition("note ")[0].splitlines()
    assert max(cell_len(line) for line in table) <= width


@pytest.mark.parametrize("width", [60, 80, 140])
def test_figures_are_never_cut(answer: ms.Estimate, width: int) -> None:
    lines = plain(answer, View(), width).splitlines()
    assert not [line for line in lines if "…" in line]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_long_name_loses_its_head_and_no_figure(answer: ms.Estimate, width: int) -> None:
    name = "model.language_model.layers.self_attention.query_key_value_projection"
    rows = [replace(answer.decode.ops[0], name=name), *answer.decode.ops[1:]]
    phases = {"decode": replace(answer.decode, ops=tuple(rows))}
    text = plain(replace(answer, phases=phases), View(), width)
    row = next(line for line in text.splitlines() if "projection" in line)
    assert cell_len(row) <= width
    assert row.startswith("…" if width < 140 else "model.")
    assert "%" in row


def test_wide_tables_have_every_column_and_narrow_ones_the_time(answer: ms.Estimate) -> None:
    def header(width: int) -> list[str]:
        found = plain(answer, View(), width).splitlines()
        return next(line for line in found if line.startswith("operator")).split()

    every = ["operator", "×", "FLOPs", "bytes", "FLOP/B", "bound", "time", "share"]
    assert header(140) == header(80) == every
    assert header(50) == ["operator", "×", "bound", "time", "share"]


def test_a_terminal_gets_colour_and_everything_else_none(answer: ms.Estimate) -> None:
    def drawn(**options: object) -> str:
        stream = io.StringIO()
        console = Console(file=stream, width=80, **options)  # type: ignore[arg-type]
        console.print(answer)
        return stream.getvalue()

    assert "\x1b[" in drawn(force_terminal=True, color_system="truecolor")
    assert "\x1b[" not in drawn(force_terminal=False)
    assert "\x1b[3" not in drawn(force_terminal=True, no_color=True)
    assert "\x1b" not in str(answer)


def test_the_headline_says_the_metrics_and_one_line_what_a_bound_is_worth(
    answer: ms.Estimate,
) -> None:
    lines = str(answer).splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("╰"))
    panel = " ".join(lines[:end])
    for word in ("TTFT", "TPOT", "throughput", "per user", "memory", "fits", "-bound"):
        assert word in panel
    assert "arXiv:2411.00136" in lines[end + 1]
    assert lines[end + 2] == ""


def test_the_caveat_shrinks_until_it_fits() -> None:
    assert [len(c) for c in CAVEATS] == sorted((len(c) for c in CAVEATS), reverse=True)
    for width in (60, 80, 100, 140):
        assert len(caveat(width - 1)) < width


def test_html_escapes_what_is_not_ours(answer: ms.Estimate) -> None:
    hostile = replace(answer, model=replace(answer.model, name="<script>alert(1)</script>"))
    assert "<script>" not in hostile._repr_html_()
    assert "&lt;script&gt;" in hostile._repr_html_()


def test_markup_in_a_name_is_only_text(answer: ms.Estimate) -> None:
    hostile = replace(answer, model=replace(answer.model, name="[red]x[/red] [/]"))
    assert "[red]x[/red] [/]" in str(hostile)


@pytest.mark.parametrize(
    "sizes", [[10, 5, 1, 0], [100, 0, 0, 0], [1, 1, 1, 1], [60, 50, 10, 0], [0.001, 99, 0, 0]]
)
def test_the_memory_bar_adds_up_to_its_width(sizes: list[float]) -> None:
    weights, kv_cache, activations, overhead = sizes
    memory = Memory(weights, kv_cache, activations, overhead, capacity=100)
    text = uncoloured(memory_bar(memory, 84), 84).splitlines()[1].strip()
    assert len(text) == 80
    for (mark, _), size in zip(MEMORY.values(), sizes, strict=True):
        assert (mark in text) == (size > 0)
    assert (FREE in text) == (sum(sizes) < 99)
    assert ("┃" in text) == (sum(sizes) > 100)


def test_what_does_not_fit_is_said_with_how_much_is_missing() -> None:
    text = uncoloured(memory_bar(Memory(90e9, 20e9, 0, 0, capacity=80e9), 80), 80)
    assert "exceeded by 30.0 GB" in text


def test_a_capacity_of_whole_gibibytes_is_said_in_both_units() -> None:
    assert capacity(Memory(0, 0, 0, 0, capacity=80 * 2**30)) == "85.9 GB (80 GiB)"
    assert capacity(Memory(0, 0, 0, 0, capacity=80 * 10**9)) == "80.0 GB"
    assert capacity(Memory(0, 0, 0, 0, capacity=None)) == "unknown"


def test_bars_are_exact_to_an_eighth_and_never_vanish() -> None:
    assert bar(0.25, 1) == "▎"
    assert bar(1e-9, 10) == "▏"
    assert bar(2.0, 3) == "███"
    assert cells([1, 0, 99], 100, 10) == [1, 0, 9]


def test_renderables_of_one_phase_show_only_that_phase(answer: ms.Estimate) -> None:
    decode = replace(answer, phases={"decode": answer.decode})
    text = uncoloured(renderables(decode, width=100), 100)
    assert "Decode" in text
    assert "Prefill" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_lines_are_the_same_with_rich_and_without(answer: ms.Estimate, width: int) -> None:
    for view in (View(), View(top=None), View("kind")):
        parts = list(renderables(answer, width=width, view=view))
        ours = written(parts, width, coloured=False)
        assert ours is None or ours.splitlines() == uncoloured(parts, width).splitlines()
        assert ours is not None or width < 80


def test_colours_of_a_terminal_leave_the_text_alone(
    answer: ms.Estimate, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown() -> str:
        stream = Terminal()
        show(answer, stream, View())
        return stream.getvalue()

    for name in UNUSUAL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    bare = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown()).splitlines()]
    assert bare == written(renderables(answer, width=100), 100, coloured=False).splitlines()  # type: ignore[union-attr]
    assert "\x1b[34m" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[34m" not in shown()


def test_wide_characters_take_two_cells() -> None:
    assert [cells_of(text) for text in ("abc", "…·×━█", "模型", "é")] == [3, 5, 4, 1]

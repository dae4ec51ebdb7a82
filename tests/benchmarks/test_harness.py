"""Lines beside limits, the table of a run, what is kept between processes; no figure is timed."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from tests.benchmarks.conftest import FOLDER, Bench

SCRIPTS = sorted(FOLDER.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", ["lines", "table", "timing", "shapes"])
def test_the_examples_of_the_harness_hold(bench: Bench, name: str) -> None:
    assert doctest.testmod(bench(f"harness.{name}")).failed == 0


def test_a_limit_is_kept_on_its_own_side(bench: Bench) -> None:
    line = bench("harness.lines").Line
    assert line("a point", 60, "us", 60).kept
    assert not line("a point", 60.1, "us", 60).kept
    assert line("a grid", 20, "M/s", 20, True).kept
    assert not line("a grid", 19.9, "M/s", 20, True).kept
    assert line("only recorded", 1e9, "us").kept
    assert not line("nothing measured", float("nan"), "us", 60).kept


def test_a_line_has_a_name_that_the_table_has_room_for(bench: Bench) -> None:
    line = bench("harness.lines").Line
    assert line("x" * 27, 1, "us").what == "x" * 27
    with pytest.raises(ValueError, match="has 28 characters: 27 have room"):
        line("x" * 28, 1, "us")


def test_what_the_viewer_is_measured_by_has_room_too(bench: Bench) -> None:
    line, ui = bench("harness.lines").Line, bench("ui")
    for what, (unit, limit) in ui.LIMITS.items():
        assert line(what, 0.0, unit, limit).kept


def test_lines_are_printed_under_their_shape_and_kept(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lines, file = bench("harness.lines"), tmp_path / "kept"
    monkeypatch.setenv(lines.KEPT_IN, str(file))
    made = [
        lines.Line("a point", 3.5, "us", 60, shape="dense", script="engine"),
        lines.Line("a grid", 10, "M/s", 20, True, "MoE", "engine"),
    ]
    assert lines.report(made[:1]) == 0
    assert lines.report(made) == 1
    assert lines.read_kept(file) == [*made[:1], *made]
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["dense", "  ok         3.5 us     <= 60 us       a point"]
    assert out[-1].split() == ["MISS", "10", "M/s", ">=", "20", "M/s", "a", "grid"]


def test_the_table_has_a_row_a_question_and_a_column_a_shape(bench: Bench) -> None:
    line, table = bench("harness.lines").Line, bench("harness.table")
    titles = [shape.title for shape in bench("harness.shapes").SHAPES]
    assert titles == list(table.COLUMNS)
    lines = [
        *(line("a point", k + 1.5, "us", 60, shape=t, script="engine")
          for k, t in enumerate(titles)),
        line("solve batch", 9.0, "ms", shape="MoE", script="solving"),
        line("solve batch", 2.0, "ms", 1, shape="dense 8B", script="solving"),
        line("its memory", 9.4, "MB", 200, script="engine"),
    ]  # fmt: skip
    head, *rows = list(table.table(lines))
    assert head.split() == ["limit", *titles]
    assert [row.split() for row in rows] == [
        ["engine"], ["a", "point", "<=", "60", "us", "1.5", "2.5", "3.5", "4.5", "ok"],
        ["solving"], ["solve", "batch", "ms", "9"],
        ["solving,", "dense", "8B"], ["solve", "batch", "<=", "1", "ms", "2", "MISS"],
        ["engine"], ["its", "memory", "<=", "200", "MB", "9.4", "ok"],
    ]  # fmt: skip
    assert max(map(len, [head, *rows])) <= 80


def test_a_run_ends_by_saying_which_lines_miss(
    bench: Bench, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench("harness.run")
    text = f"""
import sys
sys.path.insert(0, {str(FOLDER)!r})
from harness.lines import Line, report
sys.exit(report([Line("a point", 61, "us", 60, shape="MLA"), Line("a grid", 1, "M/s")]))
"""
    (tmp_path / "slow.py").write_text(text)
    (tmp_path / "broken.py").write_text("raise SystemExit(3)")
    (tmp_path / "well.py").write_text("print('nothing to do')")
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    assert run.main(["well"]) == 0
    assert run.main([]) == 1
    out = capfd.readouterr().out
    assert "1 limits, 1 missed:\n  slow, MLA: a point: 61 us, not <= 60 us\n" in out
    assert out.endswith("failed: broken\n")
    with pytest.raises(SystemExit, match="no benchmark is called fast: broken, slow, well"):
        run.main(["fast"])


def test_no_script_measures_anything_when_it_is_only_read() -> None:
    for script in SCRIPTS:
        *_, last = ast.parse(script.read_text("utf-8")).body
        assert isinstance(last, ast.If), script
        assert ast.unparse(last.test) == "__name__ == '__main__'", script


def test_every_script_says_how_it_is_run() -> None:
    for script in SCRIPTS:
        said = ast.get_docstring(ast.parse(script.read_text("utf-8"))) or ""
        assert f"python benchmarks/{script.name}" in said, script


def test_the_runner_starts_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "harness/run.py"), "none-of-them"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("no benchmark is called none-of-them: calibrated, costing")


def test_every_command_of_a_cold_start_is_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup, ran = bench("startup"), list[list[str]]()

    def process_s(command: list[str], **_: object) -> float:
        ran.append(command[3:])
        return 0.1

    monkeypatch.setattr(startup, "process_s", process_s)
    lines = list(startup.lines(1))
    named = [*startup.LIMITS, *startup.REMEMBERED, *startup.CHANGED]
    assert [line.what for line in lines[1:]] == named
    asked = [" ".join(arguments) for arguments in ran if arguments]
    for command, _ in [*startup.LIMITS.values(), *startup.REMEMBERED.values()]:
        assert asked.count(command) >= 2  # once to compile or remember, once to be timed
    before = {command for command, _ in startup.REMEMBERED.values()}
    for command, _ in startup.CHANGED.values():
        head, _, tail = command.partition("{}")
        like = [c for c in asked if c.startswith(head) and c.endswith(tail) and c not in before]
        assert len(like) == len(set(like)) == 2  # one to compile, then another to be timed

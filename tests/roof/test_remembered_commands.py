"""A command asked again word by word says the same again, or is run anew."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mansard.cli import remembered, tape
from mansard.query import grounds
from mansard.query.disk import Disk

Run = Callable[..., Any]
MODEL, ON = "qwen2.5-0.5b", ("--on", "h100-sxm")
SOLVE = ("solve", MODEL, *ON, "--find", "batch", "--maximize", "--subject-to", "tpot<=9ms")
ASKED = {
    "solve": SOLVE,
    "sweep": ("sweep", MODEL, *ON, "--vary", "batch=1..64x2", "--pareto", "throughput,tpot"),
    "compare": ("compare", MODEL, "--on", "h100-sxm,l40s"),
    "explain": ("explain", MODEL, *ON, "--over", "batch"),
    "crossovers": ("crossovers", MODEL, *ON),
    "sensitivity": ("sensitivity", MODEL, *ON),
    "plan": ("plan", MODEL, *ON, "--slo", "tpot<30ms", "--rate", "5/s", "--max-devices", "1"),
    "graph": ("graph", MODEL),
    "models show": ("models", "show", MODEL),
}
TINY = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 8, "vocab_size": 128, "dtype": "bfloat16"}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, where remembering is on; the working folder is another."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MANSARD_CACHE", str(folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


@pytest.fixture
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The command lines that were run and not said again."""
    lines: list[tuple[str, ...]] = []
    taping = tape.taping

    def noted() -> Any:
        lines.append(())
        return taping()

    monkeypatch.setattr(remembered, "taping", noted)
    return lines


def files(folder: Path) -> list[Path]:
    """Return the documents that hold what was said."""
    if not folder.is_dir():
        return []
    return [file for file in sorted(folder.glob("*.json")) if b'"said"' in file.read_bytes()]


@pytest.mark.parametrize("command", ASKED)
def test_a_command_says_the_same_again_and_computes_nothing(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    first = run(*ASKED[command])
    assert first.code == 0
    assert first.out
    assert len(files(cache)) == 1

    def refuse(*args: Any, **more: Any) -> Any:
        raise AssertionError("it was run")

    monkeypatch.setattr("mansard.cli.run.root.main", refuse)
    second = run(*ASKED[command])
    assert (second.out, second.err, second.code) == (first.out, first.err, first.code)


def test_every_command_that_is_said_again_is_one_of_those_tested() -> None:
    assert {" ".join(names) for names in remembered.COMMANDS} == set(ASKED)


def test_the_exit_code_of_an_answer_that_is_none_is_kept(
    run: Run, cache: Path, asked_anew: list[Any]
) -> None:
    impossible = (*SOLVE, "--subject-to", "tpot<=1us")
    first = run(*impossible)
    assert first.code == 1
    assert run(*impossible) == first
    assert len(asked_anew) == 1


def test_an_error_is_not_remembered(run: Run, cache: Path, asked_anew: list[Any]) -> None:
    wrong = (*SOLVE[:-1], "tpot<=9parsec")
    assert run(*wrong).code == 2
    assert run(*wrong).code == 2
    assert len(asked_anew) == 2
    assert not files(cache)


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_a_file_is_written_anew(run: Run, cache: Path, asked_anew: list[Any], form: str) -> None:
    out = Path("rows." + form.replace("table", "txt"))
    line = (*ASKED["sweep"], "-o", str(out))
    run(*line)
    first = out.read_text(encoding="utf-8")
    out.unlink()
    run(*line)
    assert out.read_text(encoding="utf-8") == first
    out.write_text("of somebody else", encoding="utf-8")
    run(*line)
    assert out.read_text(encoding="utf-8") == first
    assert len(asked_anew) == 1


def test_a_file_that_cannot_be_written_is_an_error_as_at_first(run: Run, cache: Path) -> None:
    Path("there").mkdir()
    line = (*ASKED["sweep"], "-o", "there/rows.csv")
    assert run(*line).code == 0
    Path("there/rows.csv").unlink()
    Path("there").rmdir()
    assert run(*line).code == 2


def _model() -> tuple[Path, str]:
    Path("tiny").mkdir()
    file = Path("tiny/config.json")
    file.write_text(json.dumps(TINY))
    return file, json.dumps({**TINY, "num_hidden_layers": 3})


def test_a_model_that_changes_under_its_path_is_asked_anew(
    run: Run, cache: Path, asked_anew: list[Any]
) -> None:
    file, other = _model()
    for words in (("graph", "tiny"), ("graph", "tiny/config.json"), ("compare", "tiny,tiny", *ON)):
        file.write_text(json.dumps(TINY))
        asked_anew.clear()
        first = run(*words)
        assert run(*words) == first
        assert len(asked_anew) == 1
        file.write_text(other)
        assert run(*words) != first
        assert len(asked_anew) == 2


def test_a_scenario_counts_with_the_files_it_names(
    run: Run, cache: Path, asked_anew: list[Any]
) -> None:
    file, other = _model()
    Path("asked.toml").write_text('model = "tiny"\non = "h100-sxm"\nbatch = 2\n')
    line = ("sensitivity", "asked.toml")
    first = run(*line)
    assert run(*line) == first
    file.write_text(other)
    changed = run(*line)
    assert changed.code == 0
    Path("asked.toml").write_text('model = "tiny"\non = "l40s"\nbatch = 2\n')
    assert run(*line) != changed
    assert len(asked_anew) == 3


@pytest.mark.parametrize("written", [("-p", "lengths.csv"), ("-plengths.csv",),
                                     ("--prompt=lengths.csv",)])  # fmt: skip
def test_lengths_that_change_are_asked_anew(
    run: Run, cache: Path, asked_anew: list[Any], written: tuple[str, ...]
) -> None:
    Path("lengths.csv").write_text("512\n1024\n")
    line = (*ASKED["solve"], *written)
    first = run(*line)
    assert run(*line) == first
    Path("lengths.csv").write_text("8192\n1024\n")
    assert run(*line) != first
    assert len(asked_anew) == 2


def test_a_chips_file_that_changes_is_asked_anew(
    run: Run, cache: Path, asked_anew: list[Any]
) -> None:
    chip = Path(grounds.__file__).parents[1] / "backends" / "hardware" / "l40s.toml"
    text = chip.read_text(encoding="utf-8")
    Path("mine.toml").write_text(text, encoding="utf-8")
    line = ("sensitivity", MODEL, "--on", "mine.toml")
    first = run(*line)
    assert run(*line) == first
    Path("mine.toml").write_text(text.replace("864", "432"), encoding="utf-8")
    assert run(*line) != first
    assert len(asked_anew) == 2


def test_a_model_of_the_hub_cache_counts_with_its_config(
    run: Run, cache: Path, asked_anew: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(Path("hub").absolute()))
    line = ("graph", "somebody/tiny")
    assert run(*line).code == 2
    snapshot = Path("hub/models--somebody--tiny/snapshots/0")
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(TINY))
    first = run(*line)
    assert first.code == 0
    assert run(*line) == first
    (snapshot / "config.json").write_text(json.dumps({**TINY, "num_hidden_layers": 3}))
    assert run(*line) != first
    assert len(asked_anew) == 3


def test_an_onnx_file_counts_with_the_sizes_of_what_lies_beside_it(tmp_path: Path) -> None:
    file, weights = tmp_path / "model.onnx", tmp_path / "below" / "weights.bin"
    weights.parent.mkdir()
    file.write_bytes(b"graph")
    weights.write_bytes(b"12")
    first = grounds.contents([f"compare {file}"])
    assert first is not None
    assert first == grounds.contents([f"compare {file}"])
    assert set(first) == {str(file), str(weights)}
    file.write_bytes(b"grape")
    second = grounds.contents([f"compare {file}"])
    weights.write_bytes(b"123")
    third = grounds.contents([f"compare {file}"])
    assert len({str(found) for found in (first, second, third)}) == 3


def test_of_a_folder_with_too_many_files_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounds, "MOST_FILES", 3)
    for k in range(3):
        (tmp_path / f"{k}.bin").write_bytes(b"")
    (tmp_path / "model.onnx").write_bytes(b"")
    assert grounds.contents([str(tmp_path / "model.onnx")]) is None
    assert grounds.contents([str(tmp_path / "0.bin")]) is not None


@pytest.mark.parametrize(("name", "value"), [("MANSARD_BATCH", "8"), ("COLUMNS", "40")])
def test_settings_and_the_look_of_a_terminal_are_part_of_the_question(
    run: Run, cache: Path, asked_anew: list[Any], monkeypatch: pytest.MonkeyPatch,
    name: str, value: str,
) -> None:  # fmt: skip
    run(*ASKED["sensitivity"])
    monkeypatch.setenv(name, value)
    run(*ASKED["sensitivity"])
    for other in ("UNRELATED", "HF_TOKEN", "XDG_SESSION_ID"):
        monkeypatch.setenv(other, "1")
    run(*ASKED["sensitivity"])
    assert len(asked_anew) == 2


def test_a_projects_settings_are_part_of_the_question(
    run: Run, cache: Path, asked_anew: list[Any]
) -> None:
    first = run(*ASKED["sensitivity"])
    Path("mansard.toml").write_text("batch = 64\n")
    assert run(*ASKED["sensitivity"]) != first
    Path("mansard.toml").write_text("batch = 1\n")
    assert run(*ASKED["sensitivity"]).out == first.out
    assert len(asked_anew) == 3


@pytest.mark.parametrize("ground", ["own_files", "loaded_plugins", "installed_names"])
def test_another_version_is_asked_anew(
    run: Run, cache: Path, asked_anew: list[Any], monkeypatch: pytest.MonkeyPatch, ground: str
) -> None:
    run(*SOLVE)
    monkeypatch.setattr(grounds, ground, lambda: ["another-1.1.dist-info"])
    run(*SOLVE)
    assert len(asked_anew) == 2
    monkeypatch.setattr(grounds, "loaded_plugins", lambda: None)  # one is being worked on
    run(*SOLVE)
    run(*SOLVE)
    assert len(files(cache)) == 2


def test_nothing_is_remembered_where_plugins_read_models(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounds, "frontends_of_plugins", lambda: True)
    run(*SOLVE)
    assert not files(cache)


def test_what_has_other_effects_is_never_remembered(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr("mansard.query.download.download_config", fetched.append)
    for _ in range(2):
        assert run("models", "show", MODEL, "--download").code == 0
    assert fetched == [MODEL, MODEL]
    run("--ignore-broken-plugins", *SOLVE)
    run("solve", "--help")
    assert not files(cache)


def test_parquet_is_never_remembered(run: Run, cache: Path) -> None:
    pytest.importorskip("pyarrow")
    assert run(*ASKED["sweep"], "-o", "rows.parquet").code == 0
    assert not files(cache)


def test_a_long_answer_is_not_kept(run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape, "MOST_CHARACTERS", 100)
    assert run(*SOLVE).out
    assert not files(cache)


def _forged(file: Path) -> None:
    """Change what is said with a checksum that is right: only ownership can tell."""
    document = json.loads(file.read_bytes().split(b"\n", 1)[1])
    document["said"] = [["out", "batch 1,000,000\n"]]
    Disk(file.parent).write(file.stem, document)


def _forged_for_others(file: Path) -> None:
    _forged(file)
    file.chmod(0o666)


def _forged_in_an_open_folder(file: Path) -> None:
    _forged(file)
    file.parent.chmod(0o777)


def _of_another_user(file: Path) -> None:
    _forged(file)
    os.chown(file, 12345, 12345)


def _torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _of_another_shape(file: Path) -> None:
    Disk(file.parent).write(file.stem, {"code": 0, "said": [["out", 5]]})


def _of_another_code(file: Path) -> None:
    Disk(file.parent).write(file.stem, {"code": 70, "said": []})


def _of_another_key(file: Path) -> None:
    other = Disk(file.parent)
    other.write("0" * 64, {"code": 0, "said": [["out", "batch 7\n"]]})
    os.replace(other.folder / f"{'0' * 64}.json", file)


@pytest.mark.parametrize(
    "spoil",
    [_forged_for_others, _forged_in_an_open_folder, _of_another_user, _torn, _of_another_shape,
     _of_another_code, _of_another_key],
)  # fmt: skip
def test_a_spoiled_file_counts_as_absent(
    run: Run, cache: Path, asked_anew: list[Any], spoil: Callable[[Path], None]
) -> None:
    if spoil is _of_another_user and getattr(os, "geteuid", lambda: 1)() != 0:
        pytest.skip("only root gives files away")
    first = run(*SOLVE)
    spoil(files(cache)[0])
    assert run(*SOLVE) == first
    assert len(asked_anew) == 2


def test_a_folder_that_cannot_be_written_to_changes_nothing(
    run: Run, cache: Path, asked_anew: list[Any]
) -> None:
    cache.write_text("a file in its place")
    first = run(*SOLVE)
    assert first.code == 0
    assert run(*SOLVE) == first
    assert len(asked_anew) == 2


def test_writers_at_once_leave_one_of_their_documents(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "cache")
    whole = [{"by": k, "text": str(k) * 20_000} for k in range(4)]
    read: list[Any] = []

    def write(k: int) -> None:
        for _ in range(25):
            disk.write("key", whole[k])
            read.append(disk.read("key"))

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 100
    assert all(document in whole for document in read)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["key.json"]


def test_what_is_said_on_two_streams_keeps_its_order_and_bars_are_left_out() -> None:
    with tape.taping() as kept:
        print("one", file=sys.stdout)
        print("two", file=sys.stderr)
        tape.untaped(sys.stderr).write("a bar that moves")
        sys.stdout.writelines(["three", "four"])
    assert "".join(text for _, text in kept.pieces) == "one\ntwo\nthreefour"
    assert [where for where, text in kept.pieces if text.strip()] == ["out", "err", "out", "out"]
    assert tape.untaped(sys.stderr) is sys.stderr

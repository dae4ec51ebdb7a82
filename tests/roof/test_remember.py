"""An answer from disk is the answer: to the last byte, or not taken from disk at all."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mansard as ms
from mansard.query import grounds, remember
from mansard.query.answers import dump, load
from mansard.query.disk import Disk

Run = Callable[..., Any]
ASK = ("analyze", "qwen2.5-0.5b", "--on", "h100-sxm:2", "-b", "4", "-t", "quantize:weights=int4")
FORMS = ("table", "md", "json", "jsonl", "csv")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, where remembering is on."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MANSARD_CACHE", str(folder))
    return folder


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make computing an answer an error from here on."""

    def refuse(*args: Any, **asked: Any) -> Any:
        raise AssertionError("the answer was computed")

    return lambda: monkeypatch.setattr("mansard.query.analyze.analyze", refuse)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


@pytest.mark.parametrize("form", FORMS)
def test_a_remembered_answer_prints_the_same_bytes(
    run: Run, cache: Path, forgetful: Callable[[], None], form: str
) -> None:
    first = run(*ASK, "-f", form, "--fail-if", "tpot > 1ns")
    assert len(files(cache)) == 1
    forgetful()
    again = run(*ASK, "-f", form, "--fail-if", "tpot > 1ns")
    assert (again.out, again.err, again.code) == (first.out, first.err, first.code)
    assert first.code == 1


def test_one_remembered_answer_serves_every_form_that_needs_no_more(
    run: Run, cache: Path, forgetful: Callable[[], None]
) -> None:
    shown = run(*ASK)
    forgetful()
    assert json.loads(run(*ASK, "-f", "json").out)["schema"] == "mansard.result/1"
    assert run(*ASK).out == shown.out


def test_a_table_is_computed_where_only_figures_are_remembered(run: Run, cache: Path) -> None:
    run(*ASK, "-f", "json")
    first = json.loads(files(cache)[0].read_bytes().split(b"\n", 1)[1])
    assert first["effects"] is None
    shown = run(*ASK)
    assert json.loads(files(cache)[0].read_bytes().split(b"\n", 1)[1])["effects"]
    assert run(*ASK).out == shown.out


def test_what_is_written_is_the_users_alone_and_no_code(run: Run, cache: Path) -> None:
    run(*ASK)
    (file,) = files(cache)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert list(cache.iterdir()) == [file]
    json.loads(file.read_bytes().split(b"\n", 1)[1])


def test_off_means_that_nothing_is_written(run: Run, monkeypatch: pytest.MonkeyPatch,
                                           tmp_path: Path) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MANSARD_CACHE", "off")
    run(*ASK)
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("MANSARD_CACHE")
    run(*ASK)
    assert len(files(tmp_path / "mansard")) == 1


def _torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def _changed(file: Path) -> None:
    digest, body = file.read_bytes().split(b"\n", 1)
    document = json.loads(body)
    document["metrics"]["tpot_s"] = 1e-9
    file.write_bytes(digest + b"\n" + json.dumps(document).encode())


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _other_shape(file: Path) -> None:
    Disk(file.parent).write(file.stem, {"metrics": [1, 2]})


def _writable(file: Path) -> None:
    _signed(file)
    file.chmod(0o666)


def _linked(file: Path) -> None:
    _signed(file)
    away = file.with_name("elsewhere")
    os.replace(file, away)
    file.symlink_to(away)


def _open_folder(file: Path) -> None:
    _signed(file)
    file.parent.chmod(0o777)


def _signed(file: Path) -> None:
    """Change the answer with a checksum that is right: only ownership can tell."""
    document = json.loads(file.read_bytes().split(b"\n", 1)[1])
    document["metrics"]["tpot_s"] = 1e-9
    Disk(file.parent).write(file.stem, document)


@pytest.mark.parametrize(
    "spoil", [_torn, _changed, _emptied, _other_shape, _writable, _linked, _open_folder]
)
def test_a_spoiled_file_counts_as_absent(
    run: Run, cache: Path, spoil: Callable[[Path], None]
) -> None:
    first = run(*ASK, "-f", "json")
    spoil(files(cache)[0])
    assert run(*ASK, "-f", "json").out == first.out


def test_the_key_follows_everything_an_answer_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANSARD_PLUGINS", "")
    folder = tmp_path / "model"
    folder.mkdir()
    config, chip = folder / "config.json", tmp_path / "chip.toml"
    config.write_text("{}")
    chip.write_text('id = "x"')
    asked = {"on": str(chip), "batch": 1, "techniques": ("quantize{weights=int4}",)}
    keys = {remember.question_key(str(folder), asked)}
    assert None not in keys
    assert remember.question_key(str(folder), dict(asked)) in keys

    def fresh(model: str = str(folder), **changed: Any) -> None:
        key = remember.question_key(model, {**asked, **changed})
        assert key not in keys
        keys.add(key)

    fresh(batch=2)
    fresh(techniques=())
    fresh(set={"hardware.tdp": "300W"})
    config.write_text('{"hidden_size": 8}')
    fresh()
    chip.write_text('id = "y"')
    fresh()
    (folder / "generation_config.json").write_text("{}")
    fresh()
    monkeypatch.setattr(grounds, "own_files", lambda: "another version")
    fresh()
    monkeypatch.setattr(grounds, "loaded_plugins", lambda: [["p-1.1.dist-info", "p", ""]])
    fresh()
    monkeypatch.setattr(grounds, "installed_names", lambda: ["sympy-2.0.dist-info"])
    fresh()
    assert None not in keys


def test_what_cannot_be_known_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {"on": "h100-sxm", "techniques": ()}
    assert remember.question_key("qwen2.5-0.5b", asked) is not None
    assert remember.question_key({"model_type": "llama"}, asked) is None
    assert remember.question_key("qwen2.5-0.5b", {**asked, "estimate": "calibrated"}) is None
    monkeypatch.setattr(grounds, "loaded_plugins", lambda: None)  # one is being worked on
    assert remember.question_key("qwen2.5-0.5b", asked) is None


def test_a_file_named_by_a_technique_counts_with_its_content(tmp_path: Path) -> None:
    draft = tmp_path / "config.json"
    draft.write_text("{}")
    asked = {"on": "h100-sxm", "techniques": (f"speculative-decode{{draft={draft}}}",)}
    first = remember.question_key("qwen2.5-0.5b", asked)
    assert remember.question_key("qwen2.5-0.5b", asked) == first
    draft.write_text('{"hidden_size": 8}')
    assert remember.question_key("qwen2.5-0.5b", asked) not in (None, first)


def test_a_folder_that_takes_a_bundled_models_name_is_no_longer_that_model(
    run: Run, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = run(*ASK, "-f", "json")
    other = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
             "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 128}  # fmt: skip
    (tmp_path / "qwen2.5-0.5b").mkdir()
    (tmp_path / "qwen2.5-0.5b" / "config.json").write_text(json.dumps(other))
    second = json.loads(run(*ASK, "-f", "json").out)
    assert second["model"]["family"] == "llama" != json.loads(first.out)["model"]["family"]


def test_an_answer_survives_json_to_the_last_digit() -> None:
    estimate = ms.analyze("deepseek-v3", on="h200-sxm:8", techniques=["parallel{tp=8}"])
    assert estimate.effects
    plain = json.loads(json.dumps(dump(estimate)))
    back = load(plain, estimate.chip)
    assert back.to_dict() == estimate.to_dict()
    assert str(back) == str(estimate)


def test_only_so_many_answers_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mansard.query.disk.MOST_FILES", 3)
    disk = Disk(cache)
    for k in range(6):
        disk.write(f"{k}", {"k": k})
        os.utime(cache / f"{k}.json", (k, k))
    assert [f.stem for f in files(cache)] == ["3", "4", "5"]
    assert disk.read("5") == {"k": 5}
    assert disk.read("0") is None


def test_only_so_many_bytes_are_kept_and_the_newest_always(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mansard.query.disk.MOST_TOGETHER", 1000)
    disk = Disk(cache)
    for k in range(6):
        disk.write(f"{k}", {"k": "x" * 300})
        os.utime(cache / f"{k}.json", (k, k))
    assert [f.stem for f in files(cache)] == ["4", "5"]
    disk.write("6", {"k": "x" * 3000})
    assert [f.stem for f in files(cache)] == ["6"]


def test_a_pipe_in_place_of_a_remembered_answer_counts_as_none(run: Run, cache: Path) -> None:
    first = run(*ASK)
    kept = files(cache)[0]
    kept.unlink()
    os.mkfifo(kept, 0o600)
    assert Disk(cache).read(kept.stem) is None  # it would wait for a writer for ever
    assert run(*ASK).out == first.out

"""Reading a config file: where it is found, and what bad input gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mansard.core.errors import MansardError, SpecError
from mansard.frontends.hf.read import MAX_BYTES, read_config


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_a_folder_and_a_mapping_read_the_same(tmp_path: Path) -> None:
    file = write(tmp_path / "config.json", '{"model_type": "llama", "hidden_size": 8}')
    expected = {"model_type": "llama", "hidden_size": 8}
    assert read_config(file).values == expected
    assert read_config(str(tmp_path)).values == expected
    assert read_config(expected).values == expected
    assert read_config(write(tmp_path / "model.json", file.read_text())).values == expected


def test_a_cached_model_is_read_at_the_commit_that_main_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--org--name"
    for commit, width in (("a" * 40, 1), ("b" * 40, 2)):
        (model / "snapshots" / commit).mkdir(parents=True)
        write(model / "snapshots" / commit / "config.json", json.dumps({"hidden_size": width}))
    (model / "refs").mkdir()
    write(model / "refs" / "main", "a" * 40 + "\n")
    assert read_config("org/name").values == {"hidden_size": 1}


def test_the_newest_snapshot_is_read_where_main_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    snapshot = tmp_path / "hub" / "models--gpt2" / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    write(snapshot / "config.json", '{"n_layer": 3}')
    assert read_config("gpt2").values == {"n_layer": 3}


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "org/name/extra", "nobody/nothing", "", "a\0b"]
)
def test_a_name_that_is_nothing_is_an_error_with_an_action(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        read_config(name)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ('{"hidden_size": 4', "not valid JSON at line 1"),
        ("[1, 2]", "array"),
        ("3", "number"),
        ('"text"', "string"),
        ('{"a": 1, "a": 2}', "'a' appears twice"),
        ('{"a": {"b": 1, "b": 1}}', "'b' appears twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "digit"),
    ],
)
def test_text_that_is_no_config_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        read_config(write(tmp_path / "config.json", text))


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b"\x80\x02\xff\x00" * 100)
    with pytest.raises(SpecError, match="not UTF-8"):
        read_config(file)


def test_a_file_of_200_megabytes_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with file.open("wb") as handle:
        handle.truncate(200 * 10**6)  # a hole: reading it would give null bytes, not this message
    with pytest.raises(SpecError, match=f"200000000 bytes is no config .the limit is {MAX_BYTES}"):
        read_config(file)


def test_a_folder_without_a_config_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"holds no config\.json"):
        read_config(tmp_path)


def test_a_mapping_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(MansardError):
        read_config({"hidden_size": object()})
    with pytest.raises(MansardError):
        read_config({"rope_theta": float("nan")})
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(MansardError):
        read_config(loop)


def test_a_config_nested_deeper_than_any_published_one_is_refused() -> None:
    deep: object = 1
    for _ in range(20):
        deep = [deep]
    with pytest.raises(SpecError, match="16 levels"):
        read_config({"model_type": "llama", "rope_scaling": deep})

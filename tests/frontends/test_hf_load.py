"""Loading: what a name means, what is said of where it came from, and what a wrong one gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.frontends.hf.load import accepts, find, load
from mansard.ir.footprint import model_facts

TINY: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 100, "dtype": "bfloat16",
    "max_position_embeddings": 512,
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, and an empty folder to work in."""
    folder, work = tmp_path / "hub", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    monkeypatch.chdir(work)
    return folder


def write(folder: Path, config: dict[str, Any] = TINY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


def put_in_cache(cache: Path, hub_id: str) -> None:
    write(cache / f"models--{hub_id.replace('/', '--')}" / "snapshots" / ("a" * 40))


def test_a_file_a_folder_and_a_mapping_are_the_same_model(cache: Path) -> None:
    file = write(Path("tiny"))
    programs = [load(file), load("tiny"), load("./tiny/config.json"), load(TINY)]
    assert len({model_facts(p).params for p in programs}) == 1
    assert [p.origin.name for p in programs] == ["tiny", "tiny", "tiny", "config"]
    assert {p.origin.source for p in programs} == {"hf-config"}


def test_a_bundled_model_answers_to_its_name_its_id_and_its_aliases(cache: Path) -> None:
    for spelled in ("llama-2-7b", "Llama-2-7B", "meta-llama/Llama-2-7b-hf"):
        origin = load(spelled).origin
        assert (origin.name, origin.source, origin.family) == ("llama-2-7b", "bundled", "llama")


def test_a_cached_model_answers_to_its_id(cache: Path) -> None:
    put_in_cache(cache, "somebody/tiny")
    origin = load("somebody/tiny").origin
    assert (origin.name, origin.source) == ("somebody/tiny", "hf-cache")


def test_a_bundled_name_comes_before_the_cache(cache: Path) -> None:
    put_in_cache(cache, "gpt2")
    assert find("gpt2").source == "bundled"


def test_a_folder_with_a_config_comes_before_a_bundled_name(cache: Path) -> None:
    write(Path("gpt2"))
    assert find("gpt2").source == "hf-config"


def test_a_folder_without_a_config_does_not_hide_a_bundled_name(cache: Path) -> None:
    Path("gpt2").mkdir()
    assert find("gpt2").source == "bundled"
    with pytest.raises(SpecError, match=r"holds no config\.json"):
        find("./gpt2")


@pytest.mark.parametrize("spelled", ["./gpt2", "gpt2.json", "~/gpt2", "/gpt2", Path("gpt2")])
def test_what_is_written_as_a_path_is_never_a_bundled_name(
    spelled: str | Path, cache: Path
) -> None:
    with pytest.raises(SpecError, match="no such file"):
        find(spelled)


def test_a_name_nothing_carries_offers_the_nearest_bundled_ones(cache: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"llama-3\.1-9b") as caught:
        load("llama-3.1-9b")
    assert "'llama-3.1-8b'" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["", "a\0b", "../../etc", "x" * 5000, "org/name/more", "a b"])
def test_a_wrong_name_is_a_short_error_with_an_action(name: str, cache: Path) -> None:
    assert not accepts(name)
    with pytest.raises(MansardError) as caught:
        load(name)
    assert caught.value.hint
    assert len(caught.value.message) < 200


def test_accepts_says_what_load_is_to_be_asked_for(cache: Path) -> None:
    file = write(Path("tiny"))
    put_in_cache(cache, "somebody/tiny")
    for source in (TINY, file, "tiny", "missing.json", "gpt2", "openai-community/gpt2",
                   "somebody/tiny"):  # fmt: skip
        assert accepts(source), source
    for other in ("model.onnx", "scenario.toml", "nobody/nothing", 3, None):
        assert not accepts(other), other


def test_overrides_change_the_config_before_it_is_read(cache: Path) -> None:
    half = load("llama-2-7b", {"num_hidden_layers": "16", "dtype": "fp32"})
    layer = 4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096
    assert model_facts(load("llama-2-7b")).params - model_facts(half).params == 16 * layer
    assert model_facts(half).kv_bytes_per_token == 16 * 2 * 4096 * 4
    with pytest.raises(UnknownNameError, match="num_hidden_layer"):
        load("llama-2-7b", {"num_hidden_layer": "16"})


def test_the_origin_says_where_each_field_was_read_and_how_long_a_context_may_be(
    cache: Path,
) -> None:
    origin = load(TINY).origin
    assert origin.max_context == 512
    assert origin.facts["hidden_size"] == ("64", "hidden_size in config")
    assert origin.facts["head_dim"] == ("8", "rule: hidden_size // num_attention_heads")
    assert origin.facts["tie_word_embeddings"][1] == "class default of transformers 5.23.0"


def test_what_a_reader_should_know_arrives_as_notes_with_codes(cache: Path) -> None:
    odd = {key: value for key, value in TINY.items() if key != "dtype"}
    odd |= {"kv_lora_rank": 512, "d_model": 128, "architectures": ["LlamaForTokenClassification"]}
    odd["quantization_config"] = {"quant_method": "hqq", "bits": 4}
    notes = load(odd).origin.notes
    assert sorted(note.code for note in notes) == ["M001", "M002", "M003", "M005", "M006"]
    said = {note.code: note.message for note in notes}
    assert "kv_lora_rank" in said["M001"]
    assert "'hqq'" in said["M003"]


def test_an_activation_function_nobody_computes_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="gelu_neu") as caught:
        load({**TINY, "hidden_act": "gelu_neu"})
    assert "'gelu_new'" in (caught.value.hint or "")
    with pytest.raises(SpecError, match="hidden_act is null"):
        load({**TINY, "hidden_act": None})


def test_a_hub_id_that_is_not_in_the_cache_names_the_command_that_fetches_it(cache: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load("someone/some-model")
    assert "mansard models show someone/some-model --download" in (caught.value.hint or "")
    with pytest.raises(UnknownNameError) as caught:
        load("some-model")
    assert "--download" not in (caught.value.hint or "")

"""``mansard models``: searching, one model's page, and what is fetched when asked."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from mansard.frontends.hf import bundled
from mansard.frontends.hf.load import load
from mansard.query.model_sheet import model_sheet

Run = Callable[..., Any]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hf-configs"


def names(run: Run, *search: str) -> set[str]:
    return {r["name"] for r in json.loads(run("models", "list", *search, "-f", "json").out)}


def test_every_word_of_a_search_counts(run: Run) -> None:
    assert names(run) == set(bundled.names())
    small = names(run, "qwen", "moe", "<=40b")
    assert {"qwen3-30b-a3b", "qwen1.5-moe-a2.7b"} <= small
    assert not {"qwen3-8b", "qwen3-235b-a22b", "mixtral-8x7b-v0.1"} & small


def test_a_search_knows_kinds_families_ids_and_sizes(run: Run) -> None:
    assert "deepseek-v3" in names(run, "mla")
    assert "jamba-1.5-mini" in names(run, "hybrid")
    assert {"mamba-130m", "falcon-mamba-7b"} <= names(run, "ssm")
    assert "gemma-3-27b-it" in names(run, "gemma3")
    assert names(run, "llama-3", ">100b") == {"llama-3.1-405b"}
    assert names(run, "llama-3.1-8b", "dense") == {"llama-3.1-8b"}


def test_a_search_that_finds_nothing_says_so_and_a_bad_bound_is_refused(run: Run) -> None:
    ran = run("models", "list", "no-such-model")
    assert (ran.code, "nothing matches" in ran.err) == (0, True)
    assert run("models", "list", "<lots").code == 2


def test_a_model_is_shown_with_its_roles_cache_layers_and_source(run: Run) -> None:
    record = json.loads(run("models", "show", "deepseek-v3", "-f", "json").out)
    assert record["params"] == 671_026_404_352
    assert record["active_params"] == 37_552_282_624
    assert sum(record["params_by_role"].values()) == record["params"]
    assert record["params_by_role"]["expert"] == 58 * 256 * 3 * 7168 * 2048
    assert record["kv_bytes_per_token"] == 61 * (512 + 64) * 2 == 70_272
    assert record["layers"].startswith("3 × (mla")
    assert record["checkpoint"].startswith("quantize{weights=fp8")
    assert "DeepSeek-V3" in record["config"]
    text = run("models", "show", "deepseek-v3").out
    assert "mtp_params" in text
    assert "  expert" in text


def test_the_bytes_of_a_checkpoint_stand_beside_those_in_its_dtype(run: Run) -> None:
    """One fp32 scale for 128 · 128 fp8 weights; embedding, head, norms and routers stay bf16."""
    record = json.loads(run("models", "show", "deepseek-v3", "-f", "json").out)
    plain = sum(record["params_by_role"][k] for k in ("embedding", "lm_head", "norm", "router"))
    blocks = record["params"] - plain
    assert record["weights_bytes"] == 2 * record["params"]
    assert record["stored_bytes"] == 2 * plain + blocks + 4 * blocks // 16384 == 673_150_545_584
    assert sum(record["stored_bytes_by_encoding"].values()) == record["stored_bytes"]
    text = run("models", "show", "deepseek-v3").out
    assert "1.34 TB" in text
    assert "673 GB" in text


@pytest.mark.parametrize(
    ("name", "size"), [("gpt-oss-20b", 13_761_264_768), ("gpt-oss-120b", 65_248_815_744)]
)
def test_gpt_oss_stores_what_the_index_of_its_weights_says(name: str, size: int) -> None:
    """``total_size`` in model.safetensors.index.json: MXFP4 experts, the rest bf16."""
    assert model_sheet(load(name)).stored_bytes == size


def test_extra_layers_are_counted_apart_from_what_is_served(run: Run) -> None:
    """DeepSeek-V3's card: 685B on disk, 671B served; the extra layer is a layer like the last."""
    record = json.loads(run("models", "show", "deepseek-v3", "-f", "json").out)
    d, latent = 7168, 1536 * 7168 + 1536 + 128 * 192 * 1536 + 576 * 7168 + 512
    attention = latent + 128 * 256 * 512 + 7168 * 128 * 128
    experts = 3 * d * 2048 * (256 + 1) + 256 * d
    assert record["mtp_params"] == attention + experts + 2 * d + 2 * d * d + 3 * d
    assert record["params"] + record["mtp_params"] < 685e9
    without = json.loads(run("models", "show", "kimi-k2-instruct", "-f", "json").out)
    assert without["mtp_params"] == 0


def test_parameters_by_role_add_up_for_every_bundled_kind() -> None:
    for name in ("jamba-1.5-mini", "gemma-3n-e4b", "rwkv-4-7b", "opt-350m", "gpt-oss-20b"):
        sheet = model_sheet(load(name))
        assert sum(sheet.by_role.values()) == sheet.facts.params


@pytest.mark.parametrize("name", ["qwen3-next-80b-a3b", "mamba2-780m", "granite-4.0-h-small"])
def test_parameters_by_role_equal_an_independent_count(name: str) -> None:
    if not DATA.is_dir():
        pytest.skip("the shared configs with counts per role are not on this machine")
    truth = json.loads((DATA / "truth" / f"{name}.json").read_text("utf-8"))["params_by_role"]
    config = json.loads((DATA / "dev" / f"{name}.json").read_text("utf-8"))
    spelled = {"attention": "attn", "mixer": "ssm"}
    assert {spelled.get(k, k): n for k, n in model_sheet(load(config)).by_role.items()} == truth


class TestDownload:
    """With a stand-in for huggingface_hub: nothing here touches a network."""

    CONFIG: ClassVar[dict[str, object]] = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100,
        "num_attention_heads": 4, "intermediate_size": 128, "torch_dtype": "bfloat16",
    }  # fmt: skip

    @pytest.fixture
    def hub(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

        def fetch(repo_id: str, filename: str) -> str:
            asked.append((repo_id, filename))
            if repo_id != "acme/tiny" or filename != "config.json":
                raise OSError("404 Client Error\nnot found")
            folder = tmp_path / "models--acme--tiny" / "snapshots" / "0123abc"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / filename).write_text(json.dumps(self.CONFIG))
            return str(folder / filename)

        module = ModuleType("huggingface_hub")
        vars(module)["hf_hub_download"] = fetch
        monkeypatch.setitem(sys.modules, "huggingface_hub", module)
        return asked

    def test_a_config_is_fetched_and_then_read_from_the_cache(
        self, run: Run, hub: list[tuple[str, str]]
    ) -> None:
        assert run("models", "show", "acme/tiny").code == 2
        assert hub == []
        shown = json.loads(run("models", "show", "acme/tiny", "--download", "-f", "json").out)
        assert shown["source"] == "hf-cache"
        assert [file for _, file in hub] == ["config.json", "hf_quant_config.json"]
        assert run("models", "show", "acme/tiny").code == 0

    def test_what_the_hub_refuses_is_an_error_with_an_action(
        self, run: Run, hub: list[tuple[str, str]]
    ) -> None:
        ran = run("models", "show", "acme/absent", "--download")
        assert ran.code == 2
        assert "404 Client Error" in ran.err
        assert "hint:" in ran.err

    def test_without_the_package_the_error_says_what_to_install(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        ran = run("models", "show", "acme/tiny", "--download")
        assert ran.code == 2
        assert "pip install huggingface_hub" in ran.err


def test_the_csv_of_the_list_has_a_row_a_model(run: Run) -> None:
    rows = list(csv.DictReader(run("models", "list", "-f", "csv").out.splitlines()))
    assert len(rows) == len(bundled.names())


def test_families_are_listed_with_their_class_and_how_many_models_are_bundled(run: Run) -> None:
    rows = {r["name"]: r for r in json.loads(run("models", "families", "-f", "json").out)}
    assert rows["deepseek_v3"]["architecture"] == "DeepseekV3ForCausalLM"
    assert rows["deepseek_v3"]["kind"] == ["moe", "mla"]
    assert rows["deepseek_v3"]["models"] == 2
    assert "qwen2_5_vl" in rows
    found = json.loads(run("models", "families", "mla", "deepseek", "-f", "json").out)
    assert {r["name"] for r in found} >= {"deepseek_v2", "deepseek_v3", "deepseek_v32"}


def test_an_unknown_family_names_the_nearest_and_the_command_that_lists_them(
    run: Run, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "qwen9"}', encoding="utf-8")
    ran = run("models", "show", str(config))
    assert ran.code == 2
    assert "did you mean 'qwen'" in ran.err
    assert "`mansard models families`" in ran.err

"""Bundled models: each reproduces its published count exactly; names, ids and aliases resolve."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mansard.core.errors import UnknownNameError
from mansard.core.notes import UNKNOWN
from mansard.frontends.hf.bundled import is_bundled, load_bundled, names
from mansard.frontends.hf.diffusion.config import is_diffusion
from mansard.frontends.hf.load import load
from mansard.frontends.hf.lower.whole import model_parameters
from mansard.frontends.hf.resolve import resolve
from mansard.frontends.hf.tensors import active_parameters, parameter_tensors, parameters
from mansard.ir.footprint import model_facts


@pytest.mark.parametrize("name", names())
def test_a_bundled_model_has_exactly_its_stated_parameters(name: str) -> None:
    model = load_bundled(name)
    assert model.source
    if is_diffusion(model.config.values):
        assert model_facts(load(name)).params == model.parameters
        return
    arch = resolve(model.config)
    assert model_parameters(arch) == model.parameters
    assert {note.code for note in arch.notes} <= {"M007"}


@pytest.mark.parametrize("name", names())
def test_nothing_of_a_bundled_model_is_unknown(name: str) -> None:
    """``--strict`` refuses what is unknown; a dtype no source states is a note of its own."""
    codes = {note.code for note in load(name).origin.notes}
    assert not codes & UNKNOWN


def test_the_vocabulary_of_code_llama_is_that_of_its_size() -> None:
    """The 34B model has Llama 2's 32,000 tokens; 7B and 13B have 16 more, to fill in the middle."""
    assert resolve(load_bundled("codellama-34b").config).vocab == 32000


def test_gemma_3_has_one_vocabulary_in_every_size_that_sees() -> None:
    """262,208 rows, 64 of them images'; published totals are 4,300,079,472 and 12,187,325,040."""
    for size in ("4b", "12b", "27b"):
        assert resolve(load_bundled(f"gemma-3-{size}-it").config).vocab == 262208


def test_there_are_at_least_120_and_every_name_is_lower_case() -> None:
    assert len(names()) >= 120
    assert all(name == name.lower() for name in names())


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("llama-3.1-8b", "llama-3.1-8b"),
        ("LLaMA-3.1-8B", "llama-3.1-8b"),
        ("meta-llama/Llama-3.1-8B", "llama-3.1-8b"),
        ("meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b"),
        ("meta-llama/Llama-2-7b-hf", "llama-2-7b"),
        ("THUDM/chatglm3-6b", "chatglm3-6b"),
        ("tinyllama", "tinyllama-1.1b"),
    ],
)
def test_ids_aliases_and_other_cases_resolve(spelled: str, name: str) -> None:
    assert load_bundled(spelled).name == name
    assert is_bundled(spelled)


@pytest.mark.parametrize("name", ["llama-3.1-9b", "stranger/llama-3.1-8b", "", "../bundled", "/"])
def test_an_unknown_name_offers_the_nearest(name: str) -> None:
    assert not is_bundled(name)
    with pytest.raises(UnknownNameError) as caught:
        load_bundled(name)
    assert caught.value.hint


def test_no_name_id_or_alias_stands_for_two_models() -> None:
    spellings = [
        spelled
        for model in map(load_bundled, names())
        for spelled in {model.name, model.hub_id.lower(), *model.aliases}
    ]
    assert len(spellings) == len(set(spellings))


def test_mixtral_by_hand() -> None:
    """46.7e9 in all, 12.9e9 active [Jiang 2024, §2]: 32 layers of 8 experts, 2 chosen."""
    arch = resolve(load_bundled("mixtral-8x7b-v0.1").config)
    experts = 32 * 8 * 3 * 14336 * 4096
    attention = 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096)
    rest = 2 * 32000 * 4096 + 32 * (8 * 4096 + 2 * 4096) + 4096
    assert parameters(arch) == experts + attention + rest == 46_702_792_704
    assert active_parameters(arch) == experts // 4 + attention + rest == 12_879_925_248


def test_gpt_2_stores_its_matrices_input_major_and_ties_its_head() -> None:
    tensors = {t.name: t for t in parameter_tensors(resolve(load_bundled("gpt2").config))}
    assert tensors["transformer.h.*.attn.c_attn.weight"].shape == (768, 2304)
    assert tensors["transformer.h.*.mlp.c_proj.weight"].shape == (3072, 768)
    assert "lm_head.weight" not in tensors


def test_opt_350m_is_post_norm_with_narrow_embeddings_and_no_final_norm() -> None:
    arch = resolve(load_bundled("opt-350m").config)
    assert (arch.layers[0].topology, arch.embedding_width, arch.final_norm) == ("post", 512, None)
    shapes = {t.name: t.shape for t in parameter_tensors(arch)}
    assert shapes["model.decoder.project_in.weight"] == (1024, 512)
    assert shapes["model.decoder.embed_positions.weight"] == (2050, 1024)


def test_a_null_that_is_not_the_class_default_is_kept() -> None:
    def window(name: str) -> int | None:
        return resolve(load_bundled(name).config).layers[0].attention.window

    assert (window("mistral-7b-v0.1"), window("mistral-7b-v0.2")) == (4096, None)


def test_the_fp8_checkpoint_leaves_its_router() -> None:
    quantization = resolve(load_bundled("qwen3-30b-a3b-fp8").config).quantization
    assert quantization is not None
    assert quantization.schemes[0].group == 128 * 128
    assert quantization.skips("model.layers.17.mlp.gate")
    assert not quantization.skips("model.layers.17.mlp.experts.gate_up_proj")


def test_reading_configs_imports_neither_sympy_nor_numpy() -> None:
    code = (
        "import sys; from mansard.frontends.hf import bundled, resolve, overrides;"
        "resolve.resolve(bundled.load_bundled('gpt2').config);"
        "print({'sympy', 'numpy', 'onnx', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

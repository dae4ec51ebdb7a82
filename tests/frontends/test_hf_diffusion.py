"""Diffusion transformers: tensors, products and steps against independent counts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from mansard.core.errors import MansardError
from mansard.core.symbols import B, M, P, R, S, T, batch
from mansard.frontends.hf.bundled import load_bundled
from mansard.frontends.hf.diffusion.config import read_denoiser
from mansard.frontends.hf.diffusion.lower import step_graph
from mansard.frontends.hf.load import load
from mansard.frontends.hf.read import RawConfig
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts, storages
from mansard.ir.program import Call, Loop, calls

VAE_TENSORS = Path(__file__).resolve().parents[1] / "golden" / "autoencoders.json"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hf-configs"
# Text tokens the counts were made with; diffusers' pipelines hand over more.
COUNTED = {"dit-xl-2-256": {}, "sd3-medium": {"text_tokens": 154}, "flux.1-dev": {}}
# Parameters and FLOP of matrix products in one step for one image: diffusers 0.42.1 on meta
# tensors, torch.utils.flop_counter.
STATED = {
    "dit-xl-2-256": (749_826_464, 237_333_676_032),
    "sd3-medium": (2_028_328_000, 8_437_355_053_056),
    "flux.1-dev": (11_901_408_320, 74_384_653_418_496),
}


def flop(name: str) -> int:
    """FLOP of matrix products in one step, for one image without guidance."""
    values = {**load_bundled(name).config.values, **COUNTED[name]}
    d = read_denoiser(RawConfig(name, values))
    total = sp.Add(*(n for key, n in step_graph(d).cost.flops.items() if key[0] == MATRIX))
    tokens = d.image + d.text
    bind = {B: 1, S: tokens, P: 0, T: tokens, R: d.image, M: d.text}
    return int(total.xreplace({k: sp.Integer(v) for k, v in bind.items()}))


@pytest.mark.parametrize("name", STATED)
def test_parameters_and_products_equal_what_the_library_counts(name: str) -> None:
    alone = load(name, {"denoiser_alone": "1"})
    assert (model_facts(alone).params, flop(name)) == STATED[name]


@pytest.mark.parametrize("name", STATED)
def test_every_tensor_equals_the_truth(name: str) -> None:
    if not DATA.is_dir():
        pytest.skip("the shared configs with counts per tensor are not on this machine")
    truth = json.loads((DATA / "truth" / f"{name}.json").read_text("utf-8"))
    expected: Counter[Any] = Counter()
    for t in truth["tensors"]:
        expected[anywhere(t["name"]), tuple(t["shape"])] += t["count"]
    found: Counter[Any] = Counter()
    for path, stored in storages(load(name).graph()).items():
        if stored.value.role == "weight":
            found[anywhere(path), tuple(map(int, stored.value.shape))] += int(stored.copies)
    assert found == expected
    assert flop(name) == truth["flops_prefill"]


def anywhere(path: str) -> str:
    return re.sub(r"(?<=\.)(\d+|\{[^}]*\})(?=\.)", "*", path)


def test_dit_by_hand_and_the_675_million_of_its_paper() -> None:
    """Peebles and Xie, table 1: XL has 28 layers of 1152, 16 heads; 675 M parameters.

    The paper's code embeds time and class once where diffusers stores a copy a block, and counts
    its fixed table of 256 positions.
    """
    d, layers = 1152, 28
    emb = 256 * d + d + d * d + d + 1001 * d
    block = 6 * d * d + 6 * d + 4 * (d * d + d) + 2 * 4 * d * d + 5 * d
    ends = 16 * d + d + d * 2 * d + 2 * d + d * 32 + 32
    assert layers * (emb + block) + ends == 749_826_464
    assert emb + layers * block + ends + 256 * d == 675_129_632


def test_steps_are_the_schedule_and_guidance_runs_each_image_twice() -> None:
    loop, last = load("dit-xl-2-256").schedule
    assert isinstance(loop, Loop)
    assert isinstance(last, Call)
    assert (loop.times, loop.phase) == (50, "denoise")
    assert (last.graph, last.phase, last.bind[B]) == ("vae", "vae_decode", batch)
    few = load("dit-xl-2-256", {"steps": "10"}).schedule[0]
    assert isinstance(few, Loop)
    assert few.times == 10


def test_a_larger_image_is_more_tokens() -> None:
    small, large = load("sd3-medium", {"sample_size": "64"}), load("sd3-medium")
    assert small.origin.facts["image"][0] == "1024"
    assert large.origin.facts["image"][0] == "4096"
    assert model_facts(small).params == model_facts(large).params


def test_what_is_left_out_is_named() -> None:
    alone = load("flux.1-dev", {"denoiser_alone": "1"})
    assert [n.code for n in alone.origin.notes] == ["M007"]
    assert list(alone.graphs) == ["target"]


def test_what_stands_beside_a_denoiser_is_said_with_its_source() -> None:
    (note,) = load("flux.1-dev").origin.notes
    assert note.code == "M102"
    assert "t5-xxl" in note.message
    assert "pipeline_flux.py" in note.message


def test_parts_that_do_not_fit_a_denoiser_are_left_out_and_said_to_be() -> None:
    config = {**load_bundled("flux.1-dev").config.values, "joint_attention_dim": 2048}
    program = load(config)
    assert list(program.graphs) == ["target"]
    (note,) = program.origin.notes
    assert (note.code, "do not fit" in note.message) == ("M007", True)


# What each call multiplies for one image, and what the parts store: transformers 5.23.0 and
# diffusers 0.42.1 on meta tensors, torch.utils.flop_counter.
CLIP_L, CLIP_G, T5, VAE_16, VAE_4 = (
    123_060_480, 694_659_840, 4_762_310_656, 83_819_683, 83_653_863
)  # fmt: skip
PARTS: dict[str, dict[str, int]] = {
    "flux.1-dev": {"text_encoder": CLIP_L, "text_encoder_2": T5, "vae": VAE_16},
    "sd3-medium": {"text_encoder": CLIP_L + 768 * 768, "text_encoder_2": CLIP_G,
                   "text_encoder_3": T5, "vae": VAE_16},
    "dit-xl-2-256": {"vae": VAE_4},
}  # fmt: skip
PRODUCTS: dict[str, dict[str, int]] = {
    "flux.1-dev": {"text_encoder": 13_298_503_680, "text_encoder_2": 4_844_723_109_888,
                   "vae": 10_472_204_009_472},
    "sd3-medium": {"text_encoder": 2 * 13_299_683_328, "text_encoder_2": 2 * 97_863_106_560,
                   "vae": 10_472_204_009_472},
    "dit-xl-2-256": {"vae": 622_187_282_432},
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_parts_beside_a_denoiser_store_what_the_libraries_count(name: str) -> None:
    program = load(name)
    facts = program.origin.facts
    found = {part: facts[f"{part}.parameters"][0] for part in PARTS[name]}
    assert found == {part: f"{n:,}" for part, n in PARTS[name].items()}
    assert model_facts(program).params == STATED[name][0] + sum(PARTS[name].values())


@pytest.mark.parametrize("name", PRODUCTS)
def test_calls_around_the_steps_multiply_what_the_libraries_count(name: str) -> None:
    program = load(name)
    found = {}
    for call in calls(program.schedule):
        graph = program.graph(call.graph).wanting(call.wants)
        work = sp.Add(*(n for key, n in graph.cost.flops.items() if key[0] == MATRIX))
        found[call.graph] = int(work.xreplace(dict(call.bind)).xreplace({batch: sp.S.One}))
    assert PRODUCTS[name].items() <= found.items()


def test_t5_xxl_by_hand() -> None:
    """[Raffel 2019]: 24 layers of 4096, 64 heads of 64, gated 10240, 512 tokens."""
    d, f, n = 4096, 10240, 512
    layer = 2 * n * (4 * d * d + 3 * d * f) + 2 * 2 * d * n * n
    assert PRODUCTS["flux.1-dev"]["text_encoder_2"] == 24 * layer
    assert 24 * (4 * d * d + 3 * d * f + 2 * d) + 32128 * d + d + 32 * 64 == T5


def test_the_autoencoders_tensors_are_those_of_the_library() -> None:
    """Names and shapes of AutoencoderKL, diffusers 0.42.1; its encoder is stored and not called."""
    golden = json.loads(VAE_TENSORS.read_text("utf-8"))
    for name, kind in (("flux.1-dev", "kl-16"), ("dit-xl-2-256", "kl-4")):
        found: Counter[Any] = Counter()
        program = load(name)
        for graph in ("vae", "vae_encoder"):
            for path, stored in storages(program.graph(graph)).items():
                shape = tuple(map(int, stored.value.shape))
                found[anywhere(path.removeprefix("vae.")), shape] += int(stored.copies)
        assert found == Counter({(n, tuple(s)): k for n, s, k in golden[kind]})
        assert "vae_encoder" not in {call.graph for call in calls(program.schedule)}


@pytest.mark.parametrize("graph", ["vae", "vae_encoder"])
@pytest.mark.parametrize("name", ["flux.1-dev", "dit-xl-2-256"])
def test_ops_of_one_name_in_an_autoencoder_have_one_shape(name: str, graph: str) -> None:
    shapes: dict[str, set[Any]] = {}
    ops = load(name).graph(graph).ops
    for op in ops:
        label = op.outs[0].name.partition("~")[0]
        shapes.setdefault(label, set()).add(tuple(v.shape for v in op.operands))
    assert [label for label, found in shapes.items() if len(found) > 1] == []
    assert len(shapes) < len(ops)  # blocks that are alike share their names


def test_the_encoder_of_images_multiplies_what_the_library_counts() -> None:
    work = load("flux.1-dev").graph("vae_encoder").cost.flops
    total = sp.Add(*(n for key, n in work.items() if key[0] == MATRIX))
    assert total.xreplace({B: 1, S: 128 * 128}) == 4_882_572_509_184


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_class_name": "UNet2DModel"}, "UNet2DModel"),
        ({"num_attention_heads": "16"}, "num_attention_heads"),
        ({"num_layers": None}, "num_layers"),
        ({"qk_norm": "rms_norm"}, "qk_norm"),
        ({"dual_attention_layers": [0, 1]}, "dual_attention_layers"),
    ],
)
def test_what_has_no_block_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    config = {**load_bundled("sd3-medium").config.values, **change}
    with pytest.raises(MansardError, match=words) as caught:
        load(config)
    assert caught.value.hint


def test_a_key_that_is_none_is_named() -> None:
    with pytest.raises(MansardError, match="stepz"):
        load("dit-xl-2-256", {"stepz": "3"})


def test_an_image_model_is_analyzed_from_the_command_line(run: Callable[..., Any]) -> None:
    ran = run("analyze", "dit-xl-2-256", "--on", "l4", "-f", "json")
    phases = json.loads(ran.out)["phases"]
    assert ran.code == 0
    assert list(phases) == ["denoise", "vae_decode"]
    shown = run("models", "show", "flux.1-dev", "-f", "json")
    roles = json.loads(shown.out)["params_by_role"]
    assert set(roles) >= {"modulation", "attention", "mlp", "embedding"}
    assert sum(roles.values()) == 16_870_599_139


def test_no_steps_at_all_are_refused_with_the_least_there_may_be() -> None:
    with pytest.raises(MansardError, match="steps is 0") as caught:
        load("dit-xl-2-256", overrides={"steps": "0"})
    assert "at least 1" in (caught.value.hint or "")

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
from mansard.core.symbols import B, M, P, R, S, T
from mansard.frontends.hf.bundled import load_bundled
from mansard.frontends.hf.diffusion.config import read_denoiser
from mansard.frontends.hf.diffusion.lower import step_graph
from mansard.frontends.hf.load import load
from mansard.frontends.hf.read import RawConfig
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts, storages
from mansard.ir.program import Loop

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
    assert (model_facts(load(name)).params, flop(name)) == STATED[name]


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
    (loop,) = load("dit-xl-2-256").schedule
    assert isinstance(loop, Loop)
    assert (loop.times, loop.phase) == (50, "denoise")
    (few,) = load("dit-xl-2-256", {"steps": "10"}).schedule
    assert isinstance(few, Loop)
    assert few.times == 10


def test_a_larger_image_is_more_tokens() -> None:
    small, large = load("sd3-medium", {"sample_size": "64"}), load("sd3-medium")
    assert small.origin.facts["image"][0] == "1024"
    assert large.origin.facts["image"][0] == "4096"
    assert model_facts(small).params == model_facts(large).params


def test_what_is_not_lowered_is_named() -> None:
    assert [n.code for n in load("flux.1-dev").origin.notes] == ["M007"]


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
    assert list(phases) == ["denoise"]
    shown = run("models", "show", "flux.1-dev", "-f", "json")
    roles = json.loads(shown.out)["params_by_role"]
    assert set(roles) >= {"modulation", "attention", "mlp", "embedding"}
    assert sum(roles.values()) == 11_901_408_320


def test_no_steps_at_all_are_refused_with_the_least_there_may_be() -> None:
    with pytest.raises(MansardError, match="steps is 0") as caught:
        load("dit-xl-2-256", overrides={"steps": "0"})
    assert "at least 1" in (caught.value.hint or "")

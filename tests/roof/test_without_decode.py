"""Models that generate nothing: totals in place of tokens, and only the sizes they have."""

from __future__ import annotations

import pytest

import mansard as ms
from mansard.render.estimate_words import kept, model, scenario, totals
from mansard.render.memory_bar import memory_bar
from mansard.render.steps import each


def test_a_denoiser_says_its_steps_their_total_and_images_per_second() -> None:
    found = ms.analyze("dit-xl-2-256", on="h100-sxm", batch=4, set={"model.steps": "20"})
    phase = found.phases["denoise"]
    assert phase.steps == 20
    whole = phase.total_s + found.phases["vae_decode"].total_s
    assert dict(totals(found))["throughput"] == f"{4 / whole:.3g} images/s"
    said = each(found, phase)
    assert said.startswith(" a step; 20 steps take ")
    assert "--set model.steps=" in said


def test_an_encoder_says_its_tokens_and_sequences_per_second() -> None:
    found = ms.analyze("bert-base-uncased", on="h100-sxm", batch=2, prompt=512)
    phase = found.phases["encode"]
    assert each(found, phase) == " for 2 × 512 tokens"
    assert dict(totals(found))["throughput"] == f"{2 / phase.time_s:,.0f} sequences/s"
    assert "a step" not in str(found)
    assert "sequences/s" in str(found)


def test_a_model_that_generates_has_its_own_metrics() -> None:
    assert totals(ms.analyze("qwen2.5-0.5b", on="h100-sxm", prompt=64, output=4)) == []
    only = ms.analyze("qwen2.5-0.5b", on="h100-sxm", prompt=64, output=4, phase="decode")
    assert totals(only) == []


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("dit-xl-2-256", []),
        ("dinov2-base", []),
        ("bert-base-uncased", ["prompt 64"]),
        ("whisper-base", ["output 8"]),
        ("qwen2.5-0.5b", ["prompt 64", "output 8"]),
    ],
)
def test_sizes_that_do_not_occur_are_not_printed(name: str, sizes: list[str]) -> None:
    found = ms.analyze(name, on="h100-sxm", batch=1, prompt=64, output=8)
    assert scenario(found) == ["batch 1", *sizes]
    assert {s.partition(" ")[0] for s in sizes} == found.sizes & {"prompt", "output"}


def test_a_cache_that_windows_bound_says_how_it_grows_beyond_them() -> None:
    """Of the 34 layers of Gemma 3 4B every sixth attends to everything: 5 of 34 still grow."""
    found = ms.analyze("gemma-3-4b-it", on="h100-sxm", prompt=64, output=4)
    within, beyond = found.kv_growth
    assert beyond * 34 == within * 5
    assert "139 kB a token within the window, 20.5 kB beyond" in model(found)[-1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qwen2.5-0.5b", "KV cache"),
        ("mamba2-2.7b", "state"),
        ("granite-4.0-h-small", "KV cache and state"),
    ],
)
def test_what_is_kept_of_a_sequence_is_called_what_it_is(name: str, said: str) -> None:
    found = ms.analyze(name, on="h100-sxm", prompt=64, output=4)
    assert kept(found) == said
    text = "".join(str(part) for part in memory_bar(found.memory, 100, kept(found)))
    assert f"▓ {said} " in text

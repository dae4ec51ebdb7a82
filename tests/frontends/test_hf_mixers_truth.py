"""Every decoder config with a truth: tensors, totals, cache, state, and products of matrices.

The counts come from transformers on meta tensors. Of a model with towers, the language model's
tensors are compared; of one with a scan, what does not depend on how the scan is computed.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.lower.decoder import decoder_graph
from mansard.frontends.hf.lower.stored import stored_tensors
from mansard.frontends.hf.mixers import Mamba1, Mamba2
from mansard.frontends.hf.resolve import read_architecture
from mansard.frontends.hf.tensors import (
    active_parameters,
    kv_elements_per_token,
    parameters,
    state_elements,
)
from mansard.ir.cost import MATRIX
from mansard.ir.graph import Graph
from mansard.ir.program import binding

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hf-configs"
ABSENT = "the shared configs with their counts are not on this machine"
SCANS = {"state_space_dual", "gated_delta", "linear_attention"}
TOWERS = ("vision", "visual", "audio", "projector", "multi_modal")

# The size of the published weights of models that transformers has no class of.
PUBLISHED = {
    "baichuan2-7b": 7_505_973_248,
    "chatglm3-6b": 6_243_584_000,
    "deepseek-moe-16b": 16_375_728_128,
    "internlm-7b": 7_321_948_160,
    "internlm2-7b": 7_737_708_544,
    "internlm2.5-7b": 7_737_708_544,
    "phi-2-msft": 2_779_683_840,
    "qwen-1.8b": 1_836_828_672,
}


@cache
def rows(*statuses: str) -> tuple[str, ...]:
    """Return the decoder configs, alone or beside towers, whose truth has one of the statuses."""
    if not DATA.is_dir():
        return ()
    with (DATA / "truth.csv").open(encoding="utf-8") as file:
        found = [r for r in csv.DictReader(file) if r["kind"] in ("causal", "vlm")]
    return tuple(r["name"] for r in found if r["status"] in statuses)


def read(kind: str, name: str) -> Any:
    return json.loads((DATA / kind / f"{name}.json").read_text(encoding="utf-8"))


@cache
def lowered(name: str) -> tuple[Architecture, Graph]:
    arch = read_architecture(read("dev", name))
    return arch, decoder_graph(arch)


def need(name: str) -> None:
    if name == "absent":
        pytest.skip(ABSENT)


def text_tensors(truth: Any) -> set[tuple[str, tuple[int, ...], int]]:
    tensors = {(t["name"], tuple(t["shape"]), t["count"]) for t in truth["tensors"]}
    if truth["kind"] != "vlm":
        return tensors
    return {t for t in tensors if not any(word in t[0] for word in TOWERS)}


def products(graph: Graph, new: int, past: int) -> int:
    """Arithmetic of the products of matrices outside scans, logits for every new token."""
    bind = binding(1, new, past, rows=new)
    work = (
        flops * times
        for op, times in graph.walk()
        if not op.bodies and op.kind not in SCANS
        for (unit, *_), flops in op.cost().flops.items()
        if unit == MATRIX
    )
    return sum(int(flops.xreplace(bind)) for flops in work)


@pytest.mark.parametrize("name", rows("ok", "params") or ["absent"])
def test_every_stored_weight_of_the_language_model_equals_the_truth(name: str) -> None:
    need(name)
    arch, graph = lowered(name)
    assert {tuple(t) for t in stored_tensors(graph, arch.names)} == text_tensors(
        read("truth", name)
    )
    assert not [note for note in arch.notes if note.code == "M001"]


@pytest.mark.parametrize("name", rows("ok", "params") or ["absent"])
def test_totals_cache_and_state_equal_the_truth(name: str) -> None:
    need(name)
    arch, truth = lowered(name)[0], read("truth", name)
    idle = truth["params_total"] - truth["params_active"]
    assert parameters(arch) - active_parameters(arch) == idle
    if truth["kind"] != "vlm":
        assert parameters(arch) == truth["params_total"]
    if truth["status"] == "ok":
        assert kv_elements_per_token(arch) == truth["kv_elems_per_token"]
        assert state_elements(arch) == truth["state_elems"]


def embedders(truth: Any) -> int:
    """The library also projects one placeholder of each tower Gemma 3n has: 2·h·width a token."""
    shapes = {t["name"]: t["shape"] for t in truth["tensors"]}
    found = [s for n, s in shapes.items() if "embed_" in n and "embedding_projection" in n]
    return sum(2 * out * into for out, into in found)


@pytest.mark.parametrize("name", rows("ok") or ["absent"])
def test_products_of_matrices_in_a_decode_step_equal_the_truth(name: str) -> None:
    need(name)
    (arch, graph), truth = lowered(name), read("truth", name)
    if truth.get("flops_note"):
        pytest.skip(f"the library's count is not comparable: {truth['flops_note']}")
    # transformers counts the convolution and Mamba's C·h as such products; here they are scans'.
    scanned = truth["flops_decode_ops"].get("convolution", 0)
    for spec in arch.layers:
        if isinstance(spec.mixer, (Mamba1, Mamba2)):
            scanned += 2 * spec.mixer.inner * spec.mixer.state
    assert products(graph, 1, 128) == truth["flops_decode"] - scanned - embedders(truth)


@pytest.mark.parametrize("name", rows("ok") or ["absent"])
def test_products_of_matrices_in_a_prefill_equal_the_truth_where_nothing_scans(name: str) -> None:
    need(name)
    graph, truth = lowered(name)[1], read("truth", name)
    if truth.get("flops_note") or truth["flops_prefill_ops"].get("convolution"):
        pytest.skip("the library's count depends on how it computes scans or experts")
    assert products(graph, 128, 0) == truth["flops_prefill"] - 128 * embedders(truth)


@pytest.mark.parametrize("name", sorted(PUBLISHED) if rows("ok") else ["absent"])
def test_a_model_of_remote_code_has_its_published_total(name: str) -> None:
    need(name)
    assert parameters(lowered(name)[0]) == PUBLISHED[name]


def test_105_decoder_configs_are_exact_and_8_have_their_published_total(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Says the counts aloud; the tests above hold each of them to its figures."""
    if not rows("ok"):
        pytest.skip(ABSENT)
    exact = rows("ok", "params")
    with capsys.disabled():
        print(f" [{len(exact)} decoders exact, {len(PUBLISHED)} published] ", end="")
    assert len(exact) == 105

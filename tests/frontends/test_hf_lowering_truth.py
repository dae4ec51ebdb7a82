"""The graph's gate: what it stores and multiplies equals what transformers builds and runs.

The counts come from transformers on meta tensors: parameters per tensor, growth of the cache, and
the FLOPs of matrix products, over the full query-key rectangle with logits for every token.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mansard.core.dtypes import BITS
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.lower.decoder import decoder_graph
from mansard.frontends.hf.lower.program import program
from mansard.frontends.hf.lower.stored import stored_tensors
from mansard.frontends.hf.resolve import read_architecture
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts
from mansard.ir.graph import Graph
from mansard.ir.program import Origin, binding

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hf-configs"
ABSENT = "the shared configs with their counts are not on this machine"

# Attention decoders. What keeps a state, or runs experts the library does not run exactly, is
# compared where its own lowering is tested.
FIRST = frozenset({
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "opt",
    "gpt2", "gptj", "gpt_neox", "bloom", "chatglm", "internlm2", "baichuan", "mixtral",
    "qwen2_moe", "qwen3_moe",
})  # fmt: skip
FAMILIES = FIRST | {"granite", "smollm3", "phimoe", "gpt_neo"}

# Totals the publishers state, for families transformers has no class of:
# zai-org/chatglm3-6b, baichuan-inc/Baichuan2-7B-Base, internlm/internlm2-7b and internlm2_5-7b.
PUBLISHED = {
    "chatglm3-6b": 6_243_584_000,
    "baichuan2-7b": 7_505_973_248,
    "internlm2-7b": 7_737_708_544,
    "internlm2.5-7b": 7_737_708_544,
}


@cache
def covered(status: str, families: frozenset[str] = FAMILIES) -> tuple[str, ...]:
    """Return the configs of some families whose truth has a status."""
    if not DATA.is_dir():
        return ()
    with (DATA / "truth.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == status]
    return tuple(row["name"] for row in rows if row["model_type"] in families)


def read(kind: str, name: str) -> Any:
    return json.loads((DATA / kind / f"{name}.json").read_text(encoding="utf-8"))


@cache
def lowered(name: str) -> tuple[Architecture, Graph]:
    arch = read_architecture(read("dev", name))
    return arch, decoder_graph(arch)


def matrix_flops(graph: Graph, new: int, past: int) -> int:
    """Arithmetic of the matrix unit in one call of one sequence, logits for every new token."""
    bind = binding(1, new, past, rows=new)
    products = (flops for (unit, *_), flops in graph.cost.flops.items() if unit == MATRIX)
    return sum(int(flops.xreplace(bind)) for flops in products)


def need(name: str) -> None:
    if name == "absent":
        pytest.skip(ABSENT)


@pytest.mark.parametrize("name", covered("ok") or ["absent"])
def test_every_stored_weight_equals_the_truth(name: str) -> None:
    need(name)
    arch, graph = lowered(name)
    expected = {(t["name"], tuple(t["shape"]), t["count"]) for t in read("truth", name)["tensors"]}
    assert {tuple(t) for t in stored_tensors(graph, arch.names)} == expected


@pytest.mark.parametrize("name", covered("ok") or ["absent"])
def test_totals_and_cache_growth_equal_the_truth(name: str) -> None:
    need(name)
    arch, truth = lowered(name)[0], read("truth", name)
    facts = model_facts(program(arch, Origin()))
    assert facts.params == truth["params_total"]
    assert facts.active_params == truth["params_active"]
    assert facts.state_bytes == truth["state_elems"] == 0
    per_element = BITS[arch.dtype] // 8
    assert facts.kv_bytes_per_token == truth["kv_elems_per_token"] * per_element
    assert truth["kv_bytes_per_token_bf16"] == truth["kv_elems_per_token"] * 2


@pytest.mark.parametrize("name", covered("ok") or ["absent"])
def test_matrix_flops_of_prefill_and_decode_equal_the_truth(name: str) -> None:
    need(name)
    graph, truth = lowered(name)[1], read("truth", name)
    if truth.get("flops_note"):
        pytest.skip(f"the library's count is not comparable: {truth['flops_note']}")
    assert matrix_flops(graph, new=128, past=0) == truth["flops_prefill"]
    assert matrix_flops(graph, new=1, past=128) == truth["flops_decode"]


@pytest.mark.parametrize("name", covered("no-config-class") or ["absent"])
def test_a_remote_code_model_has_its_published_total(name: str) -> None:
    need(name)
    assert model_facts(program(lowered(name)[0], Origin())).params == PUBLISHED[name]


def test_66_configs_are_exact_and_4_have_their_published_total(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Says the counts aloud; the tests above hold each of them to its figures."""
    if not covered("ok"):
        pytest.skip(ABSENT)
    exact, published = covered("ok", FIRST), covered("no-config-class", FIRST)
    more = set(covered("ok")) - set(exact)
    with capsys.disabled():
        print(f" [{len(exact)} exact, {len(published)} published, {len(more)} more] ", end="")
    assert len(exact) == 66
    assert set(published) == set(PUBLISHED)
    assert not [name for name in (*exact, *more) if read("truth", name).get("flops_note")]

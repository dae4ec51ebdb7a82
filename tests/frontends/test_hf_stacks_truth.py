"""Encoders, encoder-decoders, vision and models that see: every tensor equals the truth.

The counts come from transformers on meta tensors. Products of matrices are compared too: over the
rectangle of queries and keys, as the library counts them.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mansard.core.symbols import M, S, batch, prompt
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.diffusion.config import is_diffusion
from mansard.frontends.hf.load import load
from mansard.frontends.hf.lower.program import program
from mansard.frontends.hf.lower.whole import model_parameters, model_tensors
from mansard.frontends.hf.resolve import read_architecture
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts, storages
from mansard.ir.graph import Graph
from mansard.ir.program import Origin, Program, binding, calls

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hf-configs"
ABSENT = "the shared configs with their counts are not on this machine"


@cache
def rows(*kinds: str) -> tuple[str, ...]:
    if not DATA.is_dir():
        return ()
    with (DATA / "truth.csv").open(encoding="utf-8") as file:
        found = [r for r in csv.DictReader(file) if r["kind"] in kinds]
    return tuple(r["name"] for r in found if r["status"] in ("ok", "params"))


def whole() -> tuple[str, ...]:
    return rows("encoder", "encdec", "vlm")


def read(kind: str, name: str) -> Any:
    return json.loads((DATA / kind / f"{name}.json").read_text(encoding="utf-8"))


@cache
def lowered(name: str) -> tuple[Architecture, Program]:
    arch = read_architecture(read("dev", name))
    return arch, program(arch, Origin(name=name)).verified()


def need(name: str) -> None:
    if name == "absent":
        pytest.skip(ABSENT)


def products(graph: Graph, new: int, past: int = 0, memory: int = 0) -> int:
    """Arithmetic of products of matrices, convolutions included, of one call of one sequence."""
    bind = {**binding(1, new, past, rows=1), M: memory}
    work = (
        flops * times
        for op, times in graph.walk()
        if not op.bodies
        for (unit, *_), flops in op.cost().flops.items()
        if unit == MATRIX
    )
    return sum(int(flops.xreplace(bind)) for flops in work)


@pytest.mark.parametrize("name", whole() or ["absent"])
def test_every_stored_tensor_and_the_total_equal_the_truth(name: str) -> None:
    need(name)
    (arch, made), truth = lowered(name), read("truth", name)
    expected = {(t["name"], tuple(t["shape"])): 0 for t in truth["tensors"]}
    for t in truth["tensors"]:
        expected[t["name"], tuple(t["shape"])] += t["count"]
    assert {(t.name, t.shape): t.copies for t in model_tensors(arch)} == expected
    assert model_parameters(arch) == truth["params_total"]
    assert model_facts(made).params == truth["params_total"]
    assert model_facts(made).active_params == truth["params_active"]
    assert "M001" not in {note.code for note in arch.notes}


@pytest.mark.parametrize("name", rows("encoder") or ["absent"])
def test_an_encoders_products_of_matrices_equal_the_truth(name: str) -> None:
    """128 tokens, or as many as a text tower reads; every image once."""
    need(name)
    made, truth = lowered(name)[1], read("truth", name)
    tokens = {prompt: truth.get("text_len", 128), batch: 1}
    found = sum(
        products(made.graph(call.graph), int(call.bind[S].xreplace(tokens)))
        for call in calls(made.schedule)
    )
    assert found == truth["flops_prefill"]


@pytest.mark.parametrize("name", rows("encdec") or ["absent"])
def test_an_encoder_decoders_products_and_caches_equal_the_truth(name: str) -> None:
    """128 source tokens beside 128 target tokens, then one step after them."""
    need(name)
    (arch, made), truth = lowered(name), read("truth", name)
    encoder, target = made.graphs["encoder"], made.graphs["target"]
    rows_ = 128 if arch.names.paths["lm_head"] and truth["class"] != "BartModel" else 0
    head = 2 * arch.hidden * arch.vocab
    prefill = products(encoder, 128) + products(target, 128, memory=128) + (rows_ - 1) * head
    assert prefill == truth["flops_prefill"]
    bare = head if not rows_ else 0
    assert products(target, 1, 128, 128) - bare == truth["flops_decode"]
    shapes = {tuple(c["shape"]): 0 for c in truth.get("cache_shapes", ())}
    for c in truth.get("cache_shapes", ()):
        shapes[tuple(c["shape"])] += c["count"]
    bind = {**binding(1, 1, 128), M: 128}
    found: dict[tuple[int, ...], int] = dict.fromkeys(shapes, 0)
    for stored in storages(target).values():
        if stored.value.role == "cache" and shapes:
            shape = tuple(int(size.xreplace(bind)) for size in stored.value.shape)
            found[shape] += int(stored.copies)
    assert found == shapes


def test_all_123_configs_with_a_truth_are_exact_tensor_by_tensor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Says the counts aloud: every kind of config whose class the library builds."""
    names = rows("causal", "encoder", "encdec", "vlm", "diffusers")
    if not names:
        pytest.skip(ABSENT)
    exact = [name for name in names if tensors_of(name) == expected_of(name)]
    with capsys.disabled():
        print(f" [{len(exact)} of {len(names)} configs exact] ", end="")
    assert len(exact) == len(names) == 123
    assert len(whole()) == 33


def tensors_of(name: str) -> Counter[tuple[str, tuple[int, ...]]]:
    """Return what a config's lowering stores, as the truth writes it."""
    config = read("dev", name)
    found: Counter[tuple[str, tuple[int, ...]]] = Counter()
    if not is_diffusion(config):
        own = model_tensors(read_architecture(config))
        return Counter({(t.name, t.shape): t.copies for t in own})
    for path, stored in storages(load(config).graph()).items():
        if stored.value.role == "weight":
            found[_starred(path), tuple(map(int, stored.value.shape))] += int(stored.copies)
    return found


def expected_of(name: str) -> Counter[tuple[str, tuple[int, ...]]]:
    """Return what the library builds."""
    found: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for t in read("truth", name)["tensors"]:
        path = _starred(t["name"]) if is_diffusion(read("dev", name)) else t["name"]
        found[path, tuple(t["shape"])] += t["count"]
    return found


def _starred(path: str) -> str:
    return re.sub(r"(?<=\.)(\d+|\{[^}]*\})(?=\.)", "*", path)

"""Kernels that do the same are priced once, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mansard.backends import table
from mansard.core.symbols import Expr
from mansard.frontends.hf.load import load
from mansard.ir.alike import likeness
from mansard.query.techniques import apply_techniques

MODELS = {
    "gemma-2-2b": (),
    "mixtral-8x7b-v0.1": (),
    "deepseek-v3": (),
    "llama-3.1-70b": ("parallel{tp=8}",),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_table_is_the_same_as_when_every_kernel_is_priced(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, _ = apply_techniques(load(name), MODELS[name], "O1")
    for graph in program.graphs:
        shared = table.tabulate(replace(program.graph(graph)), graph)
        with monkeypatch.context() as patch:
            patch.setattr(table, "likeness", lambda kernel: kernel)
            apart = table.tabulate(replace(program.graph(graph)), graph)
        assert _plain(shared) == _plain(apart)


def test_layers_of_other_sizes_are_not_alike() -> None:
    config: dict[str, Any] = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 128, "intermediate_size": [96, 160], "max_position_embeddings": 512,
    }  # fmt: skip
    kernels = load(config).graph("target").kernels
    found: dict[str, set[Any]] = {}
    for kernel in kernels:
        found.setdefault(kernel.name, set()).add(likeness(kernel))
    assert len(found["layers.q_proj"]) == 1
    assert len(found["layers.down_proj"]) == 2


def _plain(found: table.Table) -> SimpleNamespace:
    """Return what a table says, its costs left out: their values are those of one kernel."""
    rows = [{**vars(row), "cost": None} for row in found.rows]
    costs: list[dict[Any, Expr]] = [dict(row.cost.flops) for row in found.rows]
    return SimpleNamespace(rows=rows, costs=costs, tape=found.tape.quantities)

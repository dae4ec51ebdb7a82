"""Classes a model type has besides its first: BERTs and BARTs that generate, tensor by tensor.

The golden file holds every parameter of the classes at their defaults, as transformers 5.23.0
builds them on meta tensors; layers' indices are ``*``. ``flops`` is what torch's FlopCounterMode
sees of 128 tokens, logits for all, over a memory of 64 where there is one, attention as written.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from mansard.core.errors import MansardError, UnknownNameError
from mansard.core.symbols import M
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.card_file import builtin_cards, card_for
from mansard.frontends.hf.inputs import Inputs, read_inputs
from mansard.frontends.hf.lower.program import NONE, program
from mansard.frontends.hf.lower.whole import model_parameters, model_tensors
from mansard.frontends.hf.resolve import read_architecture
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph
from mansard.ir.ops import Store
from mansard.ir.program import Origin, Program, binding, calls

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "hf_classes.json"
ROWS: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))


def of(name: str, **keys: Any) -> Architecture:
    config = {"model_type": ROWS[name]["model_type"], "architectures": [name]}
    return read_architecture({**config, **keys})


def lowered(name: str, inputs: Inputs = NONE, **keys: Any) -> Program:
    return program(of(name, **keys), Origin(name), inputs)


def notes(arch: Architecture, code: str) -> list[str]:
    return [note.message for note in arch.notes if note.code == code]


def matrix_flops(graph: Graph, new: int, past: int = 0, memory: int = 0) -> int:
    bind = {**binding(1, new, past), M: memory}
    return int(sp.Add(*_products(graph)).xreplace(bind))


@pytest.mark.parametrize("name", ROWS)
def test_every_tensor_is_the_one_transformers_5_23_builds(name: str) -> None:
    expected: dict[tuple[str, tuple[int, ...]], int] = {}
    for tensor, shape, copies in ROWS[name]["tensors"]:
        expected[tensor, tuple(shape)] = copies
    found: dict[tuple[str, tuple[int, ...]], int] = {}
    for tensor, shape, copies in model_tensors(of(name)):
        key = (re.sub(r"(?<=\.)\d+(?=\.|$)", "*", tensor), shape)
        found[key] = found.get(key, 0) + copies
    assert found == expected
    assert model_parameters(of(name)) == ROWS[name]["parameters"]


@pytest.mark.parametrize("name", [name for name in ROWS if "flops" in ROWS[name]])
def test_every_product_is_one_torch_counts(name: str) -> None:
    made = lowered(name)
    bind = {**binding(1, 128, 0, rows=128), M: 64}
    found = [n.xreplace(bind) for n in _products(made.graph())]
    if "memory" in made.graphs:
        found += [n.xreplace(binding(1, 64, 0)) for n in _products(made.graphs["memory"])]
    assert sum(map(int, found)) == ROWS[name]["flops"]


def _products(graph: Graph) -> list[Any]:
    return [n for (unit, *_), n in graph.cost.flops.items() if unit == MATRIX]


class TestChoice:
    def test_the_class_a_config_names_chooses_among_the_cards_of_its_type(self) -> None:
        bert = {"model_type": "bert"}
        assert card_for({**bert, "architectures": ["BertLMHeadModel"]}).class_of == "bert"
        assert card_for({**bert, "architectures": ["BertModel"]}).model_type == "bert"
        assert card_for(bert).model_type == "bert"
        assert card_for({"architectures": ["BertLMHeadModel"]}).class_of == "bert"
        assert of("BertLMHeadModel").family == "bert"

    def test_the_card_of_a_class_is_no_model_type(self) -> None:
        with pytest.raises(UnknownNameError, match="bert_decoder"):
            card_for({"model_type": "bert_decoder"})

    def test_every_card_of_a_class_is_one_of_a_type_that_has_a_card(self) -> None:
        cards = builtin_cards()
        for card in cards.values():
            assert not card.class_of or not cards[card.class_of].class_of

    def test_a_bert_that_is_no_decoder_is_lowered_as_one_and_says_so(self) -> None:
        said = "is_decoder is False, but BertLMHeadModel is made for True"
        assert notes(of("BertLMHeadModel"), "M054")[0].startswith(said)
        assert not notes(of("BertLMHeadModel", is_decoder=True), "M054")

    def test_big_bird_decodes_with_full_attention_or_not_at_all(self) -> None:
        said = notes(of("BigBirdForCausalLM", is_decoder=True), "M054")
        assert [s.split(",")[0] for s in said] == ["attention_type is 'block_sparse'"]


class TestGeneration:
    def test_a_bert_that_generates_prefills_and_decodes_over_a_cache(self) -> None:
        made = lowered("BertLMHeadModel")
        assert [c.phase for c in calls(made.schedule)] == ["prefill", "decode"]
        assert {s.value.role for s in storages(made.graph()).values()} == {"weight", "cache"}

    def test_its_head_transforms_one_row_a_sequence(self) -> None:
        """12 unfused layers, h 768, 4h, then a transform and 30522 logits [Devlin 2018, §3]."""
        h, n = 768, 384
        layer = 2 * n * (4 * h * h + 2 * h * 4 * h) + 2 * (2 * h) * n * n
        head = 2 * h * h + 2 * h * 30522
        assert matrix_flops(lowered("BertLMHeadModel").graph(), n) == 12 * layer + head

    def test_what_is_stored_and_not_read_costs_no_traffic(self) -> None:
        made = lowered("BigBirdForCausalLM")
        assert "bert.pooler.weight" in {s.value.storage for s in storages(made.graph()).values()}
        needed = made.graph().wanting(("logits",))
        assert "bert.pooler.weight" not in {s.value.storage for s in storages(needed).values()}


class TestMemory:
    def test_a_decoder_alone_keeps_a_memory_once_and_reads_it_every_step(self) -> None:
        made = lowered("BartForCausalLM")
        assert [(c.graph, c.phase) for c in calls(made.schedule)] == [
            ("memory", "encode"), ("target", "prefill"), ("target", "decode"),
        ]  # fmt: skip
        stores = sum(n for op, n in made.graphs["memory"].walk() if isinstance(op, Store))
        assert stores == 2 * 12

    def test_its_projections_of_the_memory_are_counted_by_hand(self) -> None:
        """12 layers project 1024 to keys and values of 1024 [Lewis 2019, §3.1: bart-large]."""
        made = lowered("BartForCausalLM")
        assert matrix_flops(made.graphs["memory"], 100) == 12 * 2 * 2 * 100 * 1024 * 1024

    def test_the_memory_is_as_long_as_the_prompt_unless_told(self) -> None:
        said = [n.message for n in lowered("TrOCRForCausalLM").origin.notes if n.code == "M055"]
        assert "as long as the prompt" in said[0]
        told = lowered("TrOCRForCausalLM", read_inputs({"memory": "577"}))
        assert {c.bind[M] for c in calls(told.schedule) if c.graph == "target"} == {577}

    def test_a_memory_of_another_width_is_projected_from_it(self) -> None:
        arch = of("TrOCRForCausalLM", cross_attention_hidden_size=768)
        shapes = {t.name: t.shape for t in model_tensors(arch)}
        assert shapes["model.decoder.layers.*.encoder_attn.k_proj.weight"] == (1024, 768)

    @pytest.mark.parametrize("text", ["0", "-1", "many", "3.5", "9" * 30])
    def test_a_memory_no_model_has_is_refused(self, text: str) -> None:
        with pytest.raises(MansardError, match=r"input\.memory"):
            read_inputs({"memory": text})

    def test_a_model_that_reads_no_memory_takes_none(self) -> None:
        with pytest.raises(MansardError, match="reads no memory"):
            lowered("BertLMHeadModel", read_inputs({"memory": "8"}))

"""Memory of each pool, ops of other graphs, and what each technique left, in every form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from tests.roof.test_analyze_output import SCHEMA, strict

import mansard as ms
from mansard.core.units import format_bytes
from mansard.render.lines import View
from mansard.render.markdown import markdown
from mansard.render.terminal import plain

Run = Callable[..., Any]
POOLS = ("analyze", "llama-3.2-1b", "--on", "h100-sxm:2", "-t", "disaggregate", "-n", "16")


@pytest.fixture(scope="module")
def parted() -> ms.Estimate:
    """A model whose prefill and decode have a pool each."""
    return ms.analyze("llama-3.2-1b", on="h100-sxm:2", output=16, techniques=["disaggregate"])


@pytest.fixture(scope="module")
def speculating() -> ms.Estimate:
    """A model with a draft."""
    spec = "speculative-decode{draft=llama-3.2-1b gamma=8 alpha=0.6}"
    return ms.analyze("llama-3.1-8b", on="h100-sxm:2", techniques=["parallel{tp=2}", spec])


def test_json_has_the_memory_of_each_pool_where_there_are_several(run: Run) -> None:
    document = json.loads(run(*POOLS, "-f", "json").out)
    jsonschema.validate(document, strict(SCHEMA))
    pools = document["memory"]["pools"]
    assert set(pools) == {"prefill", "decode"}
    assert max(p["total"] for p in pools.values()) == document["memory"]["total"]
    alone = json.loads(run("analyze", "gpt2", "--on", "h100-sxm", "-f", "json").out)
    assert "pools" not in alone["memory"]


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_draws_a_bar_for_each_pool(parted: ms.Estimate, width: int) -> None:
    text = plain(parted, View(), width)
    assert "a device of the fullest of 2 pools" in text
    for name, pool in parted.memory.pools.items():
        assert f"  {name}  {format_bytes(pool.total)}\n" in text


def test_markdown_has_a_column_for_each_pool(parted: ms.Estimate) -> None:
    text = markdown(parted, View())
    assert "| what | prefill | decode |" in text
    totals = " | ".join(format_bytes(p.total) for p in parted.memory.pools.values())
    assert f"| total | {totals} |" in text


@pytest.mark.parametrize("width", [80, 140])
def test_ops_of_a_draft_say_so_and_messages_show_their_bytes(
    speculating: ms.Estimate, width: int
) -> None:
    decode = plain(speculating, View(top=None), width).partition("Decode")[2].partition("Memory")[0]
    rows = [line for line in decode.splitlines() if "gate_up_proj" in line]
    assert len(rows) == 2
    assert sum(line.startswith("draft: ") for line in rows) == 1
    (message,) = [line for line in decode.splitlines() if "o_proj.all_reduce" in line]
    assert " → " in message


def test_the_best_number_of_proposals_here_is_in_the_report(speculating: ms.Estimate) -> None:
    (effect,) = [e for e in speculating.effects if e.technique.name == "speculative-decode"]
    gamma = int(effect.advice.removeprefix("gamma=").split()[0])

    def tpot(proposals: int) -> float:
        spec = f"speculative-decode{{draft=llama-3.2-1b gamma={proposals} alpha=0.6}}"
        made = ms.analyze("llama-3.1-8b", on="h100-sxm:2", techniques=["parallel{tp=2}", spec])
        return made.tpot or 0.0

    assert min((0, gamma - 1, gamma, gamma + 1, 8), key=tpot) == gamma != 8
    assert effect.advice in " ".join(plain(speculating, width=200).split())


def test_a_draft_that_later_techniques_narrow_and_divide_is_reported_as_it_ends_up() -> None:
    spec = "speculative-decode{draft=llama-3.2-1b}"
    later = ["quantize{weights=int4 on=draft}", "parallel{tp=2 on=draft}"]
    said = []
    for more in ([], later):
        made = ms.analyze(
            "llama-3.1-8b", on="h100-sxm:2", techniques=["parallel{tp=2}", spec, *more]
        )
        said += [n.message for n in made.notes if n.code == "M042"]
    assert "has bf16 weights and is whole on every device" in said[0]
    assert "has bf16 and int4 weights and is divided" in said[1]  # its table is looked up in bf16
    assert ["on=draft" in text for text in said] == [True, False]


@pytest.mark.parametrize("draft", ["medusa", "eagle", "self", "ngram"])
def test_a_draft_that_is_no_model_is_not_said_to_have_an_encoding_of_its_own(draft: str) -> None:
    made = ms.analyze(
        "llama-3.1-8b", on="h100-sxm", techniques=[f"speculative-decode:draft={draft}"]
    )
    (said, *more) = [n.message for n in made.notes if n.code == "M042"] or [""]
    assert not more
    assert ("on=draft" in said) == (draft in ("medusa", "eagle"))


def test_markdown_has_what_each_technique_left(speculating: ms.Estimate) -> None:
    text = markdown(speculating, View())
    table = text.partition("## Techniques")[2]
    assert "| technique | changed | memory | weights | KV cache | activations | ops |" in table
    for phase in ("prefill", "decode"):
        head = f"| {phase} | time | FLOPs | weight bytes | KV bytes | activation bytes | link bytes"
        assert head in table
    assert table.count("| parallel{tp=2} |") == 3

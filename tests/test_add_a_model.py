"""Every block of docs/add-a-model.md is run, and says what is true."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mansard.core.errors import SpecError, UnknownNameError
from mansard.frontends.hf.architecture import Attention
from mansard.frontends.hf.card_file import adding, builtin_cards, parse_cards
from mansard.frontends.hf.feed_forward import Moe
from mansard.frontends.hf.resolve import read_architecture
from mansard.frontends.hf.tensors import parameter_tensors
from mansard.testing.fixtures import install_plugin as install_plugin

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "add-a-model.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
TOML = [text for kind, text in BLOCKS if kind == "toml"]
TINY = {
    "hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 100, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 128, "torch_dtype": "bfloat16",
    "sliding_window": 32,
}  # fmt: skip


def test_every_block_is_of_a_kind_that_is_run_here() -> None:
    assert [kind for kind, _ in BLOCKS] == ["console", "toml", "toml", "toml", "toml", "python"]


def test_the_command_prints_what_is_shown(run: Callable[..., Any]) -> None:
    first, _, shown = BLOCKS[0][1].partition("\n")
    ran = run(*shlex.split(first.removeprefix("$ mansard ")))
    assert (ran.code, ran.out) == (0, shown)


def test_a_family_is_five_lines() -> None:
    assert len(TOML[0].strip().splitlines()) == 5


def test_the_card_says_what_the_page_says_it_does() -> None:
    with adding({"atlas": TOML[0]}):
        arch = read_architecture({"model_type": "atlas", **TINY})
    mixers = [layer.mixer for layer in arch.layers]
    assert all(isinstance(m, Attention) and m.qk_norm == "head" for m in mixers)
    assert [m.window for m in mixers if isinstance(m, Attention)] == [32, 32, 32, None]
    biased = {t.name.split(".")[-2] for t in parameter_tensors(arch) if t.name.endswith(".bias")}
    assert biased == {"q_proj", "k_proj", "v_proj"}


def test_another_class_of_the_family_reads_the_configs_that_name_it() -> None:
    with adding({"atlas": TOML[0] + TOML[3]}):
        whole = read_architecture({"model_type": "atlas", **TINY})
        named = {"model_type": "atlas", "architectures": ["AtlasModel"], **TINY}
        encoder = read_architecture(named)
    assert (whole.head, encoder.head.kind if encoder.head else None) == (None, "none")
    assert not any(layer.attention.causal for layer in encoder.layers)
    assert encoder.family == "atlas"


def test_names_of_its_own_and_a_mixture_are_one_block_more() -> None:
    own = TOML[0] + 'names = "atlas"\n'
    config = {**TINY, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    with adding({"atlas": own + TOML[1] + TOML[2]}):
        plain = {
            t.name for t in parameter_tensors(read_architecture({"model_type": "atlas", **TINY}))
        }
        sparse = read_architecture({"model_type": "atlas_moe", **config})
    assert "model.layers.*.self_attn.out_proj.weight" in plain
    kinds = [isinstance(layer.ffn, Moe) for layer in sparse.layers]
    assert kinds == [False, True, True, True]


def test_the_plugin_ships_a_family_and_a_model(
    run: Callable[..., Any], install_plugin: Callable[..., None]
) -> None:
    module = ModuleType("atlas_plugin")
    exec(BLOCKS[-1][1], vars(module))  # noqa: S102 - the block is the repository's own
    install_plugin("atlas", module, "atlas-dist")
    assert "atlas-tiny" in run("models", "list", "atlas").out
    shown = run("models", "show", "atlas-tiny")
    assert (shown.code, "attention" in shown.out) == (0, True)


def test_what_a_plugin_gets_wrong_is_named() -> None:
    twice = '[card.llama]\nbase = "mistral"\narchitectures = []\n'
    for text, words in (
        (twice, "card.llama"),
        ("[cards.x]\n", "cards"),
        ("[card", "not valid TOML"),
    ):
        with pytest.raises((SpecError, UnknownNameError), match=words), adding({"mine": text}):
            builtin_cards()


def test_cards_average_at_most_12_lines_and_their_evaluator_400() -> None:
    """A card is data: what reads it is counted without blank lines, comments and docstrings."""
    folder = ROOT / "frontends" / "hf"
    lengths = []
    for file in sorted((folder / "cards").glob("*.toml")):
        text = file.read_text("utf-8")
        found = re.findall(r"^\[card\.[^\]]+\]\n(?:(?!\[|#).*\n)*", text, re.M)
        assert len(found) == len(tomllib.loads(text).get("card", {}))
        lengths += [len(block.strip().splitlines()) for block in found]
    assert sum(lengths) / len(lengths) <= 12
    modules = ("defaults.py", "fields.py", "keys.py", "picks.py", "schedule.py")
    assert sum(code_lines((folder / name).read_text("utf-8")) for name in modules) < 400


def test_no_code_asks_for_a_families_name() -> None:
    for file in (ROOT / "frontends" / "hf").rglob("*.py"):
        assert not re.search(r"(if|elif|case) .*model_type *==", file.read_text("utf-8")), file


def code_lines(source: str) -> int:
    """Count lines that are neither blank nor comments nor in docstrings."""
    import ast

    tree = ast.parse(source)
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = source.splitlines()
    return sum(
        1
        for at, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#") and at not in silent
    )


def test_every_card_file_parses_alone_with_the_others_names() -> None:
    assert len(builtin_cards()) > 90
    with pytest.raises(UnknownNameError, match="base"):
        parse_cards('[card.x]\nbase = "y"\n', "mine")

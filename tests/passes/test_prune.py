"""Pruning: exact bits, exact work, and every dimension where it belongs."""

from __future__ import annotations

import random

import pytest
import sympy as sp
from tests.passes.rewriting import applied, flops, model, moved, numbers, plain, stored, through

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError, SpecError
from mansard.core.symbols import B, S
from mansard.ir.footprint import storages
from mansard.ir.program import Program
from mansard.passes.prune import Prune

LLAMA = "llama-2-7b"  # 32 layers, hidden 4096, width 11008, 32 heads of 128, no GQA
GATE = "model.layers.{i}.mlp.gate_proj.weight"


def bits(program: Program, storage: str = GATE) -> sp.Expr:
    return storages(program.graph())[storage].value.encoding.bits


def test_two_of_four_stores_the_published_share() -> None:
    """A 2-bit index for each kept weight [Mishra 2021]."""
    assert bits(through(LLAMA, "prune:pattern=2:4")) / 16 == sp.Rational(5625, 10000)
    for width, share in ((8, "0.625"), (4, "0.75")):
        narrow = through(LLAMA, f"quantize:weights=int{width},prune:pattern=2:4")
        assert bits(narrow) / width == sp.Rational(share)


@pytest.mark.parametrize("pattern", ["1:4", "2:4", "4:8", "6:8"])
def test_the_bits_of_a_pattern_are_those_of_writing_it_out(pattern: str) -> None:
    n, m = map(int, pattern.split(":"))
    blocks, index = 1000, len(f"{m - 1:b}")
    written = sum(16 + index for _ in range(blocks) for _ in random.Random(0).sample(range(m), n))
    assert bits(through(LLAMA, f"prune:pattern={pattern}")) == sp.Rational(written, blocks * m)


def test_a_bitmap_pays_above_six_percent_and_a_column_index_above_half() -> None:
    for sparsity, form, pays in (
        ("0.0625", "bitmap", False), ("0.07", "bitmap", True),
        ("0.5", "csr", False), ("0.51", "csr", True),
    ):  # fmt: skip
        thin = through(LLAMA, f"prune{{sparsity={sparsity} format={form}}}")
        assert bool(bits(thin) < 16) is pays


def test_single_weights_change_no_flop_unless_zeros_are_skipped() -> None:
    before = model(LLAMA)
    assert flops(through(LLAMA, "prune:sparsity=0.75")) == flops(before)
    sparse = through(LLAMA, "prune{sparsity=0.75 compute=sparse}")
    layer = 2 * (4 * 4096**2 + 3 * 4096 * 11008) * 32
    assert plain(flops(before) - flops(sparse)) == sp.Rational(3, 4) * layer * B * S
    assert flops(through(LLAMA, "prune{sparsity=0.75 compute=sparse},merge-qkv")) == flops(sparse)


def test_two_of_four_is_work_for_a_unit_that_has_it() -> None:
    program = through(LLAMA, "prune:pattern=2:4")
    by = {s: n for (_, _, s), n in program.graph().cost.flops.items()}
    assert plain(by["2:4"]) == 2 * (4 * 4096**2 + 3 * 4096 * 11008) * 32 * B * S
    scenario = {"batch": 1, "prompt": 2048, "output": 2}
    sparse, dense = (estimate(p, chip("h100-sxm"), scenario) for p in (program, model(LLAMA)))
    rows = [{r.name: r.time_s for r in a.phases["prefill"].ops} for a in (sparse, dense)]
    assert rows[0]["layers.gate_proj"] < 0.55 * rows[1]["layers.gate_proj"]
    (report,) = applied(LLAMA, "prune:pattern=1:4")[1]
    assert "no matrix unit" in report.notes[0].message


@pytest.mark.parametrize(
    ("option", "removed"),
    [
        ("width=0.5", 2 * 3 * 4096 * 5504 * 32),
        ("heads=0.75", 2 * 4 * 4096 * 1024 * 32),
        ("kv-heads=0.25", 2 * 2 * 4096 * 3072 * 32),
    ],
)
def test_a_smaller_dimension_removes_its_share_of_linear_work(option: str, removed: int) -> None:
    less = plain(flops(model(LLAMA)) - flops(through(LLAMA, f"prune:{option}")))
    attention = plain(numbers(less, B=1, S=1, P=0)) - removed
    assert attention == (4 * 128 * 8 * 32 if option.startswith("heads") else 0)


def test_heads_take_their_cache_with_them_and_the_work_stays_affine() -> None:
    before, after = model(LLAMA), through(LLAMA, "prune:heads=0.5")
    assert plain(stored(after, "cache") * 2 - stored(before, "cache")) == 0
    assert plain(moved(after, "cache") * 2 - moved(before, "cache")) == 0


def test_a_smaller_hidden_size_turns_each_residual() -> None:
    """A matrix of hidden² for each of two sums of a layer [Ashkboos 2024, §3.3]."""
    turned = through(LLAMA, "prune:hidden=0.5")
    bare = through(LLAMA, "prune{hidden=0.5 rotations=false}")
    assert stored(turned, "weight") - stored(bare, "weight") == 2 * 2048**2 * 2 * 32
    whole = 2 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert numbers(flops(model(LLAMA)) - flops(bare), B=1, S=1, P=0) == (
        whole // 2 * 32 + 2 * 2048 * 32000
    )


def test_fewer_layers_are_what_skipping_them_leaves() -> None:
    """One run shortened: a quarter of the layers' work, weights and cache, to the byte."""
    half, skipped = through(LLAMA, "prune:layers=0.25"), through(LLAMA, "skip-layers:layers=24")
    assert plain(flops(half) - flops(skipped)) == 0
    for role in ("weight", "cache", "activation"):
        assert plain(moved(half, role) - moved(skipped, role)) == 0
    head = 2 * 4096 * 32000
    one = {"B": 1, "S": 1, "P": 0}
    whole = numbers(flops(model(LLAMA)), **one) - head
    assert numbers(flops(half), **one) - head == whole / 4
    assert plain(stored(half, "cache") * 4 - stored(model(LLAMA), "cache")) == 0


def test_layers_round_to_whole_periods_and_say_so() -> None:
    """Gemma 2 alternates windows: 26 layers are 13 periods of two."""
    (report,) = applied("gemma-2-2b", "prune:layers=0.5")[1]
    assert [n.message for n in report.notes] == ["prune: layers 26 → 14 (0.5385)"]
    assert report.changed == "12 layers"


def test_fewer_experts_are_what_moe_routing_keeps() -> None:
    mixtral = "mixtral-8x7b-v0.1"
    half, kept = through(mixtral, "prune:experts=0.5"), through(mixtral, "moe-routing:experts=4")
    assert plain(flops(half) - flops(kept)) == 0
    assert plain(moved(half, "weight") - moved(kept, "weight")) == 0
    assert stored(half, "weight") == stored(kept, "weight")
    gone = 32 * 4 * (3 * 4096 * 14336 + 4096)  # four experts a layer and their rows of the router
    assert stored(model(mixtral), "weight") - stored(half, "weight") == 2 * gone
    before = numbers(flops(model(mixtral)), B=1, S=1, P=0)  # top-k stays: the router alone shrinks
    assert before - numbers(flops(half), B=1, S=1, P=0) == 32 * 2 * 4 * 4096


def test_fewer_experts_than_a_token_goes_to_are_refused() -> None:
    with pytest.raises(MansardError, match="a token goes to 2") as error:
        through("mixtral-8x7b-v0.1", "prune:experts=0.1")
    assert "0.25" in str(error.value.hint)


def test_a_share_is_rounded_and_the_report_says_so() -> None:
    (report,) = applied(LLAMA, "prune:width=0.7")[1]
    assert [n.message for n in report.notes] == ["prune: width 11008 → 7706 (0.7)"]


@pytest.mark.parametrize("name", ["gemma-2-2b", "qwen3-30b-a3b", "deepseek-v2-lite", "gpt2"])
def test_pruning_and_quantizing_commute(name: str) -> None:
    narrow, small = "quantize{weights=int4 group=64}", "prune{width=0.5 heads=0.5}"
    one, other = through(name, f"{narrow},{small}"), through(name, f"{small},{narrow}")
    assert flops(one) == flops(other)
    for role in ("weight", "cache", "activation"):
        assert moved(one, role) == moved(other, role)


def test_golden_text_of_a_pruned_projection() -> None:
    text = str(through(LLAMA, "prune{pattern=2:4 width=0.5}").graph())
    assert (
        "weight %model.layers.{i}.mlp.gate_proj.weight: fp16~1/2i2!2:4(fp16)[5504, 4096]" in text
        or "weight %model.layers.{i}.mlp.gate_proj.weight: bf16~1/2i2!2:4(bf16)[5504, 4096]" in text
    )


@pytest.mark.parametrize(
    "options",
    [{"sparsity": 1.0}, {"pattern": "4:2"}, {"pattern": "two"}, {"compute": "sparse"},
     {"sparsity": 0.5, "pattern": "2:4"}, {"width": 0.0}, {"format": "coo"},
     {"layers": 999.0}, {"layers": 0.0}, {"experts": -1.0}, {"kv_heads": 0.0},
     {"sparsity": float("nan")}, {"sparsity": -0.1}, {"pattern": "0:4"}, {"pattern": "4:4"}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(SpecError) as error:
        Prune(**options)  # type: ignore[arg-type]
    assert error.value.hint


def test_kv_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(MansardError, match="cannot share"):
        through("llama-3.1-8b", "prune:kv-heads=0.4")


def test_nothing_asked_is_nothing_done() -> None:
    assert through(LLAMA, "prune") is model(LLAMA)


def test_sparse_weights_stay_sparse_when_they_are_quantized() -> None:
    """2:4 in int4: two of four weights, 4 + 2 bits each - and work for the unit that has it."""
    for order in (
        "quantize:weights=int4,prune:pattern=2:4",
        "prune:pattern=2:4,quantize:weights=int4",
    ):
        program = through(LLAMA, order)
        assert bits(program) == 3
        assert "2:4" in {structure for _, _, structure in program.graph().cost.flops}


def test_fewer_experts_and_narrow_weights_commute() -> None:
    """What decodes an expert follows how many there are: less often each, a larger share read."""
    narrow, few = "quantize{weights=int4 group=64}", "prune:experts=0.5"
    mixtral = "mixtral-8x7b-v0.1"
    one, other = through(mixtral, f"{narrow},{few}"), through(mixtral, f"{few},{narrow}")
    for unit in ("matrix", "vector"):
        assert flops(one, unit) == flops(other, unit)
    assert moved(one, "weight") == moved(other, "weight")


def test_a_model_with_a_scalar_is_pruned_like_any_other() -> None:
    program = through("clip-vit-base-patch16", "prune{width=0.5}")
    assert flops(program) != flops(model("clip-vit-base-patch16"))

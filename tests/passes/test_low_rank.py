"""Two thin products: exact work and weights, and only where that is a gain."""

from __future__ import annotations

import pytest
from tests.passes.rewriting import applied, flops, model, moved, plain, stored, through

from mansard.core.errors import SpecError
from mansard.core.symbols import B, S
from mansard.passes.low_rank import LowRank

LLAMA = "llama-2-7b"


def test_work_and_weights_are_those_of_the_rank() -> None:
    before, after = model(LLAMA), through(LLAMA, "low-rank{rank=512 only=*_proj}")
    whole = 4 * 4096 * 4096 + 3 * 4096 * 11008
    thin = 512 * (4 * (4096 + 4096) + 3 * (4096 + 11008))
    assert plain(flops(before) - flops(after)) == 2 * 32 * (whole - thin) * B * S
    assert stored(before, "weight") - stored(after, "weight") == 2 * 32 * (whole - thin)


def test_it_gains_exactly_below_the_break_even_rank() -> None:
    """4096·4096/(4096 + 4096) = 2048: at it, both cost the same and the layer stays whole."""
    only = "only=[q_proj]"
    assert through(LLAMA, f"low-rank{{rank=2048 {only}}}") is model(LLAMA)
    below = through(LLAMA, f"low-rank{{rank=2047 {only}}}")
    assert plain(flops(model(LLAMA)) - flops(below)) == 2 * 32 * 8192 * B * S
    assert applied(LLAMA, f"low-rank{{rank=2048 {only}}}")[1][0].notes[0].code == "M022"


@pytest.mark.parametrize("name", [LLAMA, "gemma-2-2b", "qwen3-30b-a3b", "deepseek-v2-lite"])
def test_it_commutes_with_quantization(name: str) -> None:
    narrow, thin = "quantize{weights=int4 group=32}", "low-rank:keep=0.5"
    one, two = through(name, f"{narrow},{thin}"), through(name, f"{thin},{narrow}")
    assert flops(one) == flops(two)
    assert flops(one, "vector") == flops(two, "vector")
    for role in ("weight", "activation"):
        assert plain(moved(one, role) - moved(two, role)) == 0


def test_golden_text_of_a_factored_projection() -> None:
    text = str(through(LLAMA, "low-rank{rank=64 only=o_proj}").graph())
    assert "self_attn.o_proj.weight.down: " in text
    assert "%layers.o_proj.low_rank" in text


@pytest.mark.parametrize("options", [{}, {"rank": 8, "keep": 0.5}, {"keep": 1.5}, {"rank": -1}])
def test_rank_or_share_is_given_once(options: dict[str, float]) -> None:
    with pytest.raises(SpecError) as error:
        LowRank(**options)  # type: ignore[arg-type]
    assert error.value.hint

"""Values of axes as text: what is read, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mansard.core.errors import MansardError
from mansard.query.sweeps.axes import read_axis
from mansard.query.sweeps.spans import AMOUNTS, SIZES, WORDS, expand


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", [8]),
        ("1,2,4", [1, 2, 4]),
        ("1k, 8k", [1024, 8192]),
        ("1..4", [1, 2, 3, 4]),
        ("1..10+3", [1, 4, 7, 10]),
        ("1..100x3", [1, 3, 9, 27, 81]),
        ("1k..8kx2", [1024, 2048, 4096, 8192]),
        ("4..4", [4]),
        ("1..8x1.5", [1, 2, 3, 5, 8]),
        ("linspace(1,9,3)", [1, 5, 9]),
        ("linspace(1, 1k, 2)", [1, 1024]),
        ("1..3,16,1..2", [1, 2, 3, 16]),
    ],
)
def test_sizes_are_read_as_the_manual_says(text: str, values: list[int]) -> None:
    assert list(expand(text, SIZES)) == values


def test_quantities_keep_their_units_and_options_their_types() -> None:
    found = expand("2TB/s,4TB/s", AMOUNTS)
    assert [(v.text, v.value) for v in found] == [("2TB/s", 2e12), ("4TB/s", 4e12)]
    assert [v.value for v in expand("linspace(1TB/s,3TB/s,3)", AMOUNTS)] == [1e12, 2e12, 3e12]
    assert list(expand("bf16,fp8,8,0.5,true", WORDS)) == ["bf16", "fp8", 8, 0.5, True]
    assert list(expand("0.5..0.7+0.1", WORDS)) == [0.5, 0.6, 0.7]
    assert list(expand("../a,b..c", WORDS)) == ["../a", "b..c"]


@pytest.mark.parametrize(
    ("axis", "text", "said"),
    [
        ("batch", "512..1", "backwards"),
        ("batch", "linspace(9,1,3)", "backwards"),
        ("batch", "", "no values"),
        ("batch", "1,,2", "empty value"),
        ("batch", "1..9+0", "steps by 0"),
        ("batch", "1..9+-1", "negative"),
        ("batch", "1..9x1", "never ends"),
        ("batch", "1..9x0.5", "never ends"),
        ("batch", "0..4", "below 1"),
        ("batch", "0", "below 1"),
        ("batch", "1..1000000000000", "1,000,000,000,000 values"),
        ("batch", "linspace(1,10,10^12)", "has 1,000,000,000,000 values, more than 10,000,000"),
        ("batch", "1..x", "range"),
        ("batch", "__import__('os')", "cannot read"),
        ("batch", "9" * 400, "cannot read"),
        ("batch", "1," * 9000, "characters"),
        ("batch", "1.5", "whole number"),
        ("hardware.memory.bandwidth", "2TB/s..8TB/s", "no step"),
        ("hardware.memory.bandwidth", "8TB/s..2TB/s+1TB/s", "backwards"),
        ("on", "h100-sxm,,l40s", "empty name"),
        ("batch", [], "no values"),
        ("batch", [1, 2.5], "whole number"),
        ("batch", range(9, 1, -1), "backwards"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(axis: str, text: object, said: str) -> None:
    with pytest.raises(MansardError, match=said) as caught:
        read_axis(axis, text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("axis", "near"),
    [
        ("bacth", "batch"),
        ("promt", "prompt"),
        ("quantise.weights", "quantize"),
        ("quantize.wieghts", "weights"),
        ("harware.memory.bandwidth", "hardware.memory.bandwidth"),
    ],
)
def test_an_unknown_axis_is_answered_with_near_names(axis: str, near: str) -> None:
    with pytest.raises(MansardError) as caught:
        read_axis(axis, "1,2")
    assert near in str(caught.value.hint)


@given(st.text(max_size=60))
def test_any_text_is_values_or_an_error_with_a_hint(text: str) -> None:
    for kind in (SIZES, AMOUNTS, WORDS):
        hint = "values"
        try:
            expand(text, kind)
        except MansardError as error:
            hint = error.hint or ""
        assert hint, text

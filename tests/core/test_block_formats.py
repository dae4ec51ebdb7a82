"""Block formats store the bits their standards derive from the block's layout."""

from __future__ import annotations

import pytest
import sympy as sp

from mansard.core.dtypes import FORMATS, parse_encoding


@pytest.mark.parametrize(
    ("name", "bits"),
    [("q2_k", "2.625"), ("q3_k", "3.4375"), ("q4_k", "4.5"), ("q5_k", "5.5"), ("q6_k", "6.5625"),
     ("q8_0", "8.5"), ("mxfp8", "8.25"), ("mxfp6", "6.25"), ("mxfp4", "4.25"), ("nvfp4", "4.5")],
)  # fmt: skip
def test_a_format_stores_its_published_bits(name: str, bits: str) -> None:
    assert FORMATS[name].bits == sp.Rational(bits)
    assert parse_encoding(str(FORMATS[name])) == FORMATS[name]


@pytest.mark.parametrize(
    ("name", "size", "blocks", "field_bits", "shared"),
    [("q2_k", 84, 16, 8, 4), ("q3_k", 110, 16, 6, 2), ("q4_k", 144, 8, 12, 4),
     ("q5_k", 176, 8, 12, 4), ("q6_k", 210, 16, 8, 2)],
)  # fmt: skip
def test_a_super_block_has_the_bytes_of_its_struct(
    name: str, size: int, blocks: int, field_bits: int, shared: int
) -> None:
    """256 weights, each block's scale (and minimum), and the fp16 numbers all of them share."""
    width = int(name[1])
    assert size == (256 * width + blocks * field_bits) // 8 + shared
    assert FORMATS[name].bits * 256 == size * 8

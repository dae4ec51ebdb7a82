"""Bits per element, exact; and the text form of an encoding."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from mansard.core.dtypes import BITS, FORMATS, Encoding, parse_encoding, stored, widest
from mansard.core.errors import MansardError, SpecError, UnknownNameError

half = sp.Rational(1, 2)


@pytest.mark.parametrize(
    ("encoding", "bits"),
    [
        (stored("int4", "fp16", group=128), sp.Rational(33, 8)),  # 4 + 16/128
        (FORMATS["mxfp4"], sp.Rational(17, 4)),  # 4 + 8/32
        (FORMATS["nvfp4"], sp.Rational(9, 2)),  # 4 + 8/16
        (Encoding("fp16", density=half, index_bits=2, structure="2:4"), 9),  # (16 + 2)/2
        (Encoding("fp16", density=half, bitmap=True), 9),  # 16/2 + 1
        # SpQR: 1 in 100 at 16 + 16 bits besides, all of them at 3 + 6/16 [Dettmers 2023].
        (
            Encoding("int3", group=16, scale_bits=3, zero_bits=3,
                     exceptions=((sp.Rational(1, 100), Encoding("fp16", index_bits=16)),)),
            sp.Rational(54, 16) + sp.Rational(32, 100),
        ),
    ],
)  # fmt: skip
def test_bits_per_element_are_exact(encoding: Encoding, bits: sp.Expr) -> None:
    assert encoding.bits == bits


shares = st.fractions(0, 1, max_denominator=16).filter(bool).map(sp.Rational)
plain = st.builds(Encoding, st.sampled_from(list(BITS)))
encodings = st.builds(
    Encoding,
    st.sampled_from(list(BITS)),
    of=st.sampled_from(["", "bf16", "fp16"]),
    group=st.sampled_from([0, 32, 128]),
    density=shares,
    index_bits=st.integers(0, 16),
    bitmap=st.booleans(),
    structure=st.sampled_from(["dense", "2:4"]),
    exceptions=st.lists(st.tuples(shares, plain), max_size=2).map(tuple),
)


@given(encodings)
def test_the_text_of_an_encoding_reads_back_equal(encoding: Encoding) -> None:
    again = parse_encoding(str(encoding))
    assert (again, again.bits) == (encoding, encoding.bits)


@pytest.mark.parametrize(
    "text", ["", "bf16 ", "int4g128", "int4+1/2@{fp16", "int4(bf16", "fp16~0/0"]
)
def test_what_is_no_encoding_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        parse_encoding(text)


def test_an_unknown_dtype_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_encoding("bf17")
    assert "bf16" in str(caught.value.hint)


def test_outliers_within_outliers_without_end_are_refused() -> None:
    with pytest.raises(MansardError):
        parse_encoding("int4" + "+1/2@{int4" * 5000 + "}" * 5000)


def test_what_arithmetic_makes_of_an_encoding_is_plain_and_decoded() -> None:
    assert FORMATS["nvfp4"].plain == Encoding("bf16")
    assert Encoding("int8").plain.is_plain
    assert not FORMATS["nvfp4"].is_plain


def test_the_widest_dtype_holds_every_operand() -> None:
    assert widest("int4", "bf16") == "bf16"
    assert widest("fp8", "fp32", "bf16") == "fp32"

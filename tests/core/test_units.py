from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mansard.core import units
from mansard.core.errors import SpecError


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("80GB", "bytes", 80_000_000_000),
        ("80GiB", "bytes", 85_899_345_920),
        ("80 gib", "bytes", 85_899_345_920),
        ("400Gbit", "bytes", 50_000_000_000),
        ("3.35TB/s", "bytes/s", 3_350_000_000_000),
        ("3,350 GB/s", "bytes/s", 3_350_000_000_000),
        ("3_350 GB / s", "bytes/s", 3_350_000_000_000),
        ("3 350 GB/s", "bytes/s", 3_350_000_000_000),
        ("989.4 TFLOPS", "flop/s", 989_400_000_000_000),
        ("989.4 TFLOP/s", "flop/s", 989_400_000_000_000),
        ("1979 TOPS", "flop/s", 1_979_000_000_000_000),
        ("1.5 tflops", "flop/s", 1_500_000_000_000),
        ("20ms", "time", 0.02),
        ("150us", "time", 0.00015),
        ("150µs", "time", 0.00015),
        ("150μs", "time", 0.00015),
        ("2min", "time", 120),
        ("1k", "tokens", 1024),
        ("1K", "tokens", 1024),
        ("1m", "tokens", 1_048_576),
        ("1.5k", "tokens", 1536),
        ("2,048", "tokens", 2048),
        ("700W", "power", 700),
        ("23 kW", "power", 23_000),
        ("1830 MHz", "frequency", 1_830_000_000),
        ("$2.50/h", "dollars/h", 2.5),
        ("2.5 $/h", "dollars/h", 2.5),
        ("5/s", "1/s", 5),
        ("5 tok/s", "1/s", 5),
        ("1.5 ktok/s", "1/s", 1500),
        ("300 req/min", "1/s", 5),
        ("1e3", "number", 1000),
        ("-0.5", "number", -0.5),
        ("50%", "number", 0.5),
        ("0", "time", 0),
    ],
)
def test_text_is_read_in_si_base_units(text: str, dimension: str, value: float) -> None:
    assert units.parse(text, dimension) == value


def test_an_integral_quantity_is_an_exact_integer() -> None:
    assert type(units.parse("0.1 GB", "bytes")) is int
    assert units.parse("1978.9 TFLOPS", "flop/s") == 1_978_900_000_000_000
    assert type(units.parse("16 ms", "time")) is float


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "GB",
        "nan GB",
        "inf GB",
        "-inf",
        "1e999 GB",
        "9" * 500,
        "1" + "0" * 40 + " GB",
        "--5 GB",
        "5..0 GB",
        "3,35 TB",
        "1_0 GB",
        "٣ GB",
        "0x10 GB",
        "5 GB GB",
        "-80 GB",
        ".GB",
    ],
)
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        units.parse(text, "bytes")
    assert caught.value.hint == "write it like 80GB (decimal) or 80GiB"
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        ("20GB", "time", "'20GB' is bytes, not time"),
        ("20ms", "bytes", "'20ms' is time, not bytes"),
        ("80GB", "bytes/s", "'80GB' is bytes, not bytes/s"),
        ("5 TFLOPS", "power", "'5 TFLOPS' is flop/s, not power"),
        ("80", "bytes", "'80' has no unit: bytes needs one"),
        ("80Gb", "bytes", "'80Gb' is ambiguous: GB are bytes, Gbit are bits"),
        ("5 parsec", "time", "'5 parsec' has an unknown unit 'parsec' for time"),
        ("$5", "bytes", "'$5' is a price, not bytes"),
        ("1.0001k", "tokens", "'1.0001k' is not a whole number of tokens"),
    ],
)
def test_the_error_says_what_is_wrong(text: str, dimension: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        units.parse(text, dimension)
    assert caught.value.message == message


def test_a_dimension_that_does_not_exist_is_named() -> None:
    with pytest.raises(SpecError, match="'length'"):
        units.parse("5 m", "length")


def test_a_bare_number_counts_in_base_units_only_where_that_is_asked_for() -> None:
    assert units.parse("0.02", "time", bare=True) == 0.02
    with pytest.raises(SpecError, match="no unit"):
        units.parse("0.02", "time")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.00 k"),
        (999.9996, "1.00 k"),
        (999.4, "999"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (-1500, "-1.50 k"),
        (0.0123, "0.0123"),
        (None, "-"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_counts_show_three_digits_and_roll_over_to_the_next_prefix(
    value: float | None, text: str
) -> None:
    assert units.format_count(value) == text


def test_each_quantity_shows_its_unit() -> None:
    assert units.format_bytes(85_899_345_920) == "85.9 GB"
    assert units.format_bytes(999_999_999) == "1.00 GB"
    assert units.format_bytes(0) == "0 B"
    assert units.format_flops(2.5e9) == "2.50 GFLOP"
    assert units.format_flops(989.4e12, per_second=True) == "989 TFLOP/s"
    assert units.format_rate(3.35e12) == "3.35 TB/s"
    assert units.format_rate(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (1e-12, "0.001 ns"),
        (2.5e-9, "2.50 ns"),
        (999.9e-6, "1.00 ms"),
        (0.0123, "12.3 ms"),
        (59.94, "59.9 s"),
        (59.99, "1.00 min"),
        (3599.9, "1.00 h"),
        (None, "-"),
        (math.inf, "inf"),
    ],
)
def test_times_use_the_largest_fitting_unit(seconds: float | None, text: str) -> None:
    assert units.format_time(seconds) == text


@given(st.integers(0, 10**18))
def test_whole_bytes_survive_being_written_and_read(size: int) -> None:
    assert units.parse(f"{size} B", "bytes") == size
    assert units.parse(f"{size:,} B", "bytes") == size


@given(st.floats(1e-9, 1e20))
def test_a_shown_size_is_within_half_a_digit_of_the_size(size: float) -> None:
    shown = units.format_bytes(size)
    assert units.parse(shown, "bytes") == pytest.approx(size, rel=5.1e-3)


@given(st.text(max_size=80), st.sampled_from(["bytes", "time", "tokens", "number", "1/s"]))
def test_any_text_is_a_finite_number_or_a_spec_error(text: str, dimension: str) -> None:
    try:
        value = units.parse(text, dimension)
    except SpecError:
        value = 0
    assert math.isfinite(value)

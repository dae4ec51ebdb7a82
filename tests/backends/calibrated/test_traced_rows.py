"""Long lists are evaluated by functions traced from forms; they say what the forms say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.backends.calibrated.test_compiled import CASES, apart, compiled

from mansard.backends.calibrated.columns import points_of
from mansard.backends.calibrated.kernel_rows import added_rows
from mansard.backends.calibrated.knees import ERROR, knee, polynomial_of, whole_power
from mansard.backends.calibrated.traced_numbers import UndecidedError
from mansard.backends.calibrated.traced_rows import WORTH
from mansard.backends.calibrated.tracer import Tracer
from mansard.backends.engine.polynomials import Space, SpaceAtom
from mansard.core.symbols import batch, prompt

NAMES = ("ttft", "tpot", "latency", "tpot_low", "ttft_high", "throughput")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_long_list_is_its_short_parts(case: Any) -> None:
    engine = compiled(*case)
    random, count = np.random.default_rng(1), WORTH + 500
    columns = (
        random.integers(1, 300, count), random.integers(1, 9000, count),
        random.integers(2, 1500, count),
    )  # fmt: skip
    whole = engine.figures(*columns, NAMES)
    for part in (slice(0, 700), slice(count - 700, count)):
        short = engine.figures(*(c[part] for c in columns), NAMES)
        for name in NAMES:
            assert apart(whole[name][part], short[name]) < 1e-12, name


@pytest.mark.parametrize("sharp", [1.0, 1.0003, 1.4, 2.0, 3.19, 5.1, 10.0, 12.0])
def test_a_knee_that_is_looked_up_is_the_formula(sharp: float) -> None:
    ratio = np.concatenate([np.linspace(0, 1, 20_001), np.geomspace(1e-300, 1.0, 20_001)])
    expected = np.exp(np.log1p(ratio**sharp) / sharp)
    assert np.abs(knee(ratio, sharp) / expected - 1).max() < ERROR
    plain = polynomial_of(sharp, 0.01, 0.012)
    if plain is not None:
        few = np.linspace(0.01, 0.012, 999)
        found = np.polynomial.polynomial.polyval(few, plain)
        assert np.abs(found / np.exp(np.log1p(few**sharp) / sharp) - 1).max() < ERROR


def test_a_knee_of_one_ratio_is_a_number() -> None:
    assert polynomial_of(3.0, 0.5, 0.5) == pytest.approx((1.125 ** (1 / 3),))


def test_powers_of_whole_numbers_are_looked_up() -> None:
    whole = np.array([0.0, 1.0, 2.0, 1000.0])
    assert whole_power(whole, 0.3, 1000.0) == pytest.approx(whole**0.3, rel=1e-15)


@pytest.mark.parametrize("case", ["ranks", "experts", "windows", "narrow all"])
def test_a_table_of_tokens_is_what_the_forms_say_of_each_number(case: str) -> None:
    segment = compiled(*CASES[case])._segments[0]
    space, rows = segment.space, segment.of_tokens.rows
    assert rows
    most = np.array([1.0, 4000.0]), np.array([1.0, 1024.0])
    assert segment.of_tokens.table(*most, False, 10) is None  # few scenarios are sooner evaluated
    table = segment.of_tokens.table(*most, True, 10**6)
    random = np.random.default_rng(2)
    edges = [1, 64, 65, 128, 129, 131_071, 131_072, 131_073, 131_200, 131_201, 4_096_000]
    tokens = np.array([*edges, *random.integers(1, 4_096_000, 2000)], dtype=float)
    found = table.at(tokens)
    with np.errstate(all="ignore"):
        for few in (tokens <= 128, tokens > 128):  # one kernel serves each
            expected = added_rows(rows, points_of(space, tokens[few], 1.0, np.nan), True)
            for key, values in expected.items():
                if key in found:
                    assert apart(found[key][few], np.broadcast_to(values, few.sum())) < 1e-12, key


def test_what_ranges_decide_is_decided_and_what_they_do_not_is_said() -> None:
    space = Space()
    tracer = Tracer(space, {batch: (1.0, 64.0), prompt: (100.0, 9000.0)}, {})
    b, p = (tracer.number(space.atom(SpaceAtom("symbol", s))) for s in (batch, prompt))
    assert tracer.maximum(b, p).terms == p.terms
    assert tracer.maximum(b * p, b * 100.0).terms == (b * p).terms  # what they share is positive
    assert (b < p) is True
    assert (b * p) / (b * p) == 1.0
    assert tracer.minimum(p, 8192.0).terms != p.terms
    with pytest.raises(UndecidedError, match="depends on the scenario"):
        bool(p > 8192.0)

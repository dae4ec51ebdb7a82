"""An engine that stands for others, the gates kind by kind, and first tokens beside batches."""

from __future__ import annotations

import pytest

import mansard as ms
from mansard.backends.calibrated.band import Band
from mansard.backends.calibrated.first_tokens import Figure, StaticBatch, first_tokens
from mansard.backends.calibrated.gates import gates
from mansard.backends.calibrated.judge import Judged
from mansard.backends.calibrated.lookup import find, one_for_all
from mansard.backends.calibrated.parameters import Key
from mansard.render.estimate_words import rests_on


def asked(chip: str, framework: str | None = None) -> ms.Estimate:
    return ms.analyze(
        "qwen2.5-0.5b",
        on=chip,
        prompt=64,
        output=4,
        estimate="calibrated",
        set={"framework": framework} if framework else {},
    )


@pytest.mark.parametrize(
    ("chip", "framework", "said"),
    [
        ("a100-sxm-80gb", None, "for trtllm, the only engine measured on this chip, its band"),
        ("a100-sxm-80gb", "trtllm", "for trtllm: "),
        ("a100-sxm-40gb", None, "for the median of engines: "),
        ("a100-sxm-40gb", "sglang", "for sglang, whose engine was not measured: the median of"),
        ("mi250", None, "for vllm, the only engine measured on this chip that serves several"),
    ],
)
def test_a_calibrated_answer_names_the_engine_it_is_of(
    chip: str, framework: str | None, said: str
) -> None:
    assert said in rests_on(asked(chip, framework))


def test_an_engine_that_stands_for_all_says_whose_kernels_count_and_which_may_be_asked() -> None:
    said = rests_on(asked("a100-sxm-80gb"))
    assert "around kernels of all frameworks (--set framework=trtllm has its kernels alone" in said
    named = said.partition("kernels alone; ")[2].partition(" from siblings)")[0].split(" and ")
    assert "vllm" in named
    for engine in named:
        assert f"for {engine}: " in rests_on(asked("a100-sxm-80gb", engine))


def test_the_band_of_one_engine_for_all_holds_the_others_of_the_family() -> None:
    key, chip = Key("engine"), "a100-sxm-80gb"
    alone = find(key, chip, "ampere")
    assert alone.one.key.framework == "trtllm"
    family = find(key, "a100-pcie-80gb", "ampere").one
    wide = one_for_all(alone, "", chip, "ampere").one
    assert wide.high == family.high > alone.one.high
    assert wide.low == min(alone.one.low, family.low)
    assert wide.first is not None
    assert wide.first[1] > alone.one.of_first[1]
    assert one_for_all(alone, "trtllm", chip, "ampere") == alone
    both, own = (asked(chip, name).calibrated for name in (None, "trtllm"))
    assert both is not None
    assert own is not None
    assert both.bands["tpot_s"].high > 1.1 * own.bands["tpot_s"].high


def judged(form: str, rows: int, below: int, resident: int) -> Judged:
    key = Key(form)
    return Judged("a100", key, rows, 0.1, 0.1, 0.5, 0.8, below, resident, 0)


def test_the_gate_of_the_bound_is_said_kind_by_kind() -> None:
    some = [judged("gemm", 9000, 10, 10), judged("scan", 100, 20, 5)]
    text = gates(some, [], {}, [])
    assert "| 1 bound ≤ measured, all rows | 99 % | 99.8 % | pass, but **fails** for linear" in text
    assert "| 1 by kind, GEMM | 99 % | 100.0 % (10 of 9000 below, 10 on chip) | pass |" in text
    scan = (
        "| 1 by kind, linear attention, SSM | 99 % | 85.0 % (20 of 100 below, 5 on chip) | **fail"
    )
    assert scan in text


def test_a_first_token_stands_beside_its_batch_with_error_and_coverage() -> None:
    first = Figure(1.0, 0.5, 2.0, Band(1.5, 2.5))
    whole = Figure(20.0, 10.0, 22.0, Band(18.0, 25.0))
    text = first_tokens([StaticBatch("a100", "vllm", "llama", first, whole)])
    assert "first token: 100.0 % off in the mean (the bound 50.0 %), 0 of 1 rows inside" in text
    assert "Whole batch: 10.0 % off in the mean (the bound 50.0 %), 1 of 1 rows inside" in text
    assert "| 1 | 0.5 | 2 | 1.5 - 2.5 | **out** | 20 | 10 | 22 | 18 - 25 | in |" in text

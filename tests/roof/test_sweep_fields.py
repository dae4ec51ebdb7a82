"""Fields of the chip as axes of a sweep: one table for all their values, or one for each."""

from __future__ import annotations

import pytest

import mansard as ms
from mansard.backends.engine.compiled import Compiled
from mansard.query.sweeps import cases
from mansard.query.sweeps.axes import read_axes
from mansard.query.sweeps.cases import laid_out
from mansard.query.sweeps.fields import OneByOne
from mansard.query.sweeps.programs import Engines

AXES = {
    "hardware.memory.bandwidth": "1TB/s..8TB/sx2",
    "batch": "1,8,300",
    "hardware.peak.matrix.bf16": "200TFLOP/s,2PFLOP/s",
    "hardware.memory.capacity": "20GB,80GB",
}


def asked(**more: object) -> ms.Study:
    return ms.study("llama-3.1-8b", on="h100-sxm", prompt=1024, output=32, **more)  # type: ignore[arg-type]


def test_values_of_a_field_share_one_table_and_equal_analyze_at_each() -> None:
    layout = laid_out(asked(), read_axes(AXES))
    assert (layout.cases, layout.points) == (1, 48)
    assert isinstance(Engines().of(layout.case(0)), Compiled)
    for row in asked().sweep(AXES).rows[::7]:
        units = {"bandwidth": "B/s", "bf16": "FLOP/s", "capacity": "B"}
        changed = {k: f"{row[k]}{units[k.rpartition('.')[2]]}" for k in AXES if k != "batch"}
        one = ms.analyze("llama-3.1-8b", on="h100-sxm", prompt=1024, output=32,
                         batch=row["batch"], set=changed)  # fmt: skip
        assert row["ttft_s"] == pytest.approx(one.ttft, rel=1e-12)
        assert row["tpot_s"] == pytest.approx(one.tpot, rel=1e-12)
        assert row["fits"] == one.memory.fits
        assert row["capacity"] == one.memory.capacity


@pytest.mark.parametrize("reduced", [{"pareto": "throughput,tpot"}, {"top": 5, "best": "tpot"}, {}])
def test_one_table_and_one_a_value_give_the_same_rows(
    reduced: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = asked().sweep(AXES, **reduced)  # type: ignore[arg-type]
    monkeypatch.setattr(cases, "is_field", lambda axis, study: False)
    apart = asked().sweep(AXES, **reduced)  # type: ignore[arg-type]
    assert len(together.rows) == len(apart.rows) > 0
    for a, b in zip(together.rows, apart.rows, strict=True):
        assert a == {k: pytest.approx(v, rel=1e-12) if type(v) is float else v
                     for k, v in b.items()}  # fmt: skip


def test_a_schedule_that_is_stepped_is_priced_value_by_value() -> None:
    def study(**more: object) -> ms.Study:
        return ms.study("qwen2.5-0.5b", on="h100-sxm:2", prompt=256, output=4,
                        techniques=["disaggregate"], **more)  # type: ignore[arg-type]  # fmt: skip

    axes = {"hardware.memory.bandwidth": "2TB/s,4TB/s", "batch": "1,2"}
    layout = laid_out(study(), read_axes(axes))
    assert isinstance(Engines().of(layout.case(0)), OneByOne)
    rows = study().sweep(axes).rows
    assert len(rows) == 4
    for row in rows:
        rate = {"hardware.memory.bandwidth": f"{row['hardware.memory.bandwidth']}B/s"}
        one = study(batch=row["batch"], set=rate).analyze()
        assert row["tpot_s"] == pytest.approx(one.tpot, rel=1e-12)


JOINED = {
    "hardware.link.per_direction": "50GB/s,450GB/s,900GB/s",
    "hardware.link.latency": "0us,2us,30us",
    "network.per_direction": "12GB/s,100GB/s",
    "network.latency": "1us,20us",
    "batch": "1,64",
}
WRITTEN = {"per_direction": "B/s", "latency": "s"}


@pytest.mark.parametrize("network", [{}, {"network": "ib-ndr400"}])
def test_links_and_networks_share_one_table_and_equal_analyze_at_each(
    network: dict[str, str],
) -> None:
    """Two nodes of four; a network that no name is given of is the one its fields state."""

    def study(**more: object) -> ms.Study:
        return ms.study("mixtral-8x7b-v0.1", on="h100-sxm:2x4", prompt=256, output=16,
                        techniques=["parallel{tp=4 dp=2 ep=8}"], **more)  # type: ignore[arg-type]  # fmt: skip

    layout = laid_out(study(set=network), read_axes(JOINED))
    assert (layout.cases, layout.points) == (1, 72)
    assert isinstance(Engines().of(layout.case(0)), Compiled)
    seen = set()
    for row in study(set=network).sweep(JOINED).rows[::5]:
        changed = {k: f"{row[k]!r}{WRITTEN[k.rpartition('.')[2]]}" for k in JOINED if "." in k}
        one = study(batch=row["batch"], set={**network, **changed}).analyze()
        assert row["ttft_s"] == pytest.approx(one.ttft, rel=1e-12)
        assert row["tpot_s"] == pytest.approx(one.tpot, rel=1e-12)
        seen.add(row["tpot_s"])
    assert len(seen) == 15


def test_values_of_a_link_no_file_states_suffice() -> None:
    """The Apple M2 Ultra states no link to other chips, so every value of the axis states one."""
    swept = ms.study("qwen2.5-0.5b", on="apple-m2-ultra:2", prompt=128, output=4).sweep(
        {"hardware.link.per_direction": "16GB/s,32GB/s"})  # fmt: skip
    slow, fast = (row["ttft_s"] for row in swept.rows)
    assert slow > fast


def test_a_network_without_its_rate_is_refused() -> None:
    asked = ms.study("qwen2.5-0.5b", on="h100-sxm:2x1", set={"network.latency": "2us"})
    with pytest.raises(ms.MansardError, match=r"network\.latency is given, but no network"):
        asked.analyze()
    with pytest.raises(ms.MansardError, match="no field of a network"):
        ms.study("qwen2.5-0.5b", on="h100-sxm:2x1", set={"network.speed": "2GB/s"}).analyze()


def test_calibrated_estimates_are_cases_of_their_own() -> None:
    rate = {"hardware.memory.bandwidth": "2TB/s,4TB/s"}
    assert laid_out(asked(estimate="calibrated"), read_axes(rate)).cases == 2


def test_a_value_no_chip_has_is_left_out_with_the_reason() -> None:
    swept = asked().sweep({"hardware.memory.bandwidth": "0TB/s,1TB/s"})
    assert [row["hardware.memory.bandwidth"] for row in swept.rows] == [1e12]
    assert [note.code for note in swept.notes if "bandwidth" in note.message] == ["M071"]


@pytest.mark.parametrize("pareto", [(), ("throughput", "tpot")])
@pytest.mark.parametrize("estimate", ["ideal", "calibrated"])
def test_a_network_that_joins_nothing_is_said_to_change_nothing(
    pareto: tuple[str, ...], estimate: str
) -> None:
    found = asked(estimate=estimate).sweep(
        {"network.per_direction": "25GB/s,50GB/s", "batch": "1,8"}, pareto=pareto
    )
    assert [n.message for n in found.notes if n.code == "M157"] == [
        "network.per_direction does not occur: no operator here is timed by it"
    ]


def test_a_field_that_times_an_operator_has_no_note_and_one_that_does_not_has() -> None:
    def idle(on: str, axis: str, values: str, **more: object) -> bool:
        study = ms.study("llama-3.1-8b", on=on, prompt=64, output=2, **more)  # type: ignore[arg-type]
        return "M157" in {n.code for n in study.sweep({axis: values}).notes}

    across: dict[str, object] = {"techniques": ["parallel:tp=16"], "set": {"network": "ib-ndr400"}}
    assert idle("h100-sxm:16", "network.latency", "1us,5us,9us", **across)
    assert not idle("h100-sxm:2x8", "network.latency", "1us,5us,9us", **across)
    assert not idle("h100-sxm:16", "hardware.link.per_direction", "99GB/s,450GB/s", **across)
    assert idle("h100-sxm", "hardware.peak.matrix.fp8", "1PFLOP/s,2PFLOP/s")
    assert not idle("h100-sxm", "hardware.peak.matrix.bf16", "1PFLOP/s,2PFLOP/s")
    assert not idle("h100-sxm", "hardware.memory.bandwidth", "1TB/s,2TB/s")
    assert not idle("h100-sxm", "network.per_direction", "25GB/s")
    assert idle("h100-sxm", "network", "ib-ndr400,ib-hdr200")

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from mansard.backends.chips import bundled, find, load, parse_target
from mansard.backends.hardware import Hardware
from mansard.backends.hardware_file import CONFIDENCES
from mansard.backends.peaks import Peak, rate_class
from mansard.core import units
from mansard.core.errors import MansardError, SpecError, UnknownNameError

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "hardware.toml"
DECIMAL_SRAM = {"groq-lpu-v1", "cerebras-wse3", "graphcore-bow"}

MINIMAL = """
id = "toy"
unsupported = ["fp8"]

[memory]
capacity = "16 GiB"
bandwidth = "1 TB/s"

[peak.matrix]
bf16 = "100 TFLOPS"
int8 = "200 TOPS"

[peak.vector]
fp32 = "10 TFLOPS"
"""


def toy(**changes: str) -> Hardware:
    text = MINIMAL
    for old, new in changes.items():
        text = text.replace(old, new)
    return Hardware.from_toml(text, where="toy.toml")


# --- the bundled chips -------------------------------------------------------------------------


def test_an_h100_holds_80_gib_and_moves_decimal_terabytes() -> None:
    chip = load("h100-sxm")
    assert chip.capacity_bytes == 85_899_345_920
    assert chip.bandwidth_bytes_per_s == 3_350_000_000_000
    assert chip.peak("matrix", "bf16") == Peak(989_400_000_000_000, "bf16")
    assert chip.peak("matrix", "fp8").flops_per_s == 1_978_900_000_000_000
    assert chip.onchip_bytes == 50 * 2**20
    assert chip.link_bytes_per_s == 450_000_000_000
    assert chip.host_link_bytes_per_s == 64_000_000_000
    assert (chip.unit_count, chip.unit_kind, chip.clock_hz) == (132, "SM", 1_830_000_000)
    assert (chip.tdp_w, chip.memory_type, chip.reserve_bytes) == (700, "HBM3", 0)
    assert chip.verified


def test_the_a6000_is_the_seed_papers() -> None:
    chip = load("rtx-a6000")
    assert chip.peak("matrix", "fp16").flops_per_s == 154_800_000_000_000
    assert chip.bandwidth_bytes_per_s == 768_000_000_000


def test_115_chips_are_bundled() -> None:
    assert len(bundled()) == 115
    assert list(bundled()) == sorted(set(bundled()))


@pytest.mark.parametrize("chip", bundled())
def test_a_bundled_chip_is_complete(chip: str) -> None:
    hardware = load(chip)
    assert hardware.id == chip
    assert hardware.name
    assert hardware.vendor
    assert hardware.kind
    assert hardware.arch
    assert hardware.year in range(2017, 2027)
    assert hardware.confidence in CONFIDENCES
    assert hardware.sources["memory"]
    assert ("compute" in hardware.sources) == bool(hardware.peaks)
    if hardware.link_bytes_per_s is not None:
        assert hardware.sources["link"]


def test_names_and_aliases_of_bundled_chips_are_unambiguous() -> None:
    spellings = [s.lower() for c in map(load, bundled()) for s in {c.id, *c.aliases}]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("chip", ["rtx-5090", "h200-nvl", "a10g", "rubin-vr200"])
def test_derived_recalled_conflicting_and_announced_chips_are_unverified(chip: str) -> None:
    assert not load(chip).verified


def test_every_bundled_chip_agrees_with_the_shared_table() -> None:
    if not SHARED.exists():
        pytest.skip("the shared hardware table is not beside the repository")
    shared: dict[str, dict[str, Any]] = tomllib.loads(SHARED.read_text())["hardware"]
    assert set(bundled()) == set(shared)
    for name, row in shared.items():
        chip = load(name)
        stated = {d: units.parse(rate, "flop/s") for d, rate in row["peak"].items()}
        assert {d: chip.peak("matrix", d).flops_per_s for d in stated} == stated, name
        assert all(chip.peak("matrix", d).note is None for d in stated), name
        dense = {d for unit, d, s in chip.peaks if s == "dense"}
        assert dense == set(stated), name
        assert chip.unsupported == set(row["unsupported"]), name
        capacity = row["memory"]["capacity"]
        if name not in DECIMAL_SRAM:
            capacity = capacity.replace("GB", "GiB")
        assert chip.capacity_bytes == units.parse(capacity, "bytes"), name
        assert chip.bandwidth_bytes_per_s == units.parse(row["memory"]["bandwidth"], "bytes/s")
        assert chip.confidence == row["confidence"], name
        link = row.get("link", {}).get("per_direction")
        assert chip.link_bytes_per_s == (link and units.parse(link, "bytes/s")), name
        tdp = row.get("tdp")
        assert chip.tdp_w == (tdp and units.parse(tdp, "power")), name


def test_chips_ship_as_package_data_and_load_without_sympy_or_numpy() -> None:
    folder = files("mansard.backends").joinpath("hardware")
    assert folder.joinpath("h100-sxm.toml").is_file()
    code = (
        "import sys; from mansard.backends.chips import bundled, load; "
        "[load(c) for c in bundled()]; "
        "print({'sympy', 'numpy', 'networkx', 'onnx', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_documented_example_is_a_chip() -> None:
    text = (ROOT / "docs" / "hardware-sources.md").read_text(encoding="utf-8")
    chip = Hardware.from_toml(text.split("```toml\n")[1].split("```")[0], where="the docs")
    assert chip.peak("matrix", "bf16", "2:4").flops_per_s == 1_978_800_000_000_000


# --- peaks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chip", "dtype", "used", "note"),
    [
        ("h100-sxm", "bf16", "bf16", None),
        ("h100-sxm", "fp8_e4m3", "fp8", None),
        ("h100-sxm", "fp32", "fp32", None),
        ("h100-sxm", "int4", "int8", "h100-sxm has no int4 matrix rate: computed at the int8 rate"),
        ("h100-sxm", "fp4", "fp8", "h100-sxm has no fp4 matrix rate: computed at the fp8 rate"),
        ("rtx-3090", "fp8", "fp16", "rtx-3090 has no fp8 matrix rate: computed at the fp16 rate"),
        ("rtx-3090", "int3", "int4", "rtx-3090 has no int3 matrix rate: computed at the int4 rate"),
        ("t4", "bf16", "fp16", "t4 has no bf16 matrix rate: computed at the fp16 rate"),
        ("tpu-v5e", "fp16", "bf16", "tpu-v5e has no fp16 matrix rate: computed at the bf16 rate"),
        ("gaudi2", "int8", "bf16", "gaudi2 states no int8 matrix rate: computed at the bf16 rate"),
        (
            "core-i9-13900k",
            "bf16",
            "fp32",
            "core-i9-13900k has no bf16 matrix rate: computed at the fp32 rate",
        ),
        (
            "rtx-a6000",
            "fp6",
            "fp16",
            "rtx-a6000 states no fp6 matrix rate: computed at the fp16 rate",
        ),
        (
            "tpu-v5e",
            "fp32",
            "bf16",
            "tpu-v5e has no fp32 matrix rate: bounded by the bf16 rate, it is slower",
        ),
    ],
)
def test_a_dtype_without_a_rate_falls_back_and_says_so(
    chip: str, dtype: str, used: str, note: str | None
) -> None:
    hardware = load(chip)
    peak = hardware.peak("matrix", dtype)
    assert (peak.dtype, peak.note) == (used, note)
    assert peak.flops_per_s == hardware.peak("matrix", used).flops_per_s


def test_fp32_products_never_run_at_the_tf32_rate() -> None:
    chip = load("a100-sxm-80gb")
    assert chip.peak("matrix", "fp32").flops_per_s == 19_500_000_000_000
    assert chip.peak("matrix", "tf32").flops_per_s == 156_000_000_000_000


def test_a_chip_without_any_rate_is_bounded_by_memory() -> None:
    peak = load("apple-m5").peak("matrix", "bf16")
    assert peak.flops_per_s is None
    assert peak.note is not None
    assert peak.note.endswith("bounded by memory only")


def test_sparse_work_uses_a_stated_rate_or_the_dense_one_with_a_note() -> None:
    assert load("h100-sxm").peak("matrix", "fp16", "2:4").flops_per_s == 1_978_800_000_000_000
    assert load("rtx-3090").peak("matrix", "fp8", "2:4") == Peak(
        142_000_000_000_000,
        "fp16",
        "rtx-3090 has no fp8 matrix rate: computed at the fp16 rate",
    )
    peak = load("mi300x").peak("matrix", "fp16", "2:4")
    assert peak.flops_per_s == load("mi300x").peak("matrix", "fp16").flops_per_s
    assert peak.note == "mi300x states no 2:4 fp16 rate: computed at the dense rate"


def test_the_vector_unit_serves_every_dtype_at_the_fp32_non_matrix_rate() -> None:
    derived = "derived: the fp32 non-matrix rate"
    chip = load("h100-sxm")
    assert chip.peak("vector", "bf16") == Peak(66_900_000_000_000, "fp32", None, derived)
    assert chip.peak("vector", "fp32").vector_source == "stated"


@pytest.mark.parametrize(
    ("chip", "matrix", "vector"),
    [("mi210", 45.3e12, 22.6e12), ("mi250", 90.5e12, 45.3e12), ("mi300x", 163.4e12, 163.4e12)],
)
def test_amds_fp32_matrix_rate_is_not_its_vector_rate(
    chip: str, matrix: float, vector: float
) -> None:
    assert load(chip).peak("matrix", "fp32").flops_per_s == matrix
    assert load(chip).peak("vector", "fp16").flops_per_s == vector


@pytest.mark.parametrize("chip", ["tpu-v5p", "trainium2", "gaudi3", "graphcore-bow", "mi455x"])
def test_a_matrix_engines_fp32_rate_is_never_a_vector_rate(chip: str) -> None:
    peak = load(chip).peak("vector", "fp32")
    assert peak.flops_per_s is None
    assert peak.note == f"{chip} states no vector rate: vector work is bounded by memory only"


@pytest.mark.parametrize(
    ("unit", "dtype", "structure"),
    [
        ("tensor", "bf16", "dense"),
        ("matrix", "bf17", "dense"),
        ("matrix", "bf16", "1:2"),
        ("matrix", "int9", "dense"),
        ("matrix", "int", "dense"),
        ("matrix", "", "dense"),
    ],
)
def test_a_peak_of_something_that_does_not_exist_is_an_error(
    unit: str, dtype: str, structure: str
) -> None:
    with pytest.raises(MansardError) as caught:
        load("h100-sxm").peak(unit, dtype, structure)
    assert caught.value.hint


def test_narrow_and_scaled_formats_share_the_rate_of_their_width() -> None:
    names = ("int1", "uint4", "int7", "mxfp8", "nvfp4", "fp8_e5m2", "e4m3", "BF16")
    classes = ["int4", "int4", "int8", "fp8", "fp4", "fp8", "fp8", "bf16"]
    assert [rate_class(n) for n in names] == classes


# --- names and targets -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "chip"),
    [
        ("H100-SXM", "h100-sxm"),
        ("H100 SXM", "h100-sxm"),
        ("a6000", "rtx-a6000"),
        ("trn2", "trainium2"),
        ("A100 SXM 80GB", "a100-sxm-80gb"),
        ("rtx_4090", "rtx-4090"),
        ("m1", "apple-m1"),
        ("AMD MI250", "mi250"),
        ("NVIDIA H200 SXM", "h200-sxm"),
    ],
)
def test_a_chip_is_found_by_id_alias_or_full_name_in_any_case(name: str, chip: str) -> None:
    assert find(name) == chip


@pytest.mark.parametrize("name", ["h100", "Nvidia H100"])
def test_an_ambiguous_name_offers_its_chips(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load(name)
    assert caught.value.hint is not None
    assert all(repr(c) in caught.value.hint for c in ("h100-nvl", "h100-pcie", "h100-sxm"))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("h100-sxm", ("h100-sxm", 1, 1)),
        ("h100-sxm:8", ("h100-sxm", 1, 8)),
        ("h100-sxm:4x8", ("h100-sxm", 4, 8)),
        ("chips/mine.toml:2", ("chips/mine.toml", 1, 2)),
        (r"C:\chips\mine.toml", (r"C:\chips\mine.toml", 1, 1)),
        (r"C:\chips\mine.toml:2X4", (r"C:\chips\mine.toml", 2, 4)),
    ],
)
def test_a_target_names_a_chip_and_its_devices(text: str, target: tuple[str, int, int]) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "count", ["", "0", "-1", "4x0", "x8", "4x", "4x8x2", "1.5", "eight", "9" * 30]
)
def test_a_count_that_is_no_count_is_refused(count: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_target(f"h100-sxm:{count}")
    assert caught.value.hint
    assert "h100-sxm" in caught.value.message


def test_a_target_without_a_chip_is_refused() -> None:
    for text in ("", ":8", "  "):
        with pytest.raises(SpecError, match="names no hardware"):
            parse_target(text)


# --- a user's own chip -------------------------------------------------------------------------


def test_a_users_file_behaves_like_a_bundled_chip(tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(MINIMAL)
    assert load(path) == load(str(path)) == toy()
    assert hash(load(path)) == hash(toy())
    assert toy().name == "toy"
    assert not toy().verified
    assert toy().tdp_w is None
    assert (
        toy().peak("matrix", "fp8").note == "toy has no fp8 matrix rate: computed at the bf16 rate"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "toy"', "", "toy.toml: key 'id' is missing"),
        ('capacity = "16 GiB"', "", "toy.toml: key 'memory.capacity' is missing"),
        ("bandwidth", "bandwith", "toy.toml: no key called 'memory.bandwith'"),
        ("[memory]", "[memroy]", "toy.toml: no key called 'memroy'"),
        ("peak.vector", "peak.vektor", "toy.toml: no key called 'peak.vektor'"),
        ("int8 =", "int9 =", "toy.toml: no key called 'peak.matrix.int9'"),
        ('"1 TB/s"', '"1 TB"', "toy.toml: memory.bandwidth: '1 TB' is bytes, not bytes/s"),
        ('"1 TB/s"', "1000", "toy.toml: memory.bandwidth: expected bytes/s, got 1000"),
        ('"1 TB/s"', '"-1 TB/s"', "toy.toml: memory.bandwidth: '-1 TB/s' is negative"),
        ('"16 GiB"', '"0 GiB"', "toy.toml: memory.capacity: '0 GiB' must be positive"),
        ('"16 GiB"', '"0.5 B"', "toy.toml: memory.capacity: '0.5 B' must be positive"),
        ('"16 GiB"', '"nan GiB"', "toy.toml: memory.capacity: cannot read 'nan GiB' as bytes"),
        ('"16 GiB"', '["16 GiB"]', "toy.toml: memory.capacity: expected bytes, got ['16 GiB']"),
        ('"10 TFLOPS"', '"10 TB"', "toy.toml: peak.vector.fp32: '10 TB' is bytes, not flop/s"),
        ('["fp8"]', '["fp9"]', "toy.toml: unsupported: no dtype called 'fp9'"),
        ('["fp8"]', '"fp8"', "toy.toml: unsupported: expected a list of texts, got 'fp8'"),
        ('["fp8"]', '["bf16"]', "toy.toml: bf16 is unsupported and has a rate in peak.matrix"),
        ('id = "toy"', 'id = "a/b"', "toy.toml: id: 'a/b' cannot name a chip"),
        ('id = "toy"', 'id = "toy"\nyear = true', "toy.toml: year: expected a positive integer"),
        (
            'id = "toy"',
            'id = "toy"\nkind = "gpus"',
            "toy.toml: kind: no kind of chip called 'gpus'",
        ),
        ('id = "toy"', 'id = "toy"\nsources = 3', "toy.toml: sources must be a section, got 3"),
        ("[memory]", '[memory]\nreserve = "16 GiB"', "toy.toml: memory.reserve leaves no memory"),
        ("[memory]", "[memory", "toy.toml: not TOML"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_file_and_key(old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        toy(**{old: new})
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_a_misspelt_key_offers_the_right_one() -> None:
    with pytest.raises(SpecError) as caught:
        toy(bandwidth="bandwith")
    assert caught.value.hint is not None
    assert "'memory.bandwidth'" in caught.value.hint


def test_what_is_not_a_chips_file_is_refused(tmp_path: Path) -> None:
    binary, huge = tmp_path / "binary.toml", tmp_path / "huge.toml"
    binary.write_bytes(b"\xff\xfe\x00id")
    huge.write_bytes(b"#" * 1_000_001)
    (tmp_path / "folder.toml").mkdir()
    reasons = {
        "binary.toml": "not text in UTF-8",
        "huge.toml": "larger than 1 MB",
        "folder.toml": "is a directory",
        "absent.toml": "cannot be read",
        "nul\0.toml": "cannot be read",
    }
    for name, reason in reasons.items():
        with pytest.raises(SpecError, match=reason) as caught:
            load(tmp_path / name)
        assert caught.value.hint


def test_deeply_nested_toml_is_an_error_and_no_crash() -> None:
    with pytest.raises(SpecError, match="not TOML"):
        Hardware.from_toml("a = " + "[" * 100_000, where="deep.toml")


# --- overriding --------------------------------------------------------------------------------


def test_overriding_a_key_gives_a_new_chip_that_differs_in_it_alone() -> None:
    chip = load("h100-sxm")
    faster = chip.override("hardware.memory.bandwidth", "4TB/s")
    assert faster.bandwidth_bytes_per_s == 4_000_000_000_000
    assert chip.bandwidth_bytes_per_s == 3_350_000_000_000
    assert faster.overrides == ("memory.bandwidth=4TB/s",)
    assert faster.override("memory.bandwidth", "3350GB/s").peaks == chip.peaks
    assert faster.capacity_bytes == chip.capacity_bytes


def test_every_kind_of_key_can_be_overridden() -> None:
    chip = toy()
    assert chip.override("peak.matrix.fp8", "300 TFLOPS").peak("matrix", "fp8") == Peak(
        300_000_000_000_000, "fp8"
    )
    sparse = chip.override("peak.matrix.2:4.bf16", "200 TFLOPS")
    assert sparse.peak("matrix", "bf16", "2:4").flops_per_s == 200_000_000_000_000
    assert chip.override("units.count", "12").unit_count == 12
    assert chip.override("tdp", "70W").tdp_w == 70
    assert chip.override("link.per_direction", "32 GB/s").link_bytes_per_s == 32_000_000_000
    assert chip.override("unsupported", "fp8,fp4").unsupported == {"fp8", "fp4"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory.bandwith", "4TB/s"),
        ("memory.bandwidth", "4TB"),
        ("memory.bandwidth", "0 TB/s"),
        ("id.x", "4"),
        ("", "4"),
        ("memory", "4"),
        ("units.count", "9" * 5000),
        ("units.count", "many"),
        ("memory.bandwidth.x", "4"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(key: str, value: str) -> None:
    with pytest.raises(SpecError) as caught:
        toy().override(key, value)
    assert caught.value.message.startswith(f"toy: override {key}={value[:20]}")
    assert len(caught.value.message) < 300
    assert caught.value.hint


# --- where figures are from --------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled())
def test_every_figure_of_a_chip_has_a_source_or_says_that_none_is_recorded(name: str) -> None:
    from mansard.render.chips import NAMES, UNSOURCED, chip_record, chip_sheet

    chip = load(name)
    shown = {row["key"]: row["source"] for row in chip_sheet(chip).shown}
    assert all(source for key, source in shown.items() if key not in NAMES)
    without = {key for key, source in shown.items() if source == UNSOURCED}
    assert chip_record(chip)["unsourced"] == [key for key in shown if key in without]
    known_not = {"onchip.size", "units.count", "units.clock", "link.host", "price", "tdp"}
    assert without <= known_not  # what the bound reads of a chip is sourced, all of it


def test_a_figure_of_the_askers_own_does_not_carry_the_sources_of_the_chip() -> None:
    chip = load("h100-sxm").override("memory.bandwidth", "4TB/s")
    assert chip.sources_of("memory.bandwidth") == ("the asker's own",)
    assert chip.sources_of("memory.capacity") == load("h100-sxm").sources["memory"]
    assert chip.sources_of("peak.vector.fp32") == chip.sources["compute"]
    assert chip.sources_of("peak.matrix.2:4.fp16") == chip.sources["sparsity"]
    assert load("mi300x").sources_of("peak.vector.fp32")[0].startswith("derived: 304 CU")
    assert chip.sources_of("onchip.size") == ()

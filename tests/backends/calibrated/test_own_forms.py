"""Each kind of kernel is predicted from measurements of its kind, whatever the model."""

from __future__ import annotations

import pytest

import mansard as ms
from mansard.backends.calibrated.lookup import find
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.row_figures import RowFigures
from mansard.backends.calibrated.rows import figures
from mansard.backends.chips import load

LATENT = "deepseek-v3"
ATTENTION = ("attention_prefill", "attention_decode", "mla_prefill", "mla_decode")

FORMS = {
    "linear": {"gemm"}, "convolution": {"gemm"}, "matmul": {"gemm"},
    "grouped_linear": {"moe"}, "block_linear": {"batched_gemm"},
    "attention": set(ATTENTION), "scores": {"batched_gemm"},
    "values": {"batched_gemm"}, "partial_values": {"batched_gemm"},
    "causal_conv": {"scan"}, "gated_recurrence": {"scan"}, "gated_delta": {"scan"},
    "selective_scan": {"scan"},
    "state_space_dual": {"scan"}, "token_shift": {"scan"}, "wkv": {"scan"},
    "collective": {"collective"}, "overhead": {"engine"},
}  # fmt: skip
"""Kind of row → the forms it may rest on; all others stream."""


def rows_of(model: str, on: str = "h100-sxm", *techniques: str, level: str = "O1") -> list[ms.Row]:
    """Return the rows of a model's phases, each with the form it rests on."""
    found = ms.analyze(
        model, on=on, batch=4, prompt=512, output=8, estimate="calibrated", techniques=techniques,
        level=level,
    )  # fmt: skip
    return [row for phase in found.phases.values() for row in phase.ops]


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("llama-3.2-1b", {"attention", "linear"}),
        ("gemma-3-1b", {"attention"}),
        ("qwen3-30b-a3b", {"attention", "grouped_linear"}),
        ("gpt-oss-20b", {"attention", "grouped_linear"}),
        ("mimo-v2-flash", {"attention"}),
        ("deepseek-v2-lite", {"attention", "grouped_linear"}),
        ("deepseek-v3.2", {"attention", "scores"}),
        ("deepseek-v4-flash", {"attention", "block_linear", "scores"}),
        ("mamba2-2.7b", {"state_space_dual", "causal_conv"}),
        ("jamba-1.5-mini", {"selective_scan", "attention"}),
        ("rwkv-4-7b", {"wkv"}),
        ("qwen3-next-80b-a3b", {"gated_delta", "attention"}),
        ("recurrentgemma-2b", {"block_linear"}),
        ("bert-base-uncased", {"attention"}),
        ("t5-base", {"attention"}),
        ("whisper-base", {"attention", "linear"}),
        ("clip-vit-base-patch16", {"convolution", "attention"}),
        ("qwen2.5-vl-7b-instruct", {"attention"}),
    ],
)
def test_no_kind_of_kernel_is_predicted_by_another_kinds_measurements(
    model: str, kinds: set[str], asked: dict[str, set[str]]
) -> None:
    rows_of(model)
    assert kinds <= asked.keys()
    for kind, forms in asked.items():
        assert forms <= FORMS.get(kind, {"stream"}), kind


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Kind of row → forms that were asked for it."""
    found: dict[str, set[str]] = {}

    def noted(row: RowFigures, *rest: object) -> object:
        answer = figures(row, *rest)  # type: ignore[arg-type]
        found.setdefault(row.kind, set()).add(answer.form)
        return answer

    monkeypatch.setattr("mansard.backends.calibrated.pricing.figures", noted)
    return found


@pytest.mark.parametrize("on", ["h100-sxm", "h200-sxm", "b200-sxm"])
def test_attention_on_a_latent_rests_on_kernels_measured_on_one(on: str) -> None:
    found = ms.analyze(
        LATENT, on=f"{on}:8", batch=8, prompt=4096, output=8, estimate="calibrated",
        techniques=["absorb-mla"],
    )  # fmt: skip
    assert found.calibrated is not None
    forms = {basis.form: basis.set for basis in found.calibrated.bases}
    for form in ("mla_prefill", "mla_decode", "batched_gemm"):
        assert form in forms
        assert on in forms[form]
    for phase in ("prefill", "decode"):
        row = found.op("layers.attention", phase)
        assert row.kind == "attention"
        assert row.basis.startswith(forms[f"mla_{phase}"])


@pytest.mark.parametrize("on", ["l40s:8", "mi300x:8"])
def test_a_latent_rests_on_kernels_of_its_kind_on_chips_nobody_measured(on: str) -> None:
    rows = rows_of(LATENT, on, "absorb-mla", "quantize{kv=fp8}")
    attention = [row for row in rows if row.kind == "attention"]
    assert len(attention) >= 2
    assert all("median of" in row.basis and "norm" not in row.basis for row in attention)


@pytest.mark.parametrize("form", ATTENTION)
@pytest.mark.parametrize("chip", ["h100-sxm", "b300-sxm", "l40s", "mi300x", "tpu-v5e"])
def test_every_attention_has_a_set_of_its_form_on_any_chip(form: str, chip: str) -> None:
    key = Key(form, "an engine", "a dtype", "a group", "a kernel")
    assert find(key, chip, "").one.key.form == form


def test_attention_over_split_keys_is_attention() -> None:
    def basis(*techniques: str) -> str:
        found = ms.analyze(
            "llama-3.2-1b", on="h100-sxm", batch=4, prompt=512, output=8, estimate="calibrated",
            techniques=techniques,
        )  # fmt: skip
        return found.op("layers.attention", "decode").basis or ""

    assert "norm" not in basis("split-decode-attention")
    assert basis("split-decode-attention") == basis()


def test_unfused_attention_is_two_products_for_each_head(asked: dict[str, set[str]]) -> None:
    rows_of("llama-3.2-1b", level="O0")
    assert asked["scores"] == asked["values"] == {"batched_gemm"}


def test_keys_expanded_from_a_latent_are_wider_than_values() -> None:
    sizes: dict[str, float | str] = {
        "batch": 8.0, "q_len": 512.0, "kv_len": 512.0, "heads": 16.0, "kv_heads": 16.0,
        "head_dim": 192.0, "value_dim": 128.0,
    }  # fmt: skip
    chip = load("h100-sxm")
    own = figures(RowFigures("attention", sizes), chip)
    assert (own.form, own.sizes["v"], own.sizes["kept"]) == ("mla_prefill", 128.0, 320.0)
    shared = figures(RowFigures("attention", sizes | {"kv_heads": 2.0}), chip)
    assert (shared.form, shared.sizes["kept"]) == ("attention_prefill", 320.0)
    decode = figures(RowFigures("attention", sizes | {"q_len": 1.0}), chip)
    assert decode.form == "attention_decode"

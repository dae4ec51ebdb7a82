"""What ran, where a table says less than the collector that wrote it.

aiconfigurator's tables name a model's sizes; its collectors (ai-dynamo/aiconfigurator at
095f58a51c, collector/{trtllm,sglang,vllm}/collect_{moe,gdn,mamba2,attn}.py and their history) say
which tensors the kernel was given. A kernel runs again and again on the same tensors, so ``held``
says how many bytes are touched: what of them fits the last level stays there.
"""

from __future__ import annotations

from collections.abc import Mapping

from mansard.backends.calibrated.facts import peak
from mansard.backends.calibrated.registry import scheme
from mansard.backends.calibrated.routing import LARGEST, RANKS, SMALLEST, load
from mansard.backends.hardware import Hardware

Record = Mapping[str, str]
Parsed = tuple[str, str, str, dict[str, float]]
"""(form, dtype, kernel, sizes)."""

FIRST = ("trtllm-1.0.0", "vllm-0.14.0", "sglang-0.5.10")
"""Tables of the first collectors, of 2025 and early 2026; all on A100."""

KEYS_ALONE = "trtllm-1.0.0"
"""Its attention was given a cache of keys alone (``CacheType.SELFKONLY``; corrected in dec5f4cd2):
values are read from where the keys lie, so a kernel that takes a block of both at a time finds
them on chip, and memory moves half: 3.3 TB/s of an A100's 2.04 otherwise."""

DEALT = {"trtllm-1.0.0": LARGEST, "vllm-0.14.0": SMALLEST}
"""Tables whose routing did not give what rounding left over round the ranks."""

TWO_MATRICES = {
    (1024.0, 2688.0, 22.0, 512.0),
    (2048.0, 5120.0, 22.0, 512.0),
    (4096.0, 2688.0, 22.0, 512.0),
    (8192.0, 5120.0, 22.0, 512.0),
    (2688.0, 1856.0, 6.0, 128.0),
}
"""(hidden, inter, top_k, experts) of Nemotron-H, whose experts have no gate: TensorRT-LLM's table
says so in the name of the kernel, the others' case files in ``is_gated: false``."""

OWN_TOKENS = "sglang-0.5.10"
"""Its experts were given the tokens their rank has a part in, and no others; what of those belongs
elsewhere was multiplied by the first expert."""

GROUPED = {(7168.0, 2048.0, 8.0, 256.0): 0.5}
"""DeepSeek-V3's router takes 4 of 8 groups of experts [DeepSeek-AI 2024 V3, §4.2]: the tables'
tokens have equal groups, so all take the same four, and fill up with the same few experts of
those. TensorRT-LLM's table was routed without."""


def _number(record: Record, *names: str) -> list[float]:
    return [float(record[name] or 0) for name in names]


def kept_of(record: Record, plain: float) -> float:
    """Return the elements of a KV head that memory moves for a token of the context."""
    aliased = record["src"] == KEYS_ALONE and record["phase"] == "decode"
    grouped = record["heads"] != record["kv_heads"]
    return plain / 2 if aliased and grouped else plain


def experts(record: Record, chip: Hardware) -> Parsed:
    """Return a mixture of experts as the measured rank ran it."""
    names = ("tokens", "hidden", "inter", "topk", "experts", "moe_tp", "moe_ep")
    tokens, hidden, inter, top_k, count, tp, ep = _number(record, *names)
    _, weight, computes = scheme(record["dtype"])
    dist, source = record["dist"], record["src"]
    alpha = 0.0 if dist == "balanced" else float(dist.rpartition("_")[2])
    got = load(int(tokens), int(count), int(top_k), int(ep), alpha, DEALT.get(source, RANKS))
    model = (hidden, inter, top_k, count)
    bare = "nongated" in record["kernel"] or (model in TWO_MATRICES and source not in FIRST)
    grouped = model in GROUPED and not source.startswith("trtllm") and source not in FIRST
    share = GROUPED[model] if grouped else 1.0
    active = min(share * got.active + (1 - share) * top_k, got.active)
    seen = got.reached if source == OWN_TOKENS else tokens
    sizes = {
        "tokens": seen, "top_k": top_k, "experts": count, "rows": got.rows, "active": active,
        "tiles": got.tiles, "tile": got.tile, "hidden": hidden, "inter": inter / tp,
        "model_inter": inter, "w_bytes": weight, "matrices": 2.0 if bare else 3.0,
        "peak": peak(chip, computes),
    }  # fmt: skip
    return "moe", record["dtype"], record["kernel"], sizes


def recurrence(record: Record, chip: Hardware) -> Parsed:
    """Return a gated delta rule, or the convolution before one or before Mamba-2.

    Bytes are those the collector's tensors have, each once: no state where it passes none, half
    of one where it passes bf16. A convolution writes over its input in TensorRT-LLM and the first
    SGLang, which alone read and filter the keys; the decode of the others updates its state where
    it lies.
    """
    batch, tokens, taps, width = _number(record, "batch", "tokens", "d_conv", "d_model")
    heads = float(record["v_heads"])
    first = record["src"].startswith("trtllm") or record["src"] in FIRST
    decodes = record["phase"] == "generation"
    if "conv1d" in record["kernel"]:
        channels = _channels(record, first)
        window = 2 * batch * channels * (taps - 1)
        states = window * (2 if decodes else 1)  # fresh sequences have none to read
        moved = 4 * tokens * channels + states
        held = (2 if first else 4) * tokens * channels + window
        flops, blocks = 2 * taps * tokens * channels, batch * channels
    else:
        moved, held, flops = _rule(record, first)
        blocks = batch * heads
    steps = 1.0 if decodes else tokens / batch / 64
    sizes = {
        "bytes": moved, "flops": flops, "steps": steps, "blocks": blocks, "batch": batch,
        "tokens": tokens, "width": width, "heads": heads, "held": held,
        "peak": peak(chip, "bf16"),
    }  # fmt: skip
    return "scan", record["phase"], record["kernel"], sizes


def _channels(record: Record, first: bool) -> float:
    """Return the channels that are filtered."""
    kh, kd, vh, vd = _number(record, "k_heads", "k_dim", "v_heads", "v_dim_or_state")
    if record["kind"] == "mamba2":
        groups = 4 if record["model"] == "MAMBA2_GENERIC_1K" else 8
        return vh * kd + 2 * groups * vd
    return kh * kd if first else 2 * kh * kd + vh * vd


def _rule(record: Record, first: bool) -> tuple[float, float, float]:
    """Return (bytes, bytes touched, FLOP) of a delta rule: ``6·dk·dv`` a token and value head.

    That is the recurrence itself, the least of all blockwise forms [Yang 2024 GDN, eq. 10].
    """
    batch, tokens, kh, kd, vh, vd = _number(
        record, "batch", "tokens", "k_heads", "k_dim", "v_heads", "v_dim_or_state"
    )
    streamed = 2 * tokens * (2 * kh * kd + 2 * vh * vd)
    elements = batch * vh * kd * vd
    decodes = record["phase"] == "generation"
    match first, decodes:
        case True, True:
            read, written, touched = 2, 4, 6  # bf16 in, a new fp32 out
        case True, False:
            read, written, touched = 0, 0, 0
        case _:
            read, written, touched = 4, 4, 4  # fp32, where it lies
    flops = 6 * tokens * vh * kd * vd
    moved = streamed + elements * (read + written)
    return moved, streamed + elements * touched, flops

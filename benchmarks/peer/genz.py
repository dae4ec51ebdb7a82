"""GenZ [Bambhaniya 2024]: a chip and its links, models of its own list, a table made per question.

Its chip is given the figures of mansard's, but a memory that holds anything: where a model does not
fit it would slow the memory down. Its gigabyte of bandwidth is 2**30 bytes.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from harness.shapes import DENSE, MLA, MOE, Shape
from peer.agreement import Agreement, Ops, asked, total
from peer.checkout import Checkout

CHECKOUT = Checkout(
    "GenZ", "https://github.com/abhibambhaniya/GenZ-LLM-Analyzer.git",
    "091bdd0a2777dfe4d405a8fcdd91c8f12b474bf3", "GENZ", "GenZ/__init__.py",
)  # fmt: skip
MODELS = {DENSE: ("llama3_70b", 8), MOE: ("mixtral_8x7b", 1),
          MLA: ("deepseek-ai/DeepSeek-V3-Base", 8)}  # fmt: skip
"""Shape → its name of the model, and ranks of tensor parallelism."""
NEEDS = "numpy pandas matplotlib seaborn paretoset ipython"
COLD = """
import ast, sys, warnings
warnings.simplefilter("ignore")
from GenZ import decode_moddeling, prefill_moddeling
asked = ast.literal_eval(sys.argv[1])
print(prefill_moddeling(**asked)["Latency"])
print(decode_moddeling(**asked, Bb=1)["Latency"])
"""


class GenZ:
    """Its two functions, in this process."""

    name = CHECKOUT.name
    limits: ClassVar = {"a point": 1, "cold": 1}
    """Times as fast as it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sys.path.insert(0, str(folder))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.module = importlib.import_module("GenZ")
            except ImportError as error:
                raise ImportError(f"{error}: pip install {NEEDS}") from error

    def refuses(self, shape: Shape) -> str:
        """Say that it has a model of another name, or no such one."""
        return "" if shape in MODELS else f"its list of models has no {shape.model}"

    def asks(self, shape: Shape) -> Shape:
        """Return what it is asked instead of a shape: the same."""
        return shape

    def question(self, shape: Shape, tokens: int, batch: int = 16) -> dict[str, Any]:
        """Return what both of its functions take."""
        model, ranks = MODELS[shape]
        chip = shape.study(tokens, 2).prepared.cluster.chip
        system = {
            "Flops": chip.peaks["matrix", "bf16", "dense"] / 1e12, "Memory_size": 1e6,
            "Memory_BW": chip.bandwidth_bytes_per_s / 2**30,
            "ICN": (chip.link_bytes_per_s or 0) / 2**30,
            "ICN_LL": (chip.link_latency_s or 0) * 1e6, "real_values": True,
        }  # fmt: skip
        return {"model": model, "batch_size": batch, "input_tokens": tokens, "bits": "bf16",
                "system_name": system, "tensor_parallel": ranks}  # fmt: skip

    def prefill(self, asked: dict[str, Any]) -> Any:
        """Return its answer for a prefill."""
        return self._quietly(lambda: self.module.prefill_moddeling(**asked))

    def decode(self, asked: dict[str, Any]) -> Any:
        """Return its answer for one step, of one beam."""
        return self._quietly(lambda: self.module.decode_moddeling(**asked, Bb=1))

    def point(self, shape: Shape) -> Callable[[], object]:
        """Return its answer for 16 sequences of 8192: a prefill and a step."""
        asked = self.question(shape, 8192)
        return lambda: (self.prefill(asked), self.decode(asked))

    def generation(self, shape: Shape) -> Callable[[], object] | None:
        """Return None: it has no total of a generation."""
        return None

    def tpot(self, shape: Shape, prompt: int) -> Callable[[int], float]:
        """Return the time of a step as a function of the batch [s]."""
        return lambda batch: self.decode(self.question(shape, prompt + 1, batch))["Latency"] / 1e3

    def cold(self, shape: Shape, scratch: Path) -> list[str] | str:
        """Return the command of a whole process, to be run in its folder."""
        return [sys.executable, "-c", COLD, repr(self.question(shape, 8192))]

    def agreements(self, shape: Shape) -> Iterator[Agreement]:
        """Compare FLOPs and weights of every operator, the sizes, and what links carry."""
        batch, prompt = 16, 8192
        ours, phases = asked(shape, batch, prompt)
        found = {"prefill": self.prefill(self.question(shape, prompt)),
                 "decode": self.decode(self.question(shape, prompt + 1))}  # fmt: skip
        if shape is MLA:
            config = self.module.Models.MODEL_DICT.get_model(MODELS[shape][0])
            yield from latent(found["prefill"], ours, config)
            return
        for phase, answer in found.items():
            rows = {}
            for row in answer["model_df"].to_dict("records"):
                if row["Num ops (MFLOP)"] or row["Op Type"] == "Sync":
                    rows[row["Layer Name"].removesuffix(" Pre")] = row
            experts = MOE is shape and phase == "decode"
            yield from operators(phase, rows, phases[phase], batch, prompt, experts)
        yield from sizes(found["prefill"]["summary_table"], ours, phases, batch * prompt,
                         MODELS[shape][1])  # fmt: skip

    def times(self, shape: Shape) -> dict[str, tuple[float, float]]:
        """Return its time of a prefill and of a step, and ours with attention fused [s]."""
        ours = shape.study(8192, 2, 16).analyze().to_dict()["phases"]
        theirs = {"prefill": self.prefill(self.question(shape, 8192)),
                  "decode": self.decode(self.question(shape, 8193))}  # fmt: skip
        return {k: (v["Latency"] / 1e3, ours[k]["time_s"]) for k, v in theirs.items()}

    def _quietly(self, step: Callable[[], Any]) -> Any:
        """Return what a step does, without its warnings and without the files it leaves."""
        made = Path(importlib.import_module("GenZ.Models.get_language_model").DATA_PATH) / "model"
        before = set(os.listdir(made)) if made.is_dir() else set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = step()
        for name in set(os.listdir(made)) - before:
            (made / name).unlink(missing_ok=True)
        return answer


OPERATORS: dict[str, tuple[str, ...]] = {
    "embeddings": ("embed",), "QKV": ("q_proj", "k_proj", "v_proj"), "Logit": ("scores",),
    "Attend": ("values",), "Out Proj": ("o_proj",), "Gate": ("router",),
    "up+gate": ("up_proj", "gate_proj"), "down": ("down_proj",), "classifier": ("lm_head",),
    "Emb_AR": ("embed.all_reduce",), "MHA AR": ("o_proj.all_reduce",),
    "FFN AR": ("down_proj.all_reduce",), "classifier_AG": ("lm_head.all_gather",),
}  # fmt: skip
"""Its name of an operator → ours."""
EXPERTS = {"up+gate": ("experts.gate_up_proj",), "down": ("experts.down_proj",)}
MIB = 2**20


def operators(
    phase: str, theirs: dict[str, Any], ours: Ops, batch: int, prompt: int, few: bool
) -> Iterator[Agreement]:
    """Compare FLOPs, bytes of weights or cache, and messages; ``few`` experts are read."""
    later = batch * (prompt - 1) if phase == "prefill" else 0
    for name, row in theirs.items():
        own = EXPERTS[name] if "router" in ours and name in EXPERTS else OPERATORS[name]
        if row["Op Type"] == "Sync":
            yield message(phase, name, row, ours[own[0]], later)
            continue
        flops, size = row["Num ops (MFLOP)"] * 1e6, row["Input_w (MB)"] * MIB
        known: tuple[float, str] = (0.0, "")
        if name == "embeddings":
            known = (-flops, "rows are looked up, no product")
        elif name == "classifier" and later:
            known = (-flops * (prompt - 1) / prompt, "logits of the last position only")
        counted = sum(ours[n]["flops"] for n in own)
        yield Agreement(f"{phase} {name} FLOP", flops, counted, *known)
        if name == "embeddings":
            continue
        kind = "kv_bytes" if name in ("Logit", "Attend") else "weight_bytes"
        read = sum(ours[n][kind] for n in own)
        known = (0.0, "")
        if few and name in EXPERTS:
            known = touched(size, batch)
        yield Agreement(f"{phase} {name} B", size, read, *known)


def touched(size: float, batch: int, experts: int = 8, of_token: int = 2) -> tuple[float, str]:
    """Return how much more the experts are that a batch touches than those of one token."""
    expected = experts * (1 - (1 - of_token / experts) ** batch)
    return size * (expected / of_token - 1), "experts that the batch touches"


def message(phase: str, name: str, row: dict[str, Any], ours: Any, later: int) -> Agreement:
    """Compare what a collective carries: bytes of the whole message."""
    rows, each, width = row["Dimension"]
    size = 2.0 * rows * each * width
    whole = ours["link_bytes"] * (8 if name == "classifier_AG" else 1)
    known: tuple[float, str] = (0.0, "")
    if name == "classifier_AG" and later:
        known = (-2.0 * later * width, "logits of the last position only")
    return Agreement(f"{phase} {name} B", size, whole, *known)


def sizes(
    summary: Any, ours: dict[str, Any], phases: dict[str, Ops], tokens: int, ranks: int
) -> Iterator[Agreement]:
    """Compare the weights and the cache of a device."""
    weights, cache = (
        float(summary[f"{what} (MB)"].iloc[0]) * MIB for what in ("Total Weights", "KV Cache")
    )
    norms = [n for n, op in phases["prefill"].items() if op["kind"] == "rms_norm"]
    more = total(phases["prefill"], norms, "weight_bytes")
    held = ours["memory"]["weights"]
    yield Agreement("weights, B", weights, held, more, "weights of the norms")
    yield Agreement("KV cache of the prompt, B", cache,
                    ours["model"]["kv_bytes_per_token"] * tokens / ranks)  # fmt: skip


def latent(answer: Any, ours: dict[str, Any], config: Any) -> Iterator[Agreement]:
    """Compare the parameters of DeepSeek-V3, of which it counts another model.

    Its attention has keys and values of two heads of 56, and every expert of every layer has the
    width of the three dense layers; ours has what the checkpoint has.
    """
    theirs = float(answer["summary_table"]["Total Weights (MB)"].iloc[0]) * MIB / 2 * 8
    hidden, layers, heads = config.hidden_size, config.num_decoder_layers, 128
    head, pairs = hidden // heads, 8  # one pair of keys and values on each of 8 ranks
    attention = 2 * heads * head * hidden + 2 * pairs * head * hidden
    experts = config.num_experts * 3 * hidden * config.intermediate_size
    router, tables = config.num_experts * hidden, 2 * config.vocab_size * hidden
    counted = layers * (attention + experts + router) + tables
    has = ours["model"]["params"]
    yield Agreement("parameters", theirs, has, has - counted, "not the same: no MLA, wide experts")

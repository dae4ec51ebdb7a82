"""LLM-Viewer [Yuan 2024]: one device, its template of Llama, a loop over the operators of a layer.

It knows no parallelism and no template of experts or of latent attention, so it is asked about the
dense model on one device. Its chip is given the figures of mansard's.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

from harness.shapes import DENSE, Shape
from mansard.backends.chips import load as load_chip
from mansard.frontends.hf.bundled import load_bundled
from peer.agreement import Agreement, Ops, asked, total
from peer.checkout import Checkout

CHECKOUT = Checkout(
    "LLM-Viewer", "https://github.com/hahnyuan/LLM-Viewer.git",
    "472f71f1a1807e80b573252e9185fd5e8d795e95", "LLM_VIEWER", "model_analyzer.py",
)  # fmt: skip
TEMPLATE, CHIP = "configs/Llama.py", "h100-sxm"
COLD = """
import os, sys
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from model_analyzer import ModelAnalyzer
asked = ModelAnalyzer(sys.argv[1], "nvidia_H100", "configs/Llama.py")
print(asked.analyze(8192, 16)["total_results"])
"""
"""What its ``analyze_cli.py`` does, without the import of torch, which nothing of it uses."""


class LLMViewer:
    """Its analyzer, in this process."""

    name = CHECKOUT.name
    limits: ClassVar = {"a point": 1, "a list": 350, "a grid": 1400, "a generation": 1, "cold": 1}
    """Times as fast as it: 350 and 1400 are asked for, else faster is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sys.path.insert(0, str(folder))
        self.stood_in = find_spec("transformers") is None
        if self.stood_in:
            _stand_in()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.module = importlib.import_module("model_analyzer")
        chip = load_chip(CHIP)
        rate = {d: chip.peaks["matrix", d, "dense"] for d in ("bf16", "int8")}
        self.chips: dict[str, Any] = self.module.hardware_params
        self.chips[CHIP] = {"bandwidth": chip.bandwidth_bytes_per_s, "FP16": rate["bf16"],
                            "INT8": rate["int8"], "onchip_buffer": chip.onchip_bytes}  # fmt: skip

    def refuses(self, shape: Shape) -> str:
        """Say that it has a model of another name, or no such one."""
        return "" if shape is DENSE else f"it has no template of {shape.model}"

    def asks(self, shape: Shape) -> Shape:
        """Return what it is asked instead of a shape: one device, as it knows no others."""
        return Shape(shape.title, shape.model, CHIP)

    def analyzer(self, model: str = DENSE.model, chip: str = CHIP) -> Any:
        """Return its analyzer of a bundled model's config."""
        with tempfile.TemporaryDirectory() as folder:
            write_config(model, Path(folder))
            with contextlib.redirect_stdout(io.StringIO()):
                return self.module.ModelAnalyzer(folder, chip, TEMPLATE)

    def point(self, shape: Shape) -> Callable[[], object]:
        """Return its answer for 16 sequences of 8192: prefill, a step, memory."""
        analyzer = self.analyzer(shape.model)
        return lambda: analyzer.analyze(8192, 16)

    def generation(self, shape: Shape) -> Callable[[], object]:
        """Return its total of a prompt and 1024 tokens, which it adds up step by step."""
        analyzer = self.analyzer(shape.model)
        return lambda: analyzer.analyze_generate_task(8192, 1024, 16)

    def tpot(self, shape: Shape, prompt: int) -> Callable[[int], float]:
        """Return the time of a step as a function of the batch [s]."""
        analyzer = self.analyzer(shape.model)

        def seconds(batch: int) -> float:
            found = analyzer.analyze(prompt + 1, batch)["total_results"]["decode"]
            return float(found["inference_time"])

        return seconds

    def cold(self, shape: Shape, scratch: Path) -> list[str] | str:
        """Return the command of a whole process, to be run in its folder; why there is none."""
        if self.stood_in:
            return "transformers is not installed: pip install transformers"
        write_config(shape.model, scratch)
        return [sys.executable, "-c", COLD, str(scratch)]

    def agreements(self, shape: Shape) -> Iterator[Agreement]:
        """Compare every operator of a prefill and of a step after it, and the weights."""
        batch, prompt, analyzer = 16, 8192, self.analyzer(shape.model)
        _, phases = asked(self.asks(shape), batch, prompt)
        for phase, keys, tokens in (("prefill", prompt, prompt), ("decode", prompt + 1, 1)):
            found = analyzer.analyze(keys, batch)[phase]
            yield from operators(phase, found, phases[phase], analyzer.model_params, batch, tokens)
        totals = analyzer.results["total_results"]["prefill"]
        linear = [n for n, op in phases["prefill"].items() if op["kind"] == "linear"]
        yield Agreement("weights of its linears, B", totals["load_weight"],
                        total(phases["prefill"], linear, "weight_bytes"))  # fmt: skip

    def times(self, shape: Shape) -> dict[str, tuple[float, float]]:
        """Return its time of a prefill and of a step, and ours as written [s]."""
        ours, _ = asked(self.asks(shape), 16, 8192)
        analyzer = self.analyzer(shape.model)
        return {
            phase: (analyzer.analyze(keys, 16)["total_results"][phase]["inference_time"],
                    ours["phases"][phase]["time_s"])
            for phase, keys in (("prefill", 8192), ("decode", 8193))
        }  # fmt: skip


def write_config(model: str, folder: Path) -> None:
    """Write a bundled model's config into a folder."""
    text = json.dumps(dict(load_bundled(model).config.values))
    (folder / "config.json").write_text(text, "utf-8")


OPERATORS = {
    "q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "out_proj": "o_proj",
    "gate_proj": "gate_proj", "up_proj": "up_proj", "down_proj": "down_proj",
    "qk_matmul": "scores", "softmax": "softmax", "sv_matmul": "values", "attn_norm": "attn_norm",
    "mlp_norm": "ffn_norm", "mlp_act": "act", "attn_add": "attn_add", "mlp_add": "ffn_add",
    "lm_head": "lm_head",
}  # fmt: skip
"""Its name of an operator → ours."""


LEFT_OUT = ("embed", "final_norm", "q_rope", "k_rope", "k_append", "v_append")
"""Operators of ours that it has not."""


def operators(
    phase: str, theirs: dict[str, Any], ours: Ops, config: Any, batch: int, tokens: int
) -> Iterator[Agreement]:
    """Compare FLOPs, bytes and time of each operator of a layer."""
    known = apart(config, batch, tokens)
    for name, own in OPERATORS.items():
        flops, size = known.get(name, ((0.0, ""), (0.0, "")))
        if name == "qk_matmul" and phase == "decode":
            size = (0.0, "")
        yield Agreement(f"{phase} {name} FLOP", theirs[name]["OPs"], ours[own]["flops"], *flops)
        yield Agreement(f"{phase} {name} B", theirs[name]["memory_access"], ours[own]["bytes"],
                        *size)  # fmt: skip
        if not flops[0] and not size[0]:
            yield Agreement(f"{phase} {name} s", theirs[name]["inference_time"],
                            ours[own]["time_s"])  # fmt: skip
    left = [name for name in LEFT_OUT if name in ours]
    size = total(ours, left, "bytes")
    yield Agreement(f"{phase} others B", 0.0, size, size, "left out: norm, rope, cache, table")
    unknown = ours.keys() - {*OPERATORS.values(), *LEFT_OUT}
    yield Agreement(f"{phase} unknown B", 0.0, total(ours, sorted(unknown), "bytes"))


Known = tuple[float, str]
"""How much more ours is, and why."""


def apart(config: Any, batch: int, tokens: int) -> dict[str, tuple[Known, Known]]:
    """Return how much more we count of an operator, in FLOPs and in bytes, and why."""
    rows, hidden, inner = batch * tokens, config.hidden_size, config.intermediate_size
    heads, pairs, vocabulary = (
        config.num_attention_heads, config.num_key_value_heads, config.vocab_size,
    )  # fmt: skip
    norm = ((-3.0 * rows * hidden, "4 FLOP an element, not 7"),
            (2.0 * hidden, "reads the norm's weights"))  # fmt: skip
    add = ((0.0, ""), (2.0 * rows * hidden, "an addition reads two operands"))
    return {
        "attn_norm": norm, "mlp_norm": norm, "attn_add": add, "mlp_add": add,
        "mlp_act": (
            (rows * (5.0 * inner - 2.0 * hidden), "5 FLOP, on the inner width"),
            (6.0 * rows * (inner - hidden), "is as wide as up and down"),
        ),
        "qk_matmul": (
            (0.0, ""),
            (2.0 * rows * hidden * (1 - pairs / heads), "queries have all the heads"),
        ),
        "lm_head": (
            (1.0 * batch * hidden * vocabulary, "a multiply and an add a weight"),
            (2.0 * (batch - 1) * (hidden + vocabulary), "a row of each sequence, not one"),
        ),
    }  # fmt: skip


def _stand_in() -> None:
    """Put something in the place of transformers that reads a config.json, and no more."""
    module = ModuleType("transformers")

    class AutoConfig:
        @staticmethod
        def from_pretrained(folder: str, **_: object) -> SimpleNamespace:
            return SimpleNamespace(**json.loads(Path(folder, "config.json").read_text("utf-8")))

    for name in ("AutoConfig", "AutoTokenizer", "AutoModelForCausalLM"):
        setattr(module, name, AutoConfig)
    sys.modules["transformers"] = module

"""A plugin as a stranger would write it: one technique, one chip, one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mansard.core.hooks import hookimpl
from mansard.ir import P, Rule
from mansard.ir.ops import Softmax
from mansard.ir.pattern import Match
from mansard.passes.options import option
from mansard.passes.technique import Pass

CHIP = """
id = "toaster"
name = "Toaster 9000"
vendor = "Example"
[memory]
capacity = "1TB"
bandwidth = "10TB/s"
[peak.matrix]
bf16 = "100TFLOPS"
[peak.vector]
fp32 = "10TFLOPS"
"""


@dataclass(frozen=True)
class NameSoftmax(Pass):
    """Give every softmax a name of its own."""

    name = "name-softmax"
    noun = "softmax"
    source = "[Vaswani 2017, eq. 1]"

    prefix: str = option("soft", "what the name begins with")
    bug: bool = option(False, "raise what no pass should raise")

    def rules(self) -> tuple[Rule, ...]:
        """Rename, or fail as code that nobody tried does."""
        return (Rule(P(Softmax), self._renamed, because="an example"),)

    def _renamed(self, m: Match) -> Any:
        if self.bug:
            raise KeyError("nobody tried this")
        return m.root.renamed(f"{self.prefix}.{m.root.name}")


@hookimpl
def mansard_passes() -> Sequence[type[Pass]]:
    """Add the technique."""
    return [NameSoftmax]


@hookimpl
def mansard_hardware() -> Mapping[str, str]:
    """Add the chip."""
    return {"toaster": CHIP}


@hookimpl
def mansard_models() -> Mapping[str, Mapping[str, Any]]:
    """Add the model."""
    return {
        "tiny-example": {
            "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100,
            "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128,
            "max_position_embeddings": 4096, "torch_dtype": "bfloat16",
            "architectures": ["LlamaForCausalLM"],
        }
    }  # fmt: skip

"""The models that are measured: one of each kind that costs differently."""

from __future__ import annotations

from dataclasses import dataclass

from mansard.query.study import Study, study


@dataclass(frozen=True)
class Shape:
    """A kind of model on devices.

    Args:
        title: as columns of the table have it.
        model: of the bundled ones.
        on: the devices.
        techniques: passes.
    """

    title: str
    model: str
    on: str = "h100-sxm"
    techniques: tuple[str, ...] = ()

    def study(self, prompt: int, output: int, batch: int = 1, level: str = "O1") -> Study:
        """Return it as a study of one scenario."""
        return study(self.model, on=self.on, techniques=list(self.techniques), level=level,
                     batch=batch, prompt=prompt, output=output)  # fmt: skip


DENSE = Shape("dense", "llama-3.1-70b", "h100-sxm:8", ("parallel{tp=8}",))
MOE = Shape("MoE", "mixtral-8x7b-v0.1")
MLA = Shape("MLA", "deepseek-v3", "h200-sxm:8", ("parallel{tp=8}",))
WINDOWS = Shape("windows", "gemma-2-2b")
SHAPES = (DENSE, MOE, MLA, WINDOWS)
"""Columns of the table: Llama 3.1 70B (tp=8), Mixtral 8x7B, DeepSeek-V3 (tp=8), Gemma 2 2B."""

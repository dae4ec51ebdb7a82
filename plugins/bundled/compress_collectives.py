"""Compressed collectives: fewer bits over the links between devices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mansard as ms
from mansard.core.dtypes import stored
from mansard.ir.op import Op
from mansard.ir.ops import Collective, Dequantize, Quantize
from mansard.ir.pattern import Match


@dataclass(frozen=True)
class CompressCollectives(ms.Pass):
    """Quantize what devices exchange, and decode it where it arrives.

    The payload shrinks by the ratio of the bits, scales of each ``group`` included; quantizing and
    decoding are ``2·|x|`` FLOP each, read and written besides. A reduction adds decoded parts
    between its two halves, in the kernel of the exchange.
    """

    name = "compress-collectives"
    noun = "collective"
    source = "[Li 2024 Flash Communication, §3]"
    requires = ("parallel",)
    assumes = ("parts of a reduction are decoded and encoded again inside its kernel",)
    omits = ("what rounding does to the model's answers",)

    dtype: str = ms.option("int8", "what goes over the link", choices=("int8", "fp8", "int4"))
    group: int = ms.option(128, "elements that share a 16-bit scale", least=0)
    only: tuple[str, ...] = ms.option(("all_reduce", "all_gather", "reduce_scatter"),
                                      "collectives that are compressed")  # fmt: skip

    def rules(self) -> tuple[ms.Rule, ...]:
        """Put a quantization in front of each exchange and a decoding behind it."""
        wide = ms.P(Collective, where=self._is_wide)
        return (ms.Rule(wide, self._narrowed, because=f"fewer bits over links {self.source}"),)

    def _is_wide(self, op: Op) -> bool:
        return isinstance(op, Collective) and op.op in self.only and op.x.encoding.is_plain

    def _narrowed(self, match: Match) -> Op:
        op = match.root
        assert isinstance(op, Collective)
        to = stored(self.dtype, op.x.encoding.dtype, group=self.group)
        narrow = match.add(Quantize(op.x, to, device=op.device), f"{op.name}.quantize")
        sent = match.add(replace(op, x=narrow, outs=(), name=f"{op.name}.{self.dtype}"),
                         f"{op.out.name}.{self.dtype}")  # fmt: skip
        return Dequantize(sent, device=op.device, name=f"{op.name}.dequantize")

    def counts(self, op: Op) -> bool:
        """One collective an exchange."""
        return isinstance(op, Collective)

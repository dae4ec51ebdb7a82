"""Sliding-window attention: an op, a technique that inserts it, and their registration."""

from dataclasses import dataclass, replace

import mansard as ms
from mansard.ir.ops import Scores, Values


class MarkWindow(ms.Op):
    """``b[i] = max(0, i - window)``: where the window of each of ``T`` queries begins, 1 FLOP."""

    has_effect = True  # the kernel's scheduler reads it
    q: ms.Value

    def infer(self):
        return (ms.TensorType(self.q.shape[:1], self.q.encoding.plain),)

    def cost(self):
        return ms.Cost(
            {("vector", "int32", "dense"): self.out.numel}, {}, {self.out: self.out.bytes}
        )


@dataclass(frozen=True)
class SlidingWindow(ms.Pass):
    """Score the last ``window`` keys of each query; the cache keeps all of them."""

    name, noun, source = "sliding-window", "attention op", "[Beltagy 2020, §3.1]"
    assumes, removes = ("kernels skip masked pairs",), "pairs with keys outside the window"
    example, identity = "window=64", "window=0"

    window: int = ms.option(0, "keys a query scores, its own too; 0: all", least=0, unit="tokens")

    def rules(self):
        causal = ms.P((Scores, Values), where=lambda op: self.window and op.mask.kind == "causal")
        return (ms.Rule(causal, self.build, because="local context [Beltagy 2020, §3.1]"),)

    def build(self, m):
        if isinstance(m.root, Scores):
            m.add(MarkWindow(m.root.q), f"{m.root.name}.window")
        return replace(m.root, mask=replace(m.root.mask, kind="window", size=self.window))


@ms.hookimpl
def mansard_ops():
    return [MarkWindow]


@ms.hookimpl
def mansard_passes():
    return [SlidingWindow]

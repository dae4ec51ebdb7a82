"""Entropy-coded weights: the same numbers in fewer bits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.dtypes import BITS
from mansard.ir.builder import fresh_name
from mansard.ir.op import Op, finish
from mansard.ir.ops import Dequantize, Linear
from mansard.ir.rewrite import Rewritten, everywhere, rebuild, retype
from mansard.passes.stored_weights import KEPT, compressible
from mansard.passes.written_numbers import exact


class Decompress(Dequantize):
    """Decode entropy-coded weights.

    FLOP  0     look-ups and shifts, no arithmetic of either unit
    B     |coded| + |w|, the latter on chip where the product's kernel decodes
    """

    kind = "decompress"

    def cost(self) -> ms.Cost:
        """See the class."""
        return self.streamed()


@dataclass(frozen=True)
class EntropyCode(ms.Pass):
    """Store weights in ``bits`` each, losslessly: their exponents hold less than they could.

    bf16 weights of trained models have some 11 bits of information (DFloat11: 70 % of the size).
    ``where=memory`` decodes a matrix to memory before its product reads it, as DFloat11 does: less
    is stored, but a step moves more, ``bits + 2·16`` a weight. ``where=chip`` decodes in the
    product's own kernel.
    """

    name = "entropy-code"
    noun = "weight"
    source = "[Zhang 2025 DFloat11]"
    assumes = ("every matrix has the same entropy",)
    omits = ("the time of look-ups, which can exceed what is saved",)

    bits: float = ms.option(10.9, "stored bits of a weight: six models have 10.8 to 11.1 [Zhang"
                            " 2025 DFloat11]", least=1, most=16)  # fmt: skip
    where: str = ms.option("memory", "where decoded weights go", choices=("memory", "chip"))
    skip: tuple[str, ...] = ms.option(KEPT, "modules left as they are")

    def transform(self, graph: ms.Graph) -> Rewritten:
        """Shrink plain weights, and decode before each product."""
        used = {op.w for op, _ in graph.walk() if type(op) is Linear}
        chosen = {leaf for leaf in compressible(graph, self.skip) if leaf in used
                  and leaf.encoding.is_plain and BITS[leaf.encoding.dtype] > self.bits}  # fmt: skip
        if not chosen:
            return Rewritten(graph, 0)
        storages = {leaf.storage for leaf in chosen}

        def coded(leaf: ms.Value) -> ms.TensorType:
            if leaf not in chosen:
                return leaf.type
            dtype = leaf.encoding.dtype
            share = exact(self.bits) / sp.Integer(BITS[dtype])
            return replace(leaf.type, encoding=replace(leaf.encoding, of=dtype, density=share))

        small = retype(graph, coded)
        return Rewritten(everywhere(small, lambda body: self._decoded(body, storages)), len(chosen))

    def _decoded(self, body: ms.Graph, storages: set[str]) -> ms.Graph:
        why = f"{self.name}: exponents are Huffman-coded {self.source}"
        edits: dict[Op, list[Op]] = {}
        taken = {v.name for v in (*body.inputs, *body.producers)}
        for op in body.ops:
            if type(op) is not Linear or op.w.storage not in storages or op.w in body.producers:
                continue
            made = finish(Decompress(op.w, because=(why,)), fresh_name(f"{op.out.name}.w", taken))
            made = replace(made, name=f"{op.name}.decompress")
            label = (op.kernel or op.out.name) if self.where == "chip" else op.kernel
            after = replace(op, w=made.out, kernel=label).explained(why)
            edits[op] = [replace(made, kernel=label if self.where == "chip" else ""), after]
        return rebuild(body, edits=edits) if edits else body

    def counts(self, op: Op) -> bool:
        """One weight a decoding."""
        return isinstance(op, Decompress)

"""Vector quantization: short codes that name vectors of a codebook."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.dtypes import BITS, Encoding
from mansard.core.symbols import Expr
from mansard.ir.builder import fresh_name
from mansard.ir.op import Op, finish
from mansard.ir.ops import Linear
from mansard.ir.rewrite import Rewritten, everywhere, rebuild, retype
from mansard.passes.stored_weights import KEPT, compressible


class LookUpCodes(ms.Op):
    """Decode codes to weights: each group of ``vector`` weights is a sum of ``books`` vectors.

    FLOP  |w|·(books - 1)   a sum of the vectors that codes name; one book is a look-up
    B     |codes| + |codebooks| + |w|, the latter on chip in the kernel of the product

    Args:
        codes: ``[n, k]``, ``books·code/vector`` bits a weight.
        codebooks: ``[books, 2^code, vector]``.
    """

    kind = "look_up_codes"
    codes: ms.Value
    codebooks: ms.Value

    def infer(self) -> tuple[ms.TensorType, ...]:
        """The weights, decoded."""
        return (ms.TensorType(self.codes.shape, self.codes.encoding.plain),)

    def cost(self) -> ms.Cost:
        """See the class."""
        books = self.codebooks.shape[0]
        return self.streamed(self.codes.numel * (books - 1), dtype=self.out.encoding.dtype)

    def dims(self) -> dict[str, Expr | str]:
        """Rows, columns and codebooks."""
        n, k = self.codes.shape
        return {"n": n, "k": k, "books": self.codebooks.shape[0]}


@dataclass(frozen=True)
class VectorQuantize(ms.Pass):
    """Store ``code`` bits for each ``vector`` weights and codebook: ``books·code/vector`` a weight.

    Every matrix has ``books`` codebooks of ``2^code`` vectors in 16 bits, read once a launch, and a
    16-bit scale a row. AQLM is ``books=1 code=16 vector=8`` or ``books=2 code=8 vector=8``, two
    bits a weight each; QuIP# ``books=1 code=16 vector=8`` with a codebook shared by all, 2 KiB
    after its symmetries.
    """

    name = "vector-quantize"
    noun = "weight"
    source = "[Egiazarian 2024; Tseng 2024]"
    example = "books=2 code=8 vector=8"
    assumes = (
        "codes are decoded in the kernel of their product",
        "parallel stands before it",
        "products keep weights of their own: merge-qkv leaves them",
    )
    omits = ("conflicts of look-ups", "codebooks that do not stay on chip during a launch")

    books: int = ms.option(1, "codebooks of a matrix", least=1, most=8)
    code: int = ms.option(16, "bits of a code", least=4, most=16)
    vector: int = ms.option(8, "weights of a code", least=1, most=32)
    skip: tuple[str, ...] = ms.option(KEPT, "modules left as they are")

    def __post_init__(self) -> None:
        super().__post_init__()
        bits = sp.Rational(self.books * self.code, self.vector)
        if f"int{bits}" not in BITS:
            raise ms.MansardError(f"vector-quantize: {self.books} codes of {self.code} bits for "
                                  f"{self.vector} weights are {bits} bits a weight",
                                  hint="choose 1, 2, 3, 4, 5, 6 or 8")  # fmt: skip

    def transform(self, graph: ms.Graph) -> Rewritten:
        """Narrow the weights, and put a look-up before each product."""
        chosen = {leaf for leaf in compressible(graph, self.skip)
                  if leaf.encoding.is_plain and len(leaf.shape) == 2}  # fmt: skip
        chosen = {leaf for leaf in chosen if any(
            type(op) is Linear and op.w is leaf for op, _ in graph.walk())}  # fmt: skip
        storages = {leaf.storage for leaf in chosen}
        if not chosen:
            return Rewritten(graph, 0)
        coded = retype(graph, lambda v: replace(v.type, encoding=self._codes(v)) if v in chosen
                       else v.type)  # fmt: skip
        return Rewritten(everywhere(coded, lambda body: self._decoded(body, storages)), len(chosen))

    def _codes(self, leaf: ms.Value) -> Encoding:
        bits = sp.Rational(self.books * self.code, self.vector)
        row = int(leaf.shape[1]) if leaf.shape[1].is_Integer else 0
        return Encoding(f"int{bits}", of=leaf.encoding.dtype, group=row, scale_bits=16)

    def _decoded(self, body: ms.Graph, storages: set[str]) -> ms.Graph:
        why = f"{self.name}: codes are looked up {self.source}"
        edits: dict[Op, list[Op]] = {}
        taken = {v.name for v in (*body.inputs, *body.producers)}
        for op in body.ops:
            if type(op) is not Linear or op.w.storage not in storages or op.w in body.producers:
                continue
            shape = tuple(map(sp.Integer, (self.books, 2**self.code, self.vector)))
            kind = ms.TensorType(shape, op.w.encoding.plain, "weight",
                                 f"{op.w.storage}.codebooks")  # fmt: skip
            look = LookUpCodes(op.w, ms.Value(kind.storage, kind), because=(why,))
            before = finish(look, fresh_name(f"{op.out.name}.codes", taken))
            label = op.kernel or op.out.name
            after = replace(op, w=before.out, kernel=label).explained(why)
            edits[op] = [replace(before, kernel=label), after]
        return rebuild(body, edits=edits) if edits else body

    def counts(self, op: Op) -> bool:
        """One weight a look-up."""
        return isinstance(op, LookUpCodes)

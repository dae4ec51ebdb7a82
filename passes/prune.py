"""Pruning weights: single ones, N of M, or whole dimensions of the model."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Linear
from mansard.ir.ops.partial_linear import PartialLinear
from mansard.ir.program import Program
from mansard.ir.region import Repeat
from mansard.ir.rewrite import Rewritten, retype
from mansard.ir.value import Value
from mansard.passes.editing import edited
from mansard.passes.experts import fewer
from mansard.passes.layers import without_deepest
from mansard.passes.options import option, spelled
from mansard.passes.smaller import SIZES, Kept, fewer_experts, fewer_layers, smaller
from mansard.passes.stored_weights import KEPT, compressible
from mansard.passes.technique import Outcome, Pass, counted, touched_by
from mansard.passes.written_numbers import exact

STRUCTURES = (*SIZES, "layers", "experts")
"""Options that say which share of a dimension is kept."""

EXPLOITED = ("2:4",)
"""Patterns a matrix unit may exploit [Mishra 2021]; others save memory alone."""


@dataclass(frozen=True)
class Prune(Pass):
    """Remove weights: single ones (``sparsity``), N of every M (``pattern``), or dimensions.

    ``sparsity s``: ``(1-s)`` of the weights are stored, with a bit for every position (bitmap) or a
    16-bit column for every kept weight (csr); products are computed dense, or skip the zeros
    (``compute=sparse``, on hardware that does). ``pattern=N:M``: N of M weights with ``⌈log2 M⌉``
    bits each: 2:4 in fp16 stores 0.5625 of the bytes; a chip with 2:4 units computes them at that
    rate, another at its dense one. ``heads``, ``kv-heads``, ``width``, ``hidden``, ``layers``,
    ``experts``: the share of that dimension that is kept; every matrix, norm and cache that has it
    shrinks, so work scales exactly. Shares are rounded to a whole size, which the report states.
    Less ``hidden`` needs matrices of ``hidden²`` in front of the residual sums [Ashkboos 2024,
    §3.3]. Fewer ``layers`` are the first of the longest run [Gromov 2024], as ``skip-layers``
    leaves them; fewer ``experts`` keep top-k and lose the router's rows [Lu 2024], as
    ``moe-routing`` does, so a step reads more of those that are left. Tokens are pruned by
    ``prune-tokens``.
    """

    name = "prune"
    example = "width=0.5"
    identity = "sparsity=0"
    removes = "what is pruned"
    noun = "weight"
    source = "[Frantar 2023; Mishra 2021; Ma 2023; Ashkboos 2024; Xia 2023 Flash-LLM]"
    assumes = (
        "layers of one run are alike, and so are experts: it does not matter which of them go",
        "kept weights are spread evenly: every row and every group has its share",
        "decoding a sparse tile hides behind loading it",
    )
    omits = ("what fewer weights do to the model's answers", "kernels' thresholds of sparsity")

    sparsity: float = option(0.0, "share of the weights that is removed", least=0, most=0.999)
    format: str = option("bitmap", "how kept weights are located", choices=("bitmap", "csr"))
    compute: str = option("dense", "whether zeros are multiplied", choices=("dense", "sparse"))
    pattern: str = option("", "N:M, the N weights kept of every M, such as 2:4")
    heads: float = option(1.0, "share of attention heads kept, KV heads with them", least=0, most=1)
    kv_heads: float = option(1.0, "share of KV heads kept, query heads staying", least=0, most=1)
    width: float = option(1.0, "share of the feed-forward width kept", least=0, most=1)
    hidden: float = option(1.0, "share of the hidden size kept", least=0, most=1)
    layers: float = option(1.0, "share of the longest run of layers kept", least=0, most=1)
    experts: float = option(1.0, "share of every mixture's experts kept", least=0, most=1)
    rotations: bool = option(True, "matrices that turn the residual when hidden shrinks")
    skip: tuple[str, ...] = option(KEPT, "modules whose single weights all stay")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sparsity and self.pattern:
            raise SpecError(
                "prune: sparsity and pattern both say which weights stay", hint="give one of them"
            )
        if self.pattern:
            _pattern(self.pattern)
        if self.compute == "sparse" and not self.sparsity:
            raise SpecError("prune: compute=sparse without sparsity", hint="add sparsity=…")
        for name in STRUCTURES:
            if getattr(self, name) == 0:
                what = spelled(name)
                raise SpecError(f"prune: {what} is 0, so nothing is left", hint="keep some of it")

    def run(self, program: Program) -> Outcome:
        """Prune; say to which sizes shares were rounded, and what no unit exploits."""
        if not (self.sparsity or self.pattern) and all(getattr(self, s) == 1 for s in STRUCTURES):
            said = "everything is kept; give sparsity=…, pattern=N:M or a share, such as heads=0.5"
            return Outcome(program, 0, notes=(Note("M022", f"{self.name}: {said}"),))
        outcome = super().run(program)
        notes = [Note("M021", f"prune: {text}") for text in self._rounded(program)]
        if self.pattern and self.pattern not in EXPLOITED:
            notes.append(
                Note("M021", f"prune: no matrix unit exploits {self.pattern}, memory does")
            )
        return replace(outcome, notes=(*outcome.notes, *notes))

    def _rounded(self, program: Program) -> list[str]:
        graph = program.graph(self.on) if self.on in program.graphs else program.graph()
        said = {k.text: None for k in self._dimensions(graph) if k.text}
        if self.layers != 1:
            said[fewer_layers(graph, exact(self.layers)).text] = None
        said |= {k.text: None for k in fewer_experts(graph, exact(self.experts)).values()}
        return [text for text in said if text]

    def transform(self, graph: Graph) -> Rewritten:
        """Shrink dimensions, then thin out what is left."""
        why = f"{self.name}: weights are removed {self.source}"
        before = graph
        dimensions = self._dimensions(graph)
        graph = smaller(graph, dimensions, why, rotate=self.rotations)
        found = len(dimensions)
        experts = {m: k.left for m, k in fewer_experts(graph, exact(self.experts)).items()}
        if any(left != m.count for m, left in experts.items()):
            graph = fewer(graph, experts, why)
            found += len(experts)
        if self.layers != 1 and (gone := fewer_layers(graph, exact(self.layers)).gone):
            graph = without_deepest(graph, gone, self.name, why)
            found += gone
        if self.sparsity or self.pattern:
            chosen = compressible(graph, self.skip)
            graph = self._thinned(graph, chosen, why)
            found += len(chosen)
        return Rewritten(before if not found else graph, found)

    def counts(self, op: Op) -> bool:
        """Weights, not the runs that hold them."""
        return not isinstance(op, Repeat)

    def describe(self, before: Graph, after: Graph) -> str:
        """Count weights that changed, and layers that went."""
        said = [] if self.layers == 1 else [fewer_layers(before, exact(self.layers)).gone]
        layers = [counted(gone, "layer") for gone in said]
        changed = touched_by(after, self.name, self.counts)
        return ", ".join([*([counted(changed, self.noun)] if changed != 0 else []), *layers])

    def _dimensions(self, graph: Graph) -> tuple[Kept, ...]:
        wanted = {name: exact(getattr(self, name)) for name in SIZES}
        return tuple(
            k
            for name, share in wanted.items()
            if share != 1
            for k in SIZES[name](graph, share)
            if k.ratio != 1
        )

    def _thinned(self, graph: Graph, chosen: dict[Value, list[Op]], why: str) -> Graph:
        users = {op for ops in chosen.values() for op in ops}
        graph = retype(
            graph,
            lambda v: replace(v.type, encoding=self._encoding(v)) if v in chosen else v.type,
        )
        names = {op.out.name for op in users}

        def marked(op: Op) -> Op:
            if not (op.outs and op.out.name in names):
                return op
            if self.compute == "sparse" and type(op) is Linear:
                share = 1 - exact(self.sparsity)
                op = PartialLinear(
                    op.x, op.w, op.bias, share,
                    outs=op.outs, name=op.name, device=op.device, kernel=op.kernel,
                    because=op.because,
                )  # fmt: skip
            return op.explained(why)

        return edited(graph, attributes=marked)

    def _encoding(self, leaf: Value) -> Encoding:
        old = leaf.encoding
        if old.density != 1:
            raise SpecError(
                f"prune: {leaf.storage} is sparse already", hint="prune single weights once"
            )
        decoded = old.of or old.dtype
        if self.pattern:
            n, m = _pattern(self.pattern)
            structure = self.pattern if self.pattern in EXPLOITED else "dense"
            bits = sp.Integer((m - 1).bit_length())
            kept = sp.Rational(n, m)
            return replace(old, of=decoded, density=kept, index_bits=bits, structure=structure)
        kept = 1 - exact(self.sparsity)
        if self.format == "csr":  # a 16-bit column for each [Xia 2023 Flash-LLM, §4.3.1]
            return replace(old, of=decoded, density=kept, index_bits=16)
        return replace(old, of=decoded, density=kept, bitmap=True)


def _pattern(text: str) -> tuple[int, int]:
    """Read ``N:M``.

    Raises:
        SpecError: it is none, or keeps everything.
    """
    n, _, m = text.partition(":")
    digits = n.isascii() and n.isdigit() and m.isascii() and m.isdigit() and len(text) < 8
    if not digits or not 0 < int(n) < int(m):
        raise SpecError(f"prune: pattern is {text!r}", hint="write N:M with N below M, like 2:4")
    return int(n), int(m)

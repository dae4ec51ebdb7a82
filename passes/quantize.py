"""Quantization: other encodings for weights, activations and caches, and the work they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from mansard.core.dtypes import BITS, FORMATS, Encoding, stored
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.symbols import Expr, P, S, ceil_div, product
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish, same_size
from mansard.ir.ops import (
    BlockLinear,
    Copy,
    Dequantize,
    Embedding,
    GroupedLinear,
    Linear,
    Scores,
    Values,
)
from mansard.ir.ops import Quantize as QuantizeOp
from mansard.ir.program import Program
from mansard.ir.region import Repeat
from mansard.ir.rewrite import Rewritten, everywhere, rebuild, retype
from mansard.ir.value import TensorType, Value, stored_parts
from mansard.ir.verify import verify
from mansard.passes.fuse_elementwise import joining
from mansard.passes.labels import relabelled
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass, counted

FORMAT_NAMES = tuple(n for n in [*BITS, *FORMATS] if n not in ("bool", "int32", "int64", "fp64"))
Product = Linear | GroupedLinear | BlockLinear
REASON = "{}: fewer bits for what is stored [Yuan 2024, §3.1]"


@dataclass(frozen=True)
class Quantize(Pass):
    """Store weights, activations or caches in fewer bits, each on its own.

    Weights alone: bytes fall by the encoding's exact bits, arithmetic stays in the wide dtype, and
    decoding is work of its own on the vector unit, repeated for each tile of rows a kernel makes.
    Weights and activations: products run at the narrow rate, and activations are quantized first.
    Changes no FLOP on the matrix unit. An option left empty leaves that kind of tensor as it is,
    and so does a format that is no narrower (``weights=bf16``). Limited to a phase, the weights are
    a second copy, since the other phases keep theirs.
    """

    name = "quantize"
    noun = "tensor"
    source = "[Yuan 2024, §3.1]"
    assumes = (
        "scales and zero points are read with the elements they serve",
        "a product's result is stored in the wide dtype",
    )
    omits = (
        "what fewer bits do to the model's answers",
        "decoding of keys that only some masks pick (chunks, budgets)",
        "widening int4 weights to int8 activations, a shift in the product's own loop",
    )

    weights: str = option("", "format of weights of matrix products", choices=FORMAT_NAMES)
    activations: str = option("", "format of the inputs of those products", choices=FORMAT_NAMES)
    kv: str = option("", "format of the key-value cache", choices=FORMAT_NAMES)
    group: int = option(0, "elements that share a scale; 0 counts none", least=0)
    scale_bits: int = option(16, "bits of a scale", least=0, most=64)
    zero_bits: int = option(0, "bits of a zero point", least=0, most=64)
    skip: tuple[str, ...] = option(("lm_head", "router", "embed"), "modules left as they are")
    dequantize: str = option(
        "fused", "decoding: fused in the product, a kernel of its own, or free",
        choices=("fused", "unfused", "free"),
    )  # fmt: skip
    tile: int = option(
        128, "rows of a product's tile, for each of which weights are decoded", least=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.weights or self.activations or self.kv):
            raise SpecError("quantize: nothing to quantize", hint="write weights=…, kv=… or both")
        if self.activations and not self.weights:
            raise SpecError("quantize: activations without weights", hint="add weights=…")
        if self.kv and self.phase:
            raise SpecError(
                f"quantize: kv={self.kv} in {self.phase} alone: every phase reads the same cache",
                hint="leave phase out, or quantize weights alone",
            )

    def run(self, program: Program) -> Outcome:
        """Retype leaves, then insert the ops that convert."""
        outcome = super().run(program)
        fixed = [n for n in (self.weights, self.kv) if n in FORMATS]
        if self.group and fixed:
            note = Note(
                "M021", f"quantize: group={self.group} is ignored, {fixed[0]} fixes its own"
            )
            outcome = replace(outcome, notes=(*outcome.notes, note))
        return outcome

    def transform(self, graph: Graph) -> Rewritten:
        """Give leaves their encodings; then decode and quantize where products need it."""
        chosen = self._chosen(graph)
        typed = retype(graph, lambda v: chosen.get(v, v.type))
        if typed is graph:
            return Rewritten(graph, len(chosen))
        made = everywhere(typed, self._converting)
        return Rewritten(made if made is typed else verify(made), len(chosen))

    def describe(self, before: Graph, after: Graph) -> str:
        """Count leaves by role, every layer's own."""
        from mansard.ir.footprint import storages

        old = storages(before)
        counts: dict[str, Expr] = {}
        for name, now in storages(after).items():
            name = name.removesuffix(self._copy)
            if name in old and old[name].value.encoding != now.value.encoding:
                counts[now.value.role] = counts.get(now.value.role, 0) + now.copies
        return ", ".join(counted(n, role) for role, n in counts.items())

    # Which leaves.

    def _chosen(self, graph: Graph) -> dict[Value, TensorType]:
        found: dict[Value, TensorType] = {}
        kept: set[Value] = set()
        stored_as = {v.storage: v for v in graph.leaves}
        for op, used in _uses(graph):
            leaf = stored_as.get(used.storage, used)
            if self._skips(op.name) or self._skips(leaf.storage):
                kept.add(leaf)
            elif self.weights and not isinstance(op, Embedding):
                found[leaf] = self._type(leaf, self.weights)
        if self.kv:
            caches = (leaf for leaf in graph.leaves if leaf.role == "cache")
            found |= {leaf: self._type(leaf, self.kv) for leaf in caches}
        return {v: t for v, t in found.items() if v not in kept}

    def _type(self, leaf: Value, name: str) -> TensorType:
        if _width(name) >= BITS[leaf.encoding.plain.dtype]:
            return leaf.type
        encoding = self._encoding(name, leaf.encoding)
        if encoding == leaf.encoding:
            return leaf.type
        return replace(leaf.type, encoding=encoding, storage=leaf.storage + self._copy)

    @property
    def _copy(self) -> str:
        """What the storages of a phase's own copy are called besides."""
        return f"@{self.phase}" if self.phase else ""

    def _encoding(self, name: str, old: Encoding) -> Encoding:
        group, scale, zero = self.group, self.scale_bits, self.zero_bits
        new = stored(name, old.plain.dtype, group=group, scale_bits=scale, zero_bits=zero)
        if old.density == 1:
            return new
        return replace(
            new, density=old.density, index_bits=old.index_bits, bitmap=old.bitmap,
            structure=old.structure,
        )  # fmt: skip

    def _skips(self, name: str) -> bool:
        """Whether a pattern names the module, a parent of it, or a run of parts of its name."""
        parts = name.partition("~")[0].split(".")
        spans = range(len(parts) + 1)
        runs = {".".join(parts[i:j]) for i in spans for j in spans if i < j}
        return any(fnmatchcase(run, pattern) for pattern in self.skip for run in runs)

    # What converts.

    def _converting(self, graph: Graph) -> Graph:
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        edits: dict[Op, list[Op]] = {}
        narrow: dict[Value, Op] = {}
        for op in graph.ops:
            new: list[Op]
            if isinstance(op, Repeat) and op.shared and self._copy:
                new = [replace(op, shared=(*op.shared, *(s + self._copy for s in op.shared)))]
            elif isinstance(op, (Linear, GroupedLinear, BlockLinear)) and self.weights:
                new = self._product(op, graph, taken, narrow)
            elif isinstance(op, (Scores, Values)) and self.kv and self.dequantize != "free":
                new = self._attention(op, graph, taken)
            else:
                continue
            if new:
                edits[op] = new
        return self._epilogues(rebuild(graph, edits=edits)) if edits else graph

    def _epilogues(self, graph: Graph) -> Graph:
        """Quantize activations in the kernel that makes them, where it can."""
        if self.dequantize != "fused":
            return graph
        labels = joining(graph, lambda op: isinstance(op, QuantizeOp) and self._why in op.because)
        return rebuild(graph, edits=relabelled(graph, labels, self._why)) if labels else graph

    def _product(
        self, op: Product, graph: Graph, taken: set[str], narrow: dict[Value, Op]
    ) -> list[Op]:
        """Return a product with what must convert its operands in front of it."""
        plain = all(p.encoding.is_plain for p in _leaves(op.w, graph))
        if plain or _decoded(op.w, graph) or self._why in op.because:
            return []
        wide = BITS[op.x.encoding.plain.dtype]
        if self.activations and _width(self.activations) < wide and not self._skips(op.name):
            new = []
            if op.x not in narrow:
                to = self._encoding(self.activations, op.x.encoding)
                name = fresh_name(f"{op.name}.quantize", taken)
                narrow[op.x] = finish(QuantizeOp(op.x, to, because=(self._why,)), name)
                new.append(narrow[op.x])
            return [*new, replace(op, x=narrow[op.x].out).explained(self._why)]
        if self.dequantize == "free":
            return [op.explained(self._why)]
        fused = self.dequantize == "fused"
        rows = product(op.x.shape[:-1])
        blocks = op.dims().get("groups", 1)  # of experts, each sees its share of the rows
        times = ceil_div(rows, self.tile * blocks) if fused else 1
        decoded = Dequantize(op.w, times, op.weights_read(), because=(self._why,))
        name = fresh_name(f"{op.name}.dequantize", taken)
        label = (op.kernel or op.out.name) if fused else ""
        before = replace(finish(decoded, name), kernel=label)
        after = replace(op, w=before.out, kernel=label or op.kernel)
        return [before, after.explained(self._why)]

    def _attention(self, op: Scores | Values, graph: Graph, taken: set[str]) -> list[Op]:
        """Return scores or values with the cache decoded in the same kernel."""
        cache = op.k if isinstance(op, Scores) else op.v
        if cache.encoding.is_plain or _decoded(cache, graph):
            return []
        if op.mask.size is not None and not same_size(op.mask.reach(S, P), cache.shape[2]):
            return []  # an op decodes all it reads, and here only some keys are read
        label = op.kernel or op.out.name
        decoded = Dequantize(cache, because=(self._why,))
        name = fresh_name(f"{op.name}.dequantize", taken)
        before = replace(finish(decoded, name), kernel=label)
        after = op.with_operands({cache: before.out}).explained(self._why)
        return [before, replace(after, kernel=label)]

    @property
    def _why(self) -> str:
        return REASON.format(self.name)


def _width(name: str) -> int:
    return BITS[FORMATS[name].dtype if name in FORMATS else name]


def _uses(graph: Graph) -> Iterator[tuple[Op, Value]]:
    """Yield each op with the leaves it multiplies with, or looks up: a tied head is both."""
    for op in graph.ops:
        if isinstance(op, (Linear, GroupedLinear, BlockLinear, Embedding)):
            yield from ((op, leaf) for leaf in _leaves(op.w, graph))
        for body in op.bodies:
            yield from _uses(body)


def _leaves(value: Value, graph: Graph) -> Iterator[Value]:
    """Yield the stored weights a value comes from, views and copies looked through."""
    for part in stored_parts(value):
        owner = graph.producers.get(part)
        if owner is not None and (owner.is_view or isinstance(owner, (Copy, Dequantize))):
            yield from _leaves(owner.operands[0], graph)
        elif part.storage and part.role == "weight":
            yield part


def _decoded(value: Value, graph: Graph) -> bool:
    """Whether a value, or what a joined value is made of, was decoded already."""
    makers = (graph.producers.get(p) for p in (value, *stored_parts(value)))
    return any(isinstance(maker, Dequantize) for maker in makers)

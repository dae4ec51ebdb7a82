"""Quantization: other encodings for weights, activations and caches, and the work they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from mansard.core.dtypes import BITS, FORMATS, Encoding, stored
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import BlockLinear, Embedding, GroupedLinear, Linear
from mansard.ir.program import Program
from mansard.ir.rewrite import Rewritten, everywhere, retype
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.conversions import Conversions, stored_weights
from mansard.passes.options import option
from mansard.passes.recent_kv import KeepRecent, recent_caches
from mansard.passes.step_ranges import on_steps, read_steps
from mansard.passes.stored_weights import KEPT, matches
from mansard.passes.technique import EVERY, Outcome, Pass, counted
from mansard.passes.written_numbers import exact

FORMAT_NAMES = tuple(n for n in [*BITS, *FORMATS] if n not in ("bool", "int32", "int64", "fp64"))
COLUMN_BITS = 16  # of an outlier's column [Dettmers 2023]
REASON = "{}: fewer bits for what is stored [Yuan 2024, §3.1]"


@dataclass(frozen=True)
class Quantize(Pass):
    """Store weights, activations or caches in fewer bits, each on its own.

    Weights alone: bytes fall by the encoding's exact bits, arithmetic stays in the wide dtype, and
    decoding is work of its own on the vector unit, repeated for each tile of rows a kernel makes.
    Weights and activations: products run at the narrow rate, and activations are quantized first.
    Changes no FLOP on the matrix unit. An option left empty leaves that kind of tensor as it is,
    and so does a format that is no narrower (``weights=bf16``). Limited to a phase, or to a range
    of decode ``steps`` [Chen 2024 PMPD], the weights are a second copy, since the others keep
    theirs.

    ``per=channel``: a scale for each row of a weight matrix, token of an activation, and head and
    token of a cache: ``scale-bits`` over that row's length. ``outliers o``: of weights alone, the
    share ``o`` lies in the wide dtype besides, with a 16-bit column each, so ``32·o`` bits more
    [Dettmers 2023]; with activations, the share ``o`` of the input features, rounded to
    whole columns, is multiplied in the wide dtype by a second, smaller product over decoded
    weights: ``2·T·n·k·o`` there and ``2·T·n·k·(1-o)`` narrow [Dettmers 2022, §3.2]. ``kv-window w``
    and ``kv-sinks s``: the last ``w`` tokens of a sequence and the first ``s`` stay wide, so of
    ``P`` tokens ``least(P, w+s)`` do; those that leave the window are quantized then [Liu 2024,
    alg. 1; Duanmu 2024].
    """

    name = "quantize"
    example = "weights=int4 group=64"
    noun = "tensor"
    source = (
        "[Yuan 2024, §3.1; Dettmers 2022; Dettmers 2023; Liu 2024; Duanmu 2024; Chen 2024 PMPD]"
    )
    assumes = (
        "scales and zero points are read with the elements they serve",
        "a product's result is stored in the wide dtype",
        "outliers of weights are put in place while a tile is decoded",
        "the window moves by a token a step; kernels that quantize by groups of tokens do so later",
        "a row's scale is divided with the row where ranks share one",
    )
    omits = (
        "what fewer bits do to the model's answers",
        "decoding of keys that only some masks pick (chunks, budgets)",
        "widening int4 weights to int8 activations, a shift in the product's own loop",
        "row pointers of sparse outliers, 32 bits a row; gathering outlier columns",
        "fusing what follows into the sum of a product and its outlier features",
        "nested formats, whose narrow weights are a part of the wider: copies lie side by side",
    )

    weights: str = option("", "format of weights of matrix products", choices=FORMAT_NAMES)
    activations: str = option("", "format of the inputs of those products", choices=FORMAT_NAMES)
    kv: str = option("", "format of the key-value cache", choices=FORMAT_NAMES)
    per: str = option(
        "group", "what shares a scale: so many elements, or a whole channel",
        choices=("group", "channel"),
    )  # fmt: skip
    group: int = option(0, "elements that share a scale; 0: the tensor, not counted", least=0)
    scale_bits: int = option(16, "bits of a group's scales", least=0, most=4096)
    zero_bits: int = option(0, "bits of a zero point", least=0, most=64)
    outliers: float = option(
        0.0, "share of weights, or with activations of features, kept wide", least=0, most=0.5
    )
    kv_window: int = option(0, "recent tokens of a cache that stay wide", least=0, unit="tokens")
    kv_sinks: int = option(0, "first tokens of a cache that stay wide", least=0, unit="tokens")
    steps: str = option("", "only these decode steps, from 0: 0-63, or 64- to the end")
    skip: tuple[str, ...] = option(KEPT, "modules left as they are")
    dequantize: str = option(
        "fused", "decoding: fused in the product, a kernel of its own, or free",
        choices=("fused", "unfused", "free"),
    )  # fmt: skip
    tile: int = option(
        128, "rows of a product's tile, for each of which weights are decoded", least=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for wrong, message, hint in self._contradictions():
            if wrong:
                raise SpecError(f"quantize: {message}", hint=hint)

    def _contradictions(self) -> Iterator[tuple[object, str, str]]:
        """Yield (whether options contradict each other, how, what to do)."""
        alone = f"{self.phase or f'steps {self.steps}'} alone: every phase reads the same cache"
        either = self.weights or self.activations or self.kv
        keeps = self.kv_window or self.kv_sinks
        scales = self.group or self.per == "channel"
        yield not either, "nothing to quantize", "write weights=…, kv=… or both"
        yield self.activations and not self.weights, "activations without weights", "add weights=…"
        yield (self.kv and (self.phase or self.steps), f"kv={self.kv} in {alone}",
               "leave phase and steps out, or quantize weights alone")  # fmt: skip
        yield (self.group and self.per == "channel", f"group={self.group} and per=channel",
               "give one of them: a channel is a group of its own length")  # fmt: skip
        yield (self.zero_bits and not scales, f"zero-bits={self.zero_bits} of no group",
               "add group=… or per=channel")  # fmt: skip
        yield self.outliers and not self.weights, "outliers without weights", "add weights=…"
        yield keeps and not self.kv, "kv-window and kv-sinks without kv", "add kv=…"
        yield (self.steps and self.phase not in ("", "decode"), f"steps of {self.phase}",
               "leave phase out: steps are those of decode")  # fmt: skip
        if self.steps:
            read_steps(self.steps, self.name)

    def run(self, program: Program) -> Outcome:
        """Retype leaves, then insert the ops that convert."""
        outcome = (
            on_steps(self, program, self.steps, self._copy) if self.steps else super().run(program)
        )
        fixed = [n for n in (self.weights, self.kv) if n in FORMATS]
        notes = list(outcome.notes)
        if fixed and (self.group or self.per == "channel"):
            asked = f"group={self.group}" if self.group else "per=channel"
            message = f"quantize: {asked} is ignored, {fixed[0]} fixes its own"
            notes.append(Note("M021", message))
        notes += [Note("M022", f"quantize: {text}") for text in self._stays(program)]
        if self.outliers and self.activations and _has_experts(outcome.program, self.on):
            message = "quantize: outlier features of experts' products are not kept wide"
            notes.append(Note("M023", message))
        return replace(outcome, notes=tuple(notes))

    def _stays(self, program: Program) -> Iterator[str]:
        """Say which tensors stay as they lie because the format asked for is no narrower."""
        graphs = tuple(map(program.graph, self._graphs(program)))
        used = (v for g in graphs for op, v in _uses(g) if not isinstance(op, Embedding)
                and not self._skips(op.name) and not self._skips(v.storage))  # fmt: skip
        caches = (v for g in graphs for v in g.leaves if v.role == "cache")
        for what, name, leaves in (("weights", self.weights, used), ("kv", self.kv, caches)):
            stay = {v.encoding.dtype for v in leaves if name and _is_as_wide(name, v)} - {name}
            if stay:
                held = " and ".join(sorted(stay))
                yield f"{what}={name} narrows nothing: what is stored in {held} stays so"

    def transform(self, graph: Graph) -> Rewritten:
        """Give leaves their encodings; then decode and quantize where products need it."""
        chosen = self._chosen(graph)
        typed = retype(graph, lambda v: chosen.get(v, v.type))
        if self.kv and (self.kv_window or self.kv_sinks):
            keep = KeepRecent(self.kv_window, self.kv_sinks, self.dequantize != "free", self._why)
            typed = keep.everywhere(typed, lambda v: self._type(v, self.kv))
        found = len(chosen) + len(recent_caches(typed)) - len(recent_caches(graph))
        if typed is graph:
            return Rewritten(graph, found)
        made = everywhere(typed, self._conversions.insert)
        return Rewritten(made if made is typed else verify(made), found)

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
                inputs = leaf.shape[1 if isinstance(op, BlockLinear) else -1]
                outliers = 0.0 if self.activations else self.outliers
                found[leaf] = self._type(leaf, self.weights, inputs, outliers)
        if self.kv and not (self.kv_window or self.kv_sinks):
            caches = (leaf for leaf in graph.leaves if leaf.role == "cache")
            found |= {leaf: self._type(leaf, self.kv) for leaf in caches}
        return {v: t for v, t in found.items() if v not in kept}

    def _type(
        self, leaf: Value, name: str, row: Expr | None = None, outliers: float = 0.0
    ) -> TensorType:
        if _is_as_wide(name, leaf):
            return leaf.type
        row = leaf.shape[-1] if row is None else row
        encoding = self._encoding(name, leaf.encoding, row, outliers)
        if encoding == leaf.encoding:
            return leaf.type
        return replace(leaf.type, encoding=encoding, storage=leaf.storage + self._copy)

    @property
    def _copy(self) -> str:
        """What the storages of a phase's own copy are called besides."""
        where = f"steps{read_steps(self.steps, self.name)}" if self.steps else self.phase
        return f"@{where}" if where else ""

    def _encoding(self, name: str, old: Encoding, row: Expr, outliers: float = 0.0) -> Encoding:
        """Return how elements lie whose channels have ``row`` of them."""
        group, scale, zero = self.group, self.scale_bits, self.zero_bits
        if self.per == "channel":
            group = int(row)
        new = stored(name, old.plain.dtype, group=group, scale_bits=scale, zero_bits=zero)
        if outliers:
            wide = Encoding(old.plain.dtype, index_bits=sp.Integer(COLUMN_BITS))
            new = replace(new, exceptions=((exact(outliers), wide),))
        if old.density == 1:
            return new
        return replace(
            new, density=old.density, index_bits=old.index_bits, bitmap=old.bitmap,
            structure=old.structure,
        )  # fmt: skip

    def _skips(self, name: str) -> bool:
        return matches(name, self.skip)

    # What converts.

    @property
    def _conversions(self) -> Conversions:
        return Conversions(
            weights=bool(self.weights),
            caches=bool(self.kv),
            narrow=self._narrow,
            outliers=exact(self.outliers),
            dequantize=self.dequantize,
            tile=self.tile,
            copy=self._copy,
            why=self._why,
        )

    def _narrow(self, op: Op, x: Value) -> Encoding | None:
        """Return how the input of a product lies narrow; nothing where it stays wide."""
        wide = BITS[x.encoding.plain.dtype]
        if not self.activations or _width(self.activations) >= wide or self._skips(op.name):
            return None
        return self._encoding(self.activations, x.encoding, x.shape[-1])

    @property
    def _why(self) -> str:
        return REASON.format(self.name)


def _width(name: str) -> int:
    return BITS[FORMATS[name].dtype if name in FORMATS else name]


def _is_as_wide(name: str, leaf: Value) -> bool:
    """Whether a format is no narrower than what a tensor decodes to."""
    return _width(name) >= BITS[leaf.encoding.plain.dtype]


def _has_experts(program: Program, on: str) -> bool:
    graphs = program.graphs if on == EVERY else [n for n in program.graphs if n.startswith(on)]
    return any(isinstance(op, GroupedLinear) for n in graphs for op, _ in program.graph(n).walk())


def _uses(graph: Graph) -> Iterator[tuple[Op, Value]]:
    """Yield each op with the leaves it multiplies with, or looks up: a tied head is both."""
    for op in graph.ops:
        if isinstance(op, (Linear, GroupedLinear, BlockLinear, Embedding)):
            yield from ((op, leaf) for leaf in stored_weights(op.w, graph))
        for body in op.bodies:
            yield from _uses(body)

"""Prefix caching: the first tokens of each prompt are cached already, once for all where shared."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import Expr, P
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.kernel import relabel
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append, Join
from mansard.ir.ops.sharing import Spread
from mansard.ir.program import Program, Step
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.options import option
from mansard.passes.schedules import is_prefill, replace_steps, resized, sizes
from mansard.passes.technique import Outcome, Pass, counted


@dataclass(frozen=True)
class ReusePrefix(Pass):
    """Find ``hit`` tokens of each prompt in the cache: a prefill of ``prompt - hit`` new ones.

    Work per token falls by ``hit/prompt``; attention still reads the whole cache. With ``shared``
    the prefix is the same for every sequence (a system prompt) and stored once, ``hit`` tokens
    instead of ``B·hit``. A plain kernel reads it for every sequence; ``kernel=cascade`` reads it
    once for the batch, ``hit + B·(P - hit)`` keys in place of ``B·P`` [Juravsky 2024, §3].
    """

    name = "reuse-prefix"
    example = "hit=64"
    identity = "hit=0"
    removes = "the prefill of the tokens that are cached"
    noun = "cache"
    source = "[Zheng 2023, §3; Juravsky 2024, §3]"
    assumes = ("every prompt finds the same number of tokens", "the prefix was cached before")
    conflicts = ("chunk-prefill",)  # chunks are of what is not cached
    omits = ("looking prefixes up", "a merge of the two partial results of a cascade")

    hit: int = option(0, "tokens of each prompt that are cached", least=0, unit="tokens")
    shared: bool = option(False, "they are the same in every sequence, and stored once")
    kernel: str = option(
        "plain", "a shared prefix is read by each sequence, or once", choices=("plain", "cascade")
    )

    def run(self, program: Program) -> Outcome:
        """Shorten the prefills; split caches where the prefix is shared."""
        if self.hit == 0:
            return Outcome(program, 1)
        program.graph(self.on)
        made, found = replace_steps(program, self._shortened)
        if not found:
            return Outcome(program, 0, notes=self.nothing(0))
        said = [f"{self.hit} tokens fewer to prefill"]
        if self.shared:
            split = 0
            for name in self._graphs(made):
                done = self.transform(made.graph(name))
                made, split = made.with_graph(name, done.graph), split + done.matches
            said.append(f"{counted(split, 'cache')} with a shared prefix")
        return Outcome(made, found, ", ".join(said))

    def _shortened(self, step: Step, phase: str) -> tuple[Step, ...] | None:
        if not is_prefill(step, phase, self.on):
            return None
        b, new, past = sizes(step)
        return (resized(step, b, new - self.hit, past + self.hit, rows=b),)

    def transform(self, graph: Graph) -> Rewritten:
        """Give each cache that grows a prefix of its own, seen with the rest as one."""
        found = 0

        def split(body: Graph) -> Graph:
            nonlocal found
            taken = {v.name for v in (*body.inputs, *body.producers)}
            edits: dict[Op, list[Op]] = {}
            swapped: dict[Value, Value] = {}
            for op in body.ops:
                if isinstance(op, Append) and op.cache.storage and op.cache.shape[2].has(P):
                    edits[op], swapped[op.out] = self._split(op, taken)
            found += len(edits)
            return rebuild(body, edits=edits, swapped=swapped) if edits else body

        done = everywhere(graph, split)
        return Rewritten(done if done is graph else verify(done), found)

    def _split(self, op: Append, taken: set[str]) -> tuple[list[Op], Value]:
        """Return what stands in an append's place, and the value its readers read."""
        because = f"{self.name}: a shared prefix is stored once [Juravsky 2024, §3]"
        whole = op.cache
        kept = whole.shape[2]
        own_length = kept.xreplace({P: P - self.hit})
        own = _resized(whole, whole.name, whole.shape[0], own_length, whole.storage)
        storage = f"{whole.storage}.prefix"
        prefix = _resized(whole, f"{whole.name}.prefix", sp.S.One, kept - own_length, storage)
        name = op.out.name
        appended = finish(replace(op, cache=own, outs=()), fresh_name(f"{name}.own", taken))
        ops: list[Op] = [replace(appended, name=op.name).explained(because)]
        seen = prefix
        if self.kernel == "plain":
            each = finish(Spread(prefix, whole.shape[0]), fresh_name(f"{name}.prefix", taken))
            ops.append(relabel(each, op.kernel))
            seen = each.out
        joined = finish(Join((seen, appended.out), 2), fresh_name(f"{name}.joined", taken))
        return [*ops, relabel(joined, op.kernel)], joined.out


def _resized(value: Value, name: str, b: Expr, rows: Expr, storage: str) -> Value:
    shape = (b, value.shape[1], rows, *value.shape[3:])
    kind: TensorType = replace(value.type, shape=shape, storage=storage)
    return Value(name, kind)

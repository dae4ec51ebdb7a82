"""Speculative decoding: a cheap draft proposes, one step of the target verifies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, ExprLike, least
from mansard.core.units import format_time
from mansard.ir.graph import Graph
from mansard.ir.program import TARGET, Call, Loop, Program, Step, Wait, binding, calls
from mansard.passes.drafts import DRAFT, eagle, fewer_layers, medusa, parameters, renamed
from mansard.passes.options import option
from mansard.passes.schedules import (
    is_prefill,
    replace_steps,
    resized,
    single_decode,
    sizes,
    without_logits,
)
from mansard.passes.technique import Outcome, Pass, variant
from mansard.passes.trees import Tree, tree_of

NGRAM, SELF, MEDUSA, EAGLE = "ngram", "self", "medusa", "eagle"
BUILT = (NGRAM, SELF, MEDUSA, EAGLE)
PADDING = 512
"""Entries by which the vocabularies of one tokenizer may differ: checkpoints pad them to multiples
of up to 512 (Qwen2.5 has 151,936 at 0.5 B and 152,064 at 7 B)."""
Change = Callable[[Step, str], tuple[Step, ...] | None]


@dataclass(frozen=True)
class SpeculativeDecode(Pass):
    """Let a draft propose ``gamma`` tokens and the target verify them in one step.

    A decode step becomes ``gamma`` steps of the draft and one of the target over ``gamma + 1``
    tokens, logits for all of them. With each proposal accepted with probability ``alpha``, a trip
    yields ``geometric(alpha, gamma+1) = (1 - alpha^(gamma+1)) / (1 - alpha)`` tokens, so there are
    that many fewer trips. After a trip that accepted everything (``alpha^gamma``) the draft has
    one token to catch up on. The draft prefills the prompt as well, and its weights and cache are
    resident. A large batch, or experts that more tokens wake, make verification dearer: that is
    read off the target's own graph, not assumed.

    A tree of ``n_k`` nodes a depth is verified in one step over all its nodes, under a mask of
    ancestors; a trip yields ``1 + Σ_k Π_(j≤k) (1 - (1-alpha)^(n_j/n_(j-1)))`` [Miao 2023]. Medusa
    runs ``gamma`` heads on the last hidden state, ``2·B·(d² + d·V)`` each [Cai 2024]; EAGLE drafts
    with one layer of the target on its hidden states [Li 2024 EAGLE].
    """

    name = "speculative-decode"
    identity = "gamma=0"
    removes = "what a step repeats however many tokens it makes, as expanding cached latents"
    noun = "loop"
    source = "[Leviathan 2022, Thm 3.8]"
    assumes = (
        "proposals are accepted independently, with the same probability",
        "every sequence of the batch accepts the expected number of tokens",
        "the draft is neither sharded nor quantized unless a later pass says on=draft",
        "windowed layers see a tree as a chain",
    )
    omits = ("the sampler", "rolling back the cache of rejected tokens, which moves nothing")

    draft: str | Program = option(
        NGRAM,
        "the draft: a model, or `self` (the target with layers left out), `medusa` (heads), "
        "`eagle` (a layer on hidden states), `ngram` (free)",
        choices=BUILT, program=True,
    )  # fmt: skip
    gamma: int = option(4, "tokens proposed a trip, or heads", least=0, most=63)
    alpha: float = option(0.8, "probability that a proposal is accepted", least=0, most=1)
    tree: tuple[str, ...] = option((), "nodes a depth, [4 8 8], in place of a chain of gamma")
    keep: float = option(
        0.5, "with draft=self: share of the layers the draft runs", least=0, most=1
    )
    lookup: float = option(0.0, "with draft=ngram: time of a lookup", least=0, unit="time")

    def __post_init__(self) -> None:
        super().__post_init__()
        tree_of(self.tree, self.gamma)

    def run(self, program: Program) -> Outcome:
        """Add the draft and rewrite the prefill and the decode loop."""
        if not self._tree.nodes:
            said = f"{self.name}: gamma=0 proposes nothing, so nothing drafts; give gamma=…"
            return Outcome(program, 1, notes=(Note("M022", said),) if self._drafts else ())
        if any(axis.partition("@")[0] == "pp" for axis in program.mesh):
            raise SpecError(
                f"{self.name} cannot follow a pipeline's stages: its steps are those of one stage",
                hint=f"put {self.name} before parallel:pp=…",
            )
        if self._drafts and self._draft in program.graphs:
            raise SpecError("the program has a draft already", hint="speculate once")
        _, found = replace_steps(program, self._decode)
        if not found:
            return Outcome(program, 0, notes=self.nothing(0))
        made, notes = self._with_draft(program)
        made, _ = replace_steps(made, self._prefill(made))
        made, loops = replace_steps(made, self._decode)
        if not self._tree.is_chain:
            made = self._with_tree(made)
        return Outcome(made, loops, self._summary(), (*notes, self._assumed()))

    def _assumed(self) -> Note:
        """Say what the tokens of a trip rest on, and what makes the proposals."""
        of = "a tree" if self.tree else f"a chain of {self.gamma}"
        tokens = float(self._tree.tokens(self._alpha))
        said = f"{self.name}: each proposal of {of} is taken to be accepted with probability"
        said += f" {self.alpha:g} (alpha=), so a trip makes {tokens:.2f} tokens"
        if self.draft == NGRAM:
            costs = f"a look-up of {format_time(self.lookup)}" if self.lookup else "free (lookup=)"
            said += f"; the draft is {costs}: n-grams of the text"
        return Note("M141", said)

    def _summary(self) -> str:
        tokens = float(self._tree.tokens(self._alpha))
        said = f"{tokens:.2f} tokens a trip instead of 1"
        if isinstance(self.draft, Program):
            said += f", proposed by {self.draft.origin.name or 'the draft'}"
        return said

    @property
    def _alpha(self) -> Expr:
        return sp.Rational(str(self.alpha))

    @property
    def _tree(self) -> Tree:
        return tree_of(self.tree, self.gamma)

    def _decoding(self, program: Program) -> Iterator[Call]:
        """Yield the calls that make one token a trip."""
        for call in calls(program.schedule):
            named = call.graph.partition("@")[0] == self.on and call.graph != self._draft
            if call.phase == "decode" and named:
                yield call

    # The draft.

    @property
    def _drafts(self) -> bool:
        return self.draft != NGRAM

    @property
    def _draft(self) -> str:
        """Name of its graph: a variant of the target where it runs on the target's weights."""
        return f"{self.on}@{DRAFT}" if self.draft == SELF else DRAFT

    def _with_draft(self, program: Program) -> tuple[Program, list[Note]]:
        if not self._drafts:
            return program, []
        target = program.graph(self.on)
        if isinstance(self.draft, Program):
            graph = renamed(self.draft.graph(TARGET))
            return program.with_graph(self._draft, graph), list(self._concerns(target, graph))
        match self.draft:
            case "self":
                graph = fewer_layers(target, self.keep)
            case "medusa":
                graph = medusa(target, len(self._tree.nodes))
            case "eagle":
                graph = eagle(target)
            case name:
                raise SpecError(
                    f"the draft {name!r} is a name, not a program",
                    hint="load it first: mansard.load(name)",
                )
        return program.with_graph(self._draft, graph), []

    def _concerns(self, target: Graph, draft: Graph) -> Iterator[Note]:
        ours, theirs = target.output("logits").shape[-1], draft.output("logits").shape[-1]
        if ours != theirs:
            text = f"the draft's vocabulary has {theirs} entries, the target's {ours}"
            if abs(ours - theirs) >= PADDING:
                raise SpecError(
                    f"{self.name}: {text}: their tokens differ",
                    hint="draft with a model of the target's own tokenizer, or draft=self, "
                    "medusa, eagle or ngram",
                )
            yield Note("M022", f"{self.name}: {text}; that is taken for padding of one vocabulary")
        if parameters(draft) >= parameters(target):
            yield Note("M022", f"{self.name}: the draft is no smaller than the target")
        if isinstance(self.draft, Program) and self.draft.origin.pipeline:
            text = f"the draft's checkpoint carries {self.draft.origin.pipeline}"
            yield Note("M021", f"{self.name}: {text}, which is not applied to it")

    # The schedule.

    def _prefill(self, program: Program) -> Change:
        def change(step: Step, phase: str) -> tuple[Step, ...] | None:
            if not self._drafts or not is_prefill(step, phase, self.on):
                return None
            b, new, past = sizes(step)
            if self.draft == MEDUSA:
                heads = replace(resized(step, b, 1, past + new - 1), graph=self._draft)
                return (step, replace(heads, wants=("logits",), groups=()))
            wants = without_logits(program.graph(self._draft))
            return (step, replace(step, graph=self._draft, wants=wants))

        return change

    def _decode(self, step: Step, phase: str) -> tuple[Step, ...] | None:
        call = single_decode(step, self.on)
        if call is None or phase != "decode" or not isinstance(step, Loop) or step.index is None:
            return None
        tau = self._tree.tokens(self._alpha)
        nodes = self._tree.size + 1
        b, _, past = sizes(call)
        past = past.xreplace({step.index: step.index * tau})
        verify = resized(call, b, nodes, past, rows=b * nodes)
        steps = (*self._proposals(call, b, past), verify)
        return (replace(step, steps=steps, times=step.times / tau, yields=step.yields * tau),)

    def _proposals(self, call: Call, b: Expr, past: Expr) -> Iterator[Step]:
        """Yield what makes the proposals of a trip."""

        def draft(new: ExprLike, after: Expr, rows: Expr = b) -> Call:
            bind = {**call.bind, **binding(b, new, after, rows=rows)}
            return Call(self._draft, bind, phase=call.phase, pool=call.pool)

        if self.draft == NGRAM:
            if self.lookup:
                yield Wait(sp.Float(self.lookup), name="lookup")
            return
        if self.draft == MEDUSA:
            yield draft(1, past)
            return
        for behind, share in self._behind():
            yield Loop((draft(behind + 1, past - least(sp.Integer(behind), past)),), share)
        at = past + 1
        for nodes in self._tree.nodes[:-1]:
            yield draft(nodes, at, b * nodes)
            at += nodes

    def _behind(self) -> Iterator[tuple[int, Expr]]:
        """Yield how many tokens a draft lags at the start of a trip, and how likely that is.

        A model lags by the last proposal where all were accepted. EAGLE takes every accepted token
        again, with the hidden state the target made of it.
        """
        exactly = self._tree.exactly(self._alpha)
        if self.draft == EAGLE:
            yield from enumerate(exactly)
        else:
            yield 1, exactly[-1]
            yield 0, 1 - exactly[-1]

    def _with_tree(self, program: Program) -> Program:
        """Give what verifies a mask of ancestors, in a variant of its own."""
        made = program
        for call in self._decoding(program):
            masked = self._tree.masked(program.graph(call.graph))
            if call.graph == self.on and masked is not program.graph(call.graph):
                made = variant(made, self.on, "decode", masked)
            else:
                made = made.with_graph(call.graph, masked)
        return made


def best_gamma(tpot_s: Callable[[int], float], most: int = 16, start: int = 4) -> int:
    """Return the number of proposals, of 0 … ``most``, with the least time per token.

    Time per token falls, then rises: tokens a trip level off while proposals and their
    verification cost more and more. So it is followed from ``start`` while it falls; none at all
    is tried as well, since one proposal may cost more than it brings.

    Args:
        tpot_s: gamma → time per output token [s].
        most: the largest gamma tried.
        start: the first one tried.
    """
    known: dict[int, float] = {}

    def time(gamma: int) -> float:
        if gamma not in known:
            known[gamma] = tpot_s(gamma)
        return known[gamma]

    best = min(max(start, 1), most)
    for step in (1, -1):
        while 1 <= best + step <= most and time(best + step) < time(best):
            best += step
    return best if time(best) < time(0) else 0

"""An estimate as Markdown, for issues, notes and reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mansard.backends.estimate import Memory, Phase
from mansard.core.units import format_bytes, format_count, format_time
from mansard.render import estimate_words, words
from mansard.render.lines import View, lines
from mansard.render.markdown_table import escape, table
from mansard.render.steps import each
from mansard.render.technique_words import said, written

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate


def markdown(estimate: Estimate, view: View) -> str:
    """Return the whole answer."""
    return "\n".join(_document(estimate, view)) + "\n"


def _document(estimate: Estimate, view: View) -> Iterator[str]:
    yield f"# {escape(estimate_words.title(estimate))}"
    yield ""
    yield escape(" · ".join([*estimate_words.scenario(estimate), *estimate_words.model(estimate)]))
    yield ""
    yield from table(("metric", "value"), _metrics(estimate))
    yield ""
    if estimate.backend:
        yield from (f"- assumes: {escape(said)}" for said in estimate_words.stated(estimate))
    elif estimate.calibrated is None:
        yield f"*{estimate_words.CAVEATS[0]}*"
    else:
        yield from table(
            ("", "bound", "calibrated", "ratio", "band"), estimate_words.beside(estimate)
        )
        yield ""
        yield f"*{escape(estimate_words.rests_on(estimate))}*"
    for phase in estimate.phases.values():
        yield ""
        yield from _phase(phase, each(estimate, phase), view)
    yield ""
    yield from _memory(estimate)
    if estimate.techniques:
        yield ""
        yield from _techniques(estimate)
    if estimate.notes:
        yield ""
        yield from (f"- {note.code}: {escape(note.message)}" for note in estimate.notes)


def _metrics(estimate: Estimate) -> Iterator[tuple[str, str]]:
    m = estimate.metrics
    whole = estimate_words.totals(estimate)
    yield from whole
    if not whole:
        yield "time to first token", format_time(m.ttft_s)
        yield "time per output token", format_time(m.tpot_s)
        yield "latency", format_time(m.latency_s)
        yield "throughput", words.tokens_per_s(m.throughput_tok_s)
        yield "per user", words.tokens_per_s(m.tokens_per_s_per_user)
    if m.cost is not None:
        yield "cost", words.cost(m)


def _phase(phase: Phase, of: str, view: View) -> Iterator[str]:
    bounds = ", ".join(
        f"{name} {words.percent(share)}" for name, share in estimate_words.bounds(phase)
    )
    name = escape(estimate_words.heading(phase))
    yield f"## {name}: {format_time(phase.time_s)}{of} ({bounds})"
    yield ""
    if estimate_words.overlaps(phase):
        yield f"{format_time(phase.overlapped_s)} if all of it ran at once."
        yield ""
    header = ("operator" if view.by == "op" else view.by, "bound", "×", "FLOPs", "bytes", "FLOP/B",
              "time", "share")  # fmt: skip
    shown, rest = lines(phase, view)
    rows = [
        (line.name, line.bound, words.times(line.count), format_count(line.flops),
         line.moved, words.intensity(line.intensity), format_time(line.time_s),
         words.percent(line.share))
        for line in shown
    ]  # fmt: skip
    yield from table(header, rows, numbers=2)
    if rest:
        yield ""
        yield f"{len(rest)} more, {words.percent(sum(r.share for r in rest))} of the time."


def _memory(estimate: Estimate) -> Iterator[str]:
    memory = estimate.memory
    fits = {True: "fits", False: "does not fit", None: "capacity unknown"}[memory.fits]
    yield f"## Memory: {format_bytes(memory.total)} of {words.capacity(memory)}, {fits}"
    yield ""
    names = ("weights", "kv_cache", "activations", "overhead")
    if not memory.pools:
        rows = [(name.replace("_", " "), format_bytes(getattr(memory, name))) for name in names]
        yield from table(("what", "size"), rows)
        return
    yield "A device of each pool; the heading is the fullest's."
    yield ""
    each = [
        (name.replace("_", " "), *(format_bytes(getattr(p, name)) for p in memory.pools.values()))
        for name in (*names, "total")
    ]
    yield from table(("what", *memory.pools), each)


def _techniques(estimate: Estimate) -> Iterator[str]:
    """Yield what each technique changed, and what the program then held, did and took."""
    effects = estimate.effects
    yield "## Techniques"
    yield ""
    yield "Figures are those after each technique, in the order they ran."
    yield ""
    header = ("technique", "changed", "memory", "weights", "KV cache", "activations", "ops")
    stages = [("as loaded", "", effects[0].before)]
    stages += [(written(e.technique), said(e), e.after) for e in effects]
    rows = [(name, changed, *_held(f.memory), format_count(f.ops)) for name, changed, f in stages]
    yield from table(header, rows, numbers=2)
    for phase in effects[0].before.phases:
        yield ""
        figures = (phase, "time", "FLOPs", "weight bytes", "KV bytes", "activation bytes",
                  "link bytes", "kernels")  # fmt: skip
        made = ((name, f.phases.get(phase)) for name, _, f in stages)
        yield from table(figures, [(name, *_done(p)) for name, p in made if p is not None])


def _held(memory: Memory) -> tuple[str, ...]:
    sizes = (memory.total, memory.weights, memory.kv_cache, memory.activations)
    return tuple(map(format_bytes, sizes))


def _done(phase: Phase) -> tuple[str, ...]:
    moved = (phase.weight_bytes, phase.kv_bytes, phase.activation_bytes, phase.link_bytes)
    return (
        format_time(phase.time_s), format_count(phase.flops), *map(format_bytes, moved),
        format_count(phase.kernels),
    )  # fmt: skip

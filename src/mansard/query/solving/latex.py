"""An explanation as LaTeX: the metric as a sum of maxima, with the rates named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from mansard.backends.inverse.sections import Section
from mansard.backends.inverse.symbolic import Writer, greatest
from mansard.core.errors import SpecError
from mansard.core.symbols import SCENARIO, Expr, symbol
from mansard.query.metrics import SPENT
from mansard.query.solving.expression import check_one_length, priced_of

if TYPE_CHECKING:
    from mansard.query.solving.explanation import Explanation


def latex(of: Explanation) -> str:
    """Return an ``align*`` block: the definition, a line for each row, the rates.

    Raises:
        SpecError: the metric is no time, rate or size; or lengths are a distribution, and one of
            them would have a number in it.
    """
    estimate = of.estimate
    if of.metric in SPENT:
        raise SpecError(f"{of.metric} is the devices' time at a price, and has no rows of its own",
                        hint="ask for the formulas of latency")  # fmt: skip
    if of.over:
        check_one_length(estimate, {*SCENARIO} - {_key(of.over)})
    priced = priced_of(estimate)
    values = estimate.scenario.symbols
    bind = {SCENARIO[k]: v for k, v in values.items() if of.over and k != _key(of.over)}
    writer = Writer(priced.space, bind)
    names = {part.row.name for part in of.parts}
    lines = [rf"{_text(of.metric)} &= {_definition(of)} = {sp.latex(sp.Float(of.value, 4))}"]
    rates: dict[str, tuple[Expr, float]] = {}
    for phase in dict.fromkeys(part.phase for part in of.parts):
        for section in priced.of_phase(phase):
            if section.name in names:
                body = _written(_row(writer, section, rates))
                lines.append(rf"t_{{{_text(section.name)}}} &= {body}")
    for rate, value in rates.values():
        lines.append(rf"{sp.latex(rate)} &= {sp.latex(sp.Float(value, 5))}\,/\mathrm{{s}}")
    return "\\begin{align*}\n  " + " \\\\\n  ".join(lines) + "\n\\end{align*}\n"


def _key(over: str) -> str:
    return "prompt" if over == "context" else over


def _definition(of: Explanation) -> str:
    if of.metric == "tpot" and not of.estimate.scenario.single_step:
        return r"\frac{1}{\mathit{output}-1}\sum_{\mathit{step}=0}^{\mathit{output}-2}\sum_i t_i"
    return r"\sum_i t_i"


def _row(writer: Writer, section: Section, rates: dict[str, tuple[Expr, float]]) -> Expr:
    """Return a row's time over named rates; a resource another always exceeds is left out."""
    found: dict[str, list[Expr]] = {}
    for share in section.shares:
        if share.resource not in section.kept:
            continue
        work = writer.terms(share.work)
        if share.link is None and share.field:
            name = symbol(_rate(share.field), "rate")
            rates[share.field] = name, float(share.rate)
            work = work / name
        found.setdefault(share.resource, []).append(work)
    return greatest(sp.Add(*parts) for parts in found.values())


def _written(value: Expr) -> str:
    """Write an expression; names of several letters are upright words, not products."""
    words = {s: rf"\mathit{{{s.name}}}" for s in value.free_symbols if s.name in SCENARIO}
    return str(sp.latex(value, symbol_names=words, mul_symbol="dot"))


def _rate(field: str) -> str:
    """Return the name of a rate: ``beta`` for bandwidths, ``pi`` for peaks."""
    if field == "memory.bandwidth":
        return "beta"
    head, _, rest = field.partition(".")
    return f"pi_{rest.rpartition('.')[2]}" if head == "peak" else f"beta_{rest}"


def _text(name: str) -> str:
    return rf"\mathrm{{{name}}}".replace("_", r"\_")

"""The text form of programs: header, graphs, and the schedule's four nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import sympy as sp

from mansard.core.cursor import quoted
from mansard.core.expressions import print_expression, print_name
from mansard.core.symbols import PARAMETERS, SCENARIO, Expr, Symbol
from mansard.ir.free import free_symbols
from mansard.ir.program import Binding, Call, Loop, Program, Step, Together, Wait
from mansard.ir.text import literal, print_graph, print_symbol, word

_INDENT = "  "


def print_program(program: Program) -> str:
    """Write a program: its name, mesh, symbols, graphs and schedule."""
    name = program.origin.name
    lines = [f"program {quoted(name)}" if name else "program"]
    if program.mesh:
        lines.append("mesh " + ", ".join(f"{word(a)}={n}" for a, n in program.mesh.items()))
    lines += [f"symbol {print_symbol(s)}" for s in _scenario_symbols(program)]
    for key, graph in program.graphs.items():
        lines += ["", print_graph(graph, key)]
    lines += ["", "schedule {", *_steps(program.schedule, _INDENT), "}"]
    return "\n".join(lines)


def _scenario_symbols(program: Program) -> list[Symbol]:
    found: set[Symbol] = set()

    def visit(step: Step) -> None:
        match step:
            case Call():
                own = (
                    free_symbols(program.graphs[step.graph]) if step.graph in program.graphs else ()
                )
                found.update(s for s in step.bind if s not in own)
                for value in (*step.bind.values(), *(v for g in step.groups for v in g)):
                    found.update(sp.S(value).free_symbols)
            case Loop():
                for value in (step.times, step.start, step.yields, step.index or sp.S.Zero):
                    found.update(sp.S(value).free_symbols)
            case Wait():
                for value in (step.time_s, step.times):
                    found.update(sp.S(value).free_symbols)
            case Together():
                pass
        inner = (step.like,) if isinstance(step, Wait) else getattr(step, "steps", ())
        for child in inner:
            if child is not None:
                visit(child)

    for step in program.schedule:
        visit(step)
    builtin = {*PARAMETERS.values(), *SCENARIO.values()}
    return sorted(found - builtin, key=lambda s: s.name)


def _steps(steps: Iterable[Step], indent: str) -> Iterator[str]:
    for step in steps:
        phase = f"{word(step.phase)}: " if step.phase else ""
        match step:
            case Call():
                yield f"{indent}{phase}{_call(step)}"
                continue
            case Loop():
                options = {"times": step.times, "start": step.start, "yields": step.yields}
                if step.index is not None:
                    options["index"] = step.index
                head, inner = f"loop({_options(options, start=0, yields=0)})", step.steps
            case Together():
                head, inner = "together", step.steps
            case Wait():
                options = {"time_s": step.time_s, "times": step.times}
                words = [o for o in (_options(options, time_s=0, times=1),) if o]
                words += [f"name={quoted(step.name)}"] * (step.name != "wait")
                head, inner = f"wait({', '.join(words)})", ()
                if step.like is None:
                    yield f"{indent}{phase}{head}"
                    continue
                head, inner = f"{head} like", (step.like,)
        yield f"{indent}{phase}{head} {{"
        yield from _steps(inner, indent + _INDENT)
        yield f"{indent}}}"


def _options(options: Mapping[str, Expr], **defaults: int) -> str:
    shown = {k: v for k, v in options.items() if k not in defaults or v != defaults[k]}
    return ", ".join(f"{k}={print_expression(sp.S(v))}" for k, v in shown.items())


def _call(call: Call) -> str:
    text = f"call {word(call.graph)}({_bound(call.bind)})"
    if call.wants != ("logits",):
        text += f" wants [{', '.join(f'%{word(w)}' for w in call.wants)}]"
    if call.groups:
        text += f" groups {literal(call.groups, {})}"
    if call.pool:
        text += f" on {word(call.pool)}"
    return text


def _bound(bind: Binding) -> str:
    order = {name: at for at, name in enumerate(PARAMETERS)}
    keys = sorted(bind, key=lambda s: (order.get(s.name, len(order)), s.name))
    return ", ".join(f"{print_name(s.name)}={print_expression(sp.S(bind[s]))}" for s in keys)

"""What inverse questions need, on three shapes: exact ones, searched ones, where ops flip.

Usage: ``python benchmarks/solving.py``. Times are CPU seconds of this process, the least of several
runs. *Warm* is a question that was compiled and whose curves are made, asked with another limit;
*made anew* makes the curves of another prompt as well. Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count

import numpy as np
import sympy as sp

from harness.lines import Line, report
from harness.shapes import SHAPES, Shape
from harness.timing import cpu_s
from mansard.query.solving import crossovers, sensitivity, solve
from mansard.query.solving.many import Solutions
from mansard.query.solving.question import Question
from mansard.query.study import Study

SOLVE_MS, CROSSOVERS_MS = 1.0, 2.0
"""Limits of issue 6, for what is exact and warm."""
MANY_US = 2.0
"""Limit of a workload of many, both constraints together."""
MANY = 100_000
BISECTED = ("MoE", "MLA")
"""Shapes whose batch is searched for: how many experts it touches is no polynomial."""
PROMPT, OUTPUT = 4096, 256


def cpu_ms(step: Callable[[], object], runs: int = 100) -> float:
    """Return the least CPU time of several runs [ms]."""
    return 1e3 * cpu_s(step, runs, collect=False)


def limits() -> Callable[[], str]:
    """Return what makes constraints that were never asked before."""
    numbers = count(1)
    return lambda: f"tpot <= {20 + next(numbers) / 1000}ms"


def anew(asked: Study) -> Callable[[], Study]:
    """Return what makes the same study with another prompt, its program kept compiled."""
    prompts = count(3000)

    def make() -> Study:
        other = Question(asked).sized(prompt=next(prompts)).study
        other.__dict__["prepared"] = asked.prepared
        other.__dict__["compiled"] = asked.compiled
        other.question.__dict__["priced"] = asked.question.priced
        other.question.__dict__["estimate"] = other.analyze()
        return other

    return make


def lines(shape: Shape) -> Iterator[Line]:
    """Measure one shape."""

    def line(what: str, value: float, limit: float | None = None, unit: str = "ms") -> Line:
        return Line(what, value, unit, limit, shape=shape.title)

    asked, limit = shape.study(PROMPT, OUTPUT), limits()
    both = lambda: [limit(), "memory <= capacity"]  # noqa: E731 - asked anew each time
    batch = lambda of, asks: solve(of, "batch", maximize=True, subject_to=asks)  # noqa: E731
    field = "hardware.memory.bandwidth"
    batch(asked, both())
    took = cpu_ms(lambda: batch(asked, both()))
    if shape.title in BISECTED:
        yield line("solve batch, by bisection", took)
    else:
        yield line("solve batch, exact", took, SOLVE_MS)
    solve(asked, field, minimize=True, subject_to=limit())
    took = cpu_ms(lambda: solve(asked, field, minimize=True, subject_to=limit()))
    yield line("solve bandwidth, exact", took, SOLVE_MS)
    random = np.random.default_rng(0)
    over = {"prompt": random.integers(1, 32768, MANY), "output": random.integers(2, 2048, MANY)}
    fits = asked.question.estimate.memory.fits  # else memory settles it at once

    def many() -> Solutions:
        asks = both() if fits else limit()
        return asked.solve_many("batch", over=over, maximize=True, subject_to=asks)

    if not many().found.any():
        raise SystemExit("workloads that fit nowhere are no measure")
    yield line("solve batches, each of 10^5", cpu_ms(many, 5) / MANY * 1e3, MANY_US, "us")
    made = iter([anew(asked)() for _ in range(5)])
    yield line("... curves made anew", cpu_ms(lambda: batch(next(made), both()), 5))
    crossovers(asked)
    yield line("crossovers of decode", cpu_ms(lambda: crossovers(asked)), CROSSOVERS_MS)
    made = iter([anew(asked)() for _ in range(3)])
    yield line("... made anew", cpu_ms(lambda: crossovers(next(made)), 3))
    yield line("sensitivity of tpot", cpu_ms(lambda: sensitivity(asked), 5))


def against_solvers() -> Iterator[Line]:
    """Measure what others need for a root of the same formula; it knows no collectives."""
    shape = Shape("dense 8B", "llama-3.1-8b")
    asked = shape.study(PROMPT, OUTPUT)
    formula = asked.question.estimate.expr("tpot", over=["batch"])
    (symbol,) = formula.free_symbols
    root = solve(asked, "batch", subject_to="tpot = 25ms").value
    ours = cpu_ms(lambda: solve(asked, "batch", subject_to="tpot = 25ms"))
    yield Line("solve batch, exact", ours, "ms", SOLVE_MS, shape=shape.title)
    equation = formula - sp.Rational(1, 40)
    theirs: dict[str, Callable[[], object]] = {
        "sympy.nsolve, from a guess": lambda: sp.nsolve(equation, symbol, root + 5)
    }
    if find_spec("scipy"):
        from scipy.optimize import brentq

        function = sp.lambdify(symbol, equation, "math")
        theirs["scipy.brentq, made anew"] = lambda: brentq(
            sp.lambdify(symbol, equation, "math"), 1, 4096
        )
        theirs["scipy.brentq, made before"] = lambda: brentq(function, 1, 4096)
    for what, step in theirs.items():
        found = float(step())  # type: ignore[arg-type]
        if abs(found - root) > 1:
            raise SystemExit(f"{what} finds {found}, not {root}")
        yield Line(what, cpu_ms(step, 5), "ms", shape=shape.title)


def every() -> Iterator[Line]:
    """Measure everything."""
    for shape in SHAPES:
        yield from lines(shape)
    yield from against_solvers()


if __name__ == "__main__":
    if not find_spec("scipy"):
        print("scipy is not installed: pip install scipy adds lines of its brentq")
    sys.exit(report(every()))

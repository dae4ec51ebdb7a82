"""What inverse questions need, on three shapes: exact ones, searched ones, where ops flip.

Usage: ``python benchmarks/solving.py``. Times are CPU seconds of this process, the least of several
runs. *Warm* is a question that was compiled and whose curves are made, asked with another limit;
*made anew* makes the curves of another prompt as well. Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import sympy as sp

from mansard.query.solving import crossovers, sensitivity, solve
from mansard.query.solving.many import Solutions
from mansard.query.solving.question import Question
from mansard.query.study import Study, study

SHAPES: dict[str, Study] = {
    "dense 70B, tp8": study("llama-3.1-70b", on="h100-sxm:8", techniques=["parallel{tp=8}"],
                            prompt=4096, output=256),
    "MoE (Mixtral 8x7B)": study("mixtral-8x7b-v0.1", on="h100-sxm", prompt=4096, output=256),
    "windows (Gemma 2 2B)": study("gemma-2-2b", on="h100-sxm", prompt=4096, output=256),
}  # fmt: skip
SOLVE_MS, CROSSOVERS_MS = 1.0, 2.0
"""Limits of issue 6, for what is exact and warm."""
MANY_US = 2.0
"""Limit of a workload of many, both constraints together."""
MANY = 100_000


@dataclass(frozen=True)
class Line:
    """One measurement; without a limit it is only recorded."""

    what: str
    value: float
    limit: float | None = None
    unit: str = "ms"

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or self.value <= self.limit

    def __str__(self) -> str:
        verdict = "    " if self.limit is None else "ok  " if self.kept else "MISS"
        limit = "" if self.limit is None else f" <= {self.limit:g} {self.unit}"
        return f"  {verdict} {self.value:9.3f} {self.unit}  {self.what}{limit}"


def cpu_ms(step: Callable[[], object], runs: int = 100) -> float:
    """Return the least CPU time of several runs [ms]."""
    least = float("inf")
    for _ in range(runs):
        start = time.process_time_ns()
        step()
        least = min(least, (time.process_time_ns() - start) / 1e6)
    return least


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


def lines(asked: Study, exact: bool) -> Iterator[Line]:
    """Measure one shape."""
    limit = limits()
    both = lambda: [limit(), "memory <= capacity"]  # noqa: E731 - asked anew each time
    solve(asked, "batch", maximize=True, subject_to=both())
    yield Line("solve the batch, exact, warm" if exact else "solve the batch by bisection, warm",
               cpu_ms(lambda: solve(asked, "batch", maximize=True, subject_to=both())),
               SOLVE_MS if exact else None)  # fmt: skip
    solve(asked, "hardware.memory.bandwidth", minimize=True, subject_to=limit())
    yield Line("solve the bandwidth, exact, warm",
               cpu_ms(lambda: solve(asked, "hardware.memory.bandwidth", minimize=True,
                                    subject_to=limit())), SOLVE_MS)  # fmt: skip
    random = np.random.default_rng(0)
    over = {"prompt": random.integers(1, 32768, MANY), "output": random.integers(2, 2048, MANY)}
    fits = asked.question.estimate.memory.fits  # else memory settles it at once

    def many() -> Solutions:
        asks = both() if fits else limit()
        return asked.solve_many("batch", over=over, maximize=True, subject_to=asks)

    if not many().found.all():
        raise SystemExit("workloads that fit nowhere are no measure")
    yield Line(f"solve the batches of {MANY:,} workloads, each", cpu_ms(many, 5) / MANY * 1e3,
               MANY_US, "us")  # fmt: skip
    made = [anew(asked)() for _ in range(5)]
    fresh = iter(made)
    first = lambda: solve(next(fresh), "batch", maximize=True, subject_to=both())  # noqa: E731
    yield Line("the same batch for another prompt, curves made anew", cpu_ms(first, 5))
    crossovers(asked)
    yield Line("crossovers of decode, warm", cpu_ms(lambda: crossovers(asked)),
               CROSSOVERS_MS if exact else None)  # fmt: skip
    again = iter([anew(asked)() for _ in range(3)])
    yield Line("crossovers for another prompt, made anew",
               cpu_ms(lambda: crossovers(next(again)), 3))  # fmt: skip
    yield Line("sensitivity of tpot", cpu_ms(lambda: sensitivity(asked), 5))


def against_sympy() -> Iterator[Line]:
    """Measure what sympy needs for a root, from a guess near it; it knows no collectives."""
    asked = study("llama-3.1-8b", on="h100-sxm", prompt=4096, output=256)
    formula = asked.question.estimate.expr("tpot", over=["batch"])
    (batch,) = formula.free_symbols
    root = solve(asked, "batch", subject_to="tpot = 25ms").value
    found = sp.nsolve(formula - sp.Rational(1, 40), batch, root + 5)
    if abs(found - root) > 1:
        raise SystemExit(f"sympy finds {found}, not {root}")
    ours = cpu_ms(lambda: solve(asked, "batch", subject_to="tpot = 25ms"))
    yield Line("solve the batch, exact, warm", ours, SOLVE_MS)
    theirs = cpu_ms(lambda: sp.nsolve(formula - sp.Rational(1, 40), batch, root + 5), 3)
    yield Line("the same root by sympy.nsolve, from a guess", theirs)


def main() -> int:
    """Print every line; return 1 when a limit is missed."""
    kept = True
    measured = {name: lines(asked, exact="MoE" not in name) for name, asked in SHAPES.items()}
    for name, found in {**measured, "dense 8B, one device": against_sympy()}.items():
        print(name)
        for line in found:
            print(line, flush=True)
            kept = kept and line.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

"""How much CPU a command takes from a cold start, against what is allowed.

Usage: ``python benchmarks/startup.py [RUNS]``; exits with 1 when a limit is passed. The limits are
those of a machine that imports sympy in 0.30 s; on another they are scaled by what it takes there,
measured between the commands, so that a busy machine judges as an idle one does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count

from harness.lines import Line, report
from harness.timing import process_s

LIMITS: dict[tuple[str, ...], float] = {
    ("--help",): 0.15,
    ("--version",): 0.15,
    ("hardware", "list", "-f", "csv"): 0.40,
    ("analyze", "llama-3.1-8b", "--on", "h100-sxm"): 0.50,
    ("analyze", "llama-3.1-8b", "--on", "h100-sxm", "-b", "16", "-p", "8k", "-n", "256"): 0.50,
    ("analyze", "mixtral-8x7b-v0.1", "--on", "h100-sxm", "-f", "json"): 0.50,
    ("analyze", "deepseek-v3", "--on", "h200-sxm:8", "-t", "parallel:tp=8"): 0.60,
}
"""Arguments → CPU seconds, user and system, of the process, whose folder of answers is empty."""
REMEMBERED: dict[tuple[str, ...], float] = {
    ("analyze", "llama-3.1-8b", "--on", "h100-sxm", "-b", "16", "-p", "8k", "-n", "256"): 0.20,
    ("solve", "llama-3.1-8b", "--on", "h100-sxm", "--find", "batch", "--maximize",
     "--subject-to", "tpot<=25ms"): 0.20,
    ("sweep", "llama-3.1-8b", "--on", "h100-sxm", "--vary", "batch=1..512x2"): 0.20,
    ("plan", "llama-3.1-8b", "--on", "h100-sxm", "--slo", "tpot<30ms", "--rate", "5/s"): 0.20,
}  # fmt: skip
"""Arguments → CPU seconds of a question that was asked before."""
CHANGED: dict[tuple[str, ...], float] = {
    ("sweep", "llama-3.1-8b", "--on", "h100-sxm", "--vary", "batch=1..{}x2"): 0.25,
}
"""Arguments → CPU seconds of a question whose scenario was swept before, over other sizes."""
NAMES = dict(zip(
    LIMITS, ("--help", "--version", "hardware list -f csv", "analyze 8B", "analyze 8B -b -p -n",
             "analyze Mixtral -f json", "analyze DeepSeek-V3, tp8"), strict=True))  # fmt: skip
NAMES = {command: f"{command[0]} 8B" for command in (*REMEMBERED, *CHANGED)} | NAMES
"""Arguments → what lines call them."""
SYMPY_S = 0.30
"""CPU seconds of importing sympy where the limits hold as they are."""


def cpu_s(arguments: tuple[str, ...], cache: str) -> float:
    """Return the CPU time of one run [s]."""
    env = {"MANSARD_CACHE": cache, "PYTHONDONTWRITEBYTECODE": ""}
    return process_s([sys.executable, "-m", "mansard", *arguments], env=env)


def cold_s(arguments: tuple[str, ...]) -> float:
    """Return the CPU time of one run whose folder of answers is empty [s]."""
    with tempfile.TemporaryDirectory() as cache:
        return cpu_s(arguments, cache)


def _numbered(arguments: tuple[str, ...], number: int) -> tuple[str, ...]:
    return tuple(word.format(number) for word in arguments)


def lines(runs: int) -> Iterator[Line]:
    """Measure each command, least of several runs, and importing sympy between them."""
    with tempfile.TemporaryDirectory() as cache:
        questions: list[tuple[tuple[str, ...], float, Callable[[tuple[str, ...]], float], str]]
        questions = [(command, limit, cold_s, "") for command, limit in LIMITS.items()]
        questions += [
            (command, limit, lambda asked: cpu_s(asked, cache), ", again")
            for command, limit in REMEMBERED.items()
        ]
        numbers = count(100)
        questions += [
            (command, limit, lambda asked: cpu_s(_numbered(asked, next(numbers)), cache), ", other")
            for command, limit in CHANGED.items()
        ]
        for command, _, measured, _ in questions:
            measured(command)  # compiles what is not compiled yet, and remembers
        least = [float("inf")] * len(questions)
        sympy_s = float("inf")
        for _ in range(runs):
            sympy_s = min(sympy_s, process_s([sys.executable, "-c", "import sympy"]))
            for k, (command, _, measured, _) in enumerate(questions):
                least[k] = min(least[k], measured(command))
    scale = sympy_s / SYMPY_S
    yield Line(f"import sympy ({scale:.2f} x {SYMPY_S} s)", sympy_s, "s")
    for (command, limit, _, again), took in zip(questions, least, strict=True):
        yield Line(f"{NAMES[command]}{again}", took, "s", limit * scale)


if __name__ == "__main__":
    sys.exit(report(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 5)))

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

SIZED = "analyze llama-3.1-8b --on h100-sxm -b 16 -p 8k -n 256"
LIMITS: dict[str, tuple[str, float]] = {
    "--help": ("--help", 0.15),
    "--version": ("--version", 0.15),
    "hardware list -f csv": ("hardware list -f csv", 0.40),
    "analyze 8B": ("analyze llama-3.1-8b --on h100-sxm", 0.50),
    "analyze 8B -b -p -n": (SIZED, 0.50),
    "analyze Mixtral -f json": ("analyze mixtral-8x7b-v0.1 --on h100-sxm -f json", 0.50),
    "analyze DeepSeek-V3, tp8": ("analyze deepseek-v3 --on h200-sxm:8 -t parallel:tp=8", 0.60),
}
"""What → the command, and CPU seconds, user and system, with an empty folder of answers."""
REMEMBERED: dict[str, tuple[str, float]] = {
    "analyze 8B again": (SIZED, 0.20),
    "solve 8B again": (
        "solve llama-3.1-8b --on h100-sxm --find batch --maximize --subject-to tpot<=25ms", 0.20,
    ),
    "sweep 8B again": ("sweep llama-3.1-8b --on h100-sxm --vary batch=1..512x2", 0.20),
    "plan 8B again": ("plan llama-3.1-8b --on h100-sxm --slo tpot<30ms --rate 5/s", 0.20),
}  # fmt: skip
"""What → the command, and CPU seconds of a question that was asked before."""
CHANGED: dict[str, tuple[str, float]] = {
    "sweep 8B, other sizes": ("sweep llama-3.1-8b --on h100-sxm --vary batch=1..{}x2", 0.25),
    "plan 8B, other goals": ("plan llama-3.1-8b --on h100-sxm --slo tpot<{}ms --rate 5/s", 0.90),
}
"""What → the command with a size left open, whose scenario was swept before over other sizes."""
SYMPY_S = 0.30
"""CPU seconds of importing sympy where the limits hold as they are."""


def cpu_s(command: str, cache: str) -> float:
    """Return the CPU time of one run [s]."""
    env = {"MANSARD_CACHE": cache, "PYTHONDONTWRITEBYTECODE": ""}
    return process_s([sys.executable, "-m", "mansard", *command.split()], env=env)


def cold_s(command: str) -> float:
    """Return the CPU time of one run whose folder of answers is empty [s]."""
    with tempfile.TemporaryDirectory() as cache:
        return cpu_s(command, cache)


def lines(runs: int) -> Iterator[Line]:
    """Measure each command, least of several runs, and importing sympy between them."""
    with tempfile.TemporaryDirectory() as cache:
        questions: list[tuple[str, str, float, Callable[[str], float]]]
        questions = [(what, *asked, cold_s) for what, asked in LIMITS.items()]
        questions += [(what, *asked, lambda command: cpu_s(command, cache))
                      for what, asked in REMEMBERED.items()]  # fmt: skip
        sizes = count(100)
        questions += [(what, *asked, lambda command: cpu_s(command.format(next(sizes)), cache))
                      for what, asked in CHANGED.items()]  # fmt: skip
        for _, command, _, measured in questions:
            measured(command)  # compiles what is not compiled yet, and remembers
        least = [float("inf")] * len(questions)
        sympy_s = float("inf")
        for _ in range(runs):
            sympy_s = min(sympy_s, process_s([sys.executable, "-c", "import sympy"]))
            for k, (_, command, _, measured) in enumerate(questions):
                least[k] = min(least[k], measured(command))
    scale = sympy_s / SYMPY_S
    yield Line(f"import sympy, {scale:.2f} times", sympy_s, "s")
    for (what, _, limit, _), took in zip(questions, least, strict=True):
        yield Line(what, took, "s", limit * scale)


if __name__ == "__main__":
    sys.exit(report(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 5)))

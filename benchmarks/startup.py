"""How much CPU a command takes from a cold start, against what is allowed.

Usage: ``python benchmarks/startup.py [RUNS]``; exits with 1 when a limit is passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

LIMITS: dict[tuple[str, ...], float] = {
    ("--help",): 0.15,
    ("--version",): 0.15,
    ("hardware", "list", "-f", "csv"): 0.40,
    ("analyze", "llama-3.1-8b", "--on", "h100-sxm", "-b", "16", "-p", "8k", "-n", "256"): 0.60,
    ("analyze", "mixtral-8x7b-v0.1", "--on", "h100-sxm", "-f", "json"): 0.60,
}
"""Arguments → CPU seconds, user and system, of the process, with nothing remembered."""
REMEMBERED = ("analyze", "llama-3.1-8b", "--on", "h100-sxm", "-b", "16", "-p", "8k", "-n", "256")
REMEMBERED_LIMIT = 0.20
"""CPU seconds of a question that was asked before."""


def cpu_s(arguments: tuple[str, ...], cache: str = "off") -> float:
    """Return the CPU time of one run [s]."""
    return process_s([sys.executable, "-m", "mansard", *arguments], cache)


def process_s(command: list[str], cache: str = "off") -> float:
    """Return the CPU time of a process [s]."""
    before = os.times()
    env = {**os.environ, "MANSARD_CACHE": cache, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, check=True, capture_output=True, env=env)
    after = os.times()
    return (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )


def main() -> int:
    """Print the least of several runs of each command, its limit, and whether it is kept."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    slow = False
    for arguments, limit in LIMITS.items():
        cpu_s(arguments)  # compiles what is not compiled yet
        best = min(cpu_s(arguments) for _ in range(runs))
        slow |= best > limit
        verdict = "SLOW" if best > limit else "ok"
        print(f"{verdict:4} {best:5.2f} s of {limit:.2f}  mansard {' '.join(arguments)}")
    with tempfile.TemporaryDirectory() as cache:
        cpu_s(REMEMBERED, cache)
        best = min(cpu_s(REMEMBERED, cache) for _ in range(runs))
    slow |= best > REMEMBERED_LIMIT
    verdict = "SLOW" if best > REMEMBERED_LIMIT else "ok"
    print(f"{verdict:4} {best:5.2f} s of {REMEMBERED_LIMIT:.2f}  ... asked before")
    sympy_s = min(process_s([sys.executable, "-c", "import sympy"]) for _ in range(runs))
    print(f"     {sympy_s:5.2f} s             importing sympy alone, to compare machines by")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())

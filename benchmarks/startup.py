"""How much CPU a command takes from a cold start, against what is allowed.

Usage: ``python benchmarks/startup.py [RUNS]``; exits with 1 when a limit is passed.
"""

from __future__ import annotations

import os
import subprocess
import sys

LIMITS: dict[tuple[str, ...], float] = {
    ("--help",): 0.15,
    ("--version",): 0.15,
    ("hardware", "list", "-f", "csv"): 0.40,
    ("analyze", "llama-3.1-8b", "--on", "h100-sxm", "-b", "16", "-p", "8k", "-n", "256"): 0.80,
    ("analyze", "mixtral-8x7b-v0.1", "--on", "h100-sxm", "-f", "json"): 0.80,
}
"""Arguments → CPU seconds, user and system, of the process."""


def cpu_s(arguments: tuple[str, ...]) -> float:
    """Return the CPU time of one run [s]."""
    before = os.times()
    command = [sys.executable, "-m", "mansard", *arguments]
    subprocess.run(command, check=True, capture_output=True)
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
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())

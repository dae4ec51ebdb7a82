"""CPU time of a step in this process, and of a process of its own; the least of several runs."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence


def cpu_s(step: Callable[[], object], runs: int = 1, collect: bool = True) -> float:
    """Return the least CPU time of a step over some runs [s].

    Args:
        step: what is timed.
        runs: how many times.
        collect: garbage before each run, which takes longer than a step of microseconds.

    >>> cpu_s(lambda: None) < 1.0
    True
    """
    best = float("inf")
    for _ in range(runs):
        if collect:
            gc.collect()
        begun = time.process_time_ns()
        step()
        best = min(best, (time.process_time_ns() - begun) / 1e9)
    return best


def each_s(step: Callable[[], object], calls: int, runs: int = 1) -> float:
    """Return the CPU time of one of many equal calls [s], the least over some runs."""

    def many() -> None:
        for _ in range(calls):
            step()

    return cpu_s(many, runs) / calls


def process_s(
    command: Sequence[str], runs: int = 1, env: Mapping[str, str] | None = None, cwd: str = "."
) -> float:
    """Return the least CPU time of a process over some runs, user and system [s].

    Args:
        command: the program and its arguments; one that fails raises.
        runs: how many times.
        env: what to set beside the environment of this process.
        cwd: the folder to run it in.
    """
    best = float("inf")
    for _ in range(runs):
        before = children_s()
        subprocess.run(
            command, check=True, capture_output=True, env={**os.environ, **(env or {})}, cwd=cwd
        )
        best = min(best, children_s() - before)
    return best


def children_s() -> float:
    """Return what processes that ended have taken, user and system [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

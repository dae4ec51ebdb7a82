"""What a hundred installed plugins add to the help, and to an import of mansard.

Usage: ``python benchmarks/plugins.py [RUNS]``; exits with 1 when a limit is passed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

MANY = 100
HELP_LIMIT_S = 0.05
IMPORT_LIMIT_S = 0.01
"""The noise of starting a process; nothing of a plugin is looked at when mansard is imported."""
COMMANDS = {"--help": ["-m", "mansard", "--help"], "import mansard": ["-c", "import mansard"]}


def install(folder: Path, many: int) -> None:
    """Lay down distributions as an installer would, each with a plugin and a command."""
    for k in range(many):
        info = folder / f"example_{k}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: example-{k}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[mansard]\nexample-{k} = example_{k}\n[mansard.commands]\ndo-{k} = example_{k}:do\n"
        )


def seconds(arguments: list[str], path: Path, runs: int) -> float:
    """Return the least CPU time of several runs of an interpreter [s]."""
    there = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": there}
    found = []
    for _ in range(runs):
        before = cpu_s()
        subprocess.run([sys.executable, *arguments], env=env, check=True, capture_output=True)
        found.append(cpu_s() - before)
    return min(found)


def cpu_s() -> float:
    """Return what processes that ended have taken, user and system [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print both differences and whether they are kept."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    slow = False
    with tempfile.TemporaryDirectory() as none, tempfile.TemporaryDirectory() as all_:
        install(Path(all_), MANY)
        for (name, arguments), limit in zip(
            COMMANDS.items(), (HELP_LIMIT_S, IMPORT_LIMIT_S), strict=True
        ):
            without = seconds(arguments, Path(none), runs)
            added = seconds(arguments, Path(all_), runs) - without
            slow |= added > limit
            verdict = "SLOW" if added > limit else "ok"
            print(f"{verdict:4} {name}: {MANY} plugins add {added * 1e3:.1f} ms of"
                  f" {limit * 1e3:.0f} to {without * 1e3:.0f} ms")  # fmt: skip
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())

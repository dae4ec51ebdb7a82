"""What a hundred installed plugins add to the help, and to an import of mansard.

Usage: ``python benchmarks/plugins.py [RUNS]``; exits with 1 when a limit is passed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.lines import Line, report
from harness.timing import process_s

MANY = 100
COMMANDS = {
    "--help": (["-m", "mansard", "--help"], 50),
    "import mansard": (["-c", "import mansard"], 10),
}
"""What → the command and what plugins may add to it [ms].

Of an import that is the noise of starting a process: nothing of a plugin is looked at.
"""


def install(folder: Path, many: int) -> None:
    """Lay down distributions as an installer would, each with a plugin and a command."""
    for k in range(many):
        info = folder / f"example_{k}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: example-{k}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[mansard]\nexample-{k} = example_{k}\n[mansard.commands]\ndo-{k} = example_{k}:do\n"
        )


def lines(runs: int) -> Iterator[Line]:
    """Measure what they add, and to what."""
    with tempfile.TemporaryDirectory() as none, tempfile.TemporaryDirectory() as all_:
        install(Path(all_), MANY)
        for what, (arguments, limit) in COMMANDS.items():
            without, with_all = (
                process_s([sys.executable, *arguments], runs, {"PYTHONPATH": os.pathsep.join(
                    [folder, os.environ.get("PYTHONPATH", "")])})
                for folder in (none, all_)
            )  # fmt: skip
            yield Line(f"added to {what}", 1e3 * (with_all - without), "ms", limit)
            yield Line(what, 1e3 * without, "ms")


if __name__ == "__main__":
    sys.exit(report(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 15)))

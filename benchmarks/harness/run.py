"""Run the benchmarks and end with one table of what they measured.

Usage: ``python benchmarks/harness/run.py [NAME ...]`` (``make bench ARGS="engine solving"``). Runs
every script of ``benchmarks/`` unless some are named. Exits with 1 when a line misses its limit or
a script fails, and ends by saying which.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1]
sys.path.insert(0, str(FOLDER))  # as it is for a script of that folder

from harness.lines import KEPT_IN, read_kept  # noqa: E402 - after the path
from harness.table import table  # noqa: E402


def scripts(names: list[str]) -> list[Path]:
    """Return the scripts of those names, or all."""
    found = {path.stem: path for path in sorted(FOLDER.glob("[a-z]*.py"))}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SystemExit(f"no benchmark is called {', '.join(unknown)}: {', '.join(found)}")
    return [found[name] for name in names] if names else list(found.values())


def main(names: list[str]) -> int:
    """Run them one after another; return 1 when a limit is missed."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "lines.jsonl"
        kept.touch()
        for script in scripts(names):
            print(f"== {script.relative_to(FOLDER.parent)}", flush=True)
            ended = subprocess.run([sys.executable, script], env={**os.environ, KEPT_IN: str(kept)})
            if ended.returncode:
                failed.append(script.stem)
        lines = read_kept(kept)
    print("\n== all lines")
    for row in table(lines):
        print(row)
    missed = [line for line in lines if not line.kept]
    print(f"\n{sum(line.limit is not None for line in lines)} limits, {len(missed)} missed"
          f"{':' if missed else '.'}")  # fmt: skip
    for line in missed:
        print(f"  {line.script}, {line.shape or 'any model'}: {line.what}: "
              f"{line.value:.4g} {line.unit}, not {line.allowed}")  # fmt: skip
    silent = [name for name in failed if name not in {line.script for line in missed}]
    if silent:
        print(f"failed: {', '.join(silent)}")
    return int(bool(missed or failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

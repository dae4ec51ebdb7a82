"""Run what docs/plugins.md shows of an empty folder, and compare it, or write it down.

Usage: ``python scripts/transcript.py ENVIRONMENT [--write]``, where the environment has mansard's
wheel and nothing else of mansard; exits with 1 where the page shows something else.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
SECTION = re.compile(r"(## From an empty folder\n.*?```console\n)(.*?)(^```$)", re.M | re.S)


def commands(shown: str) -> list[str]:
    """Return the commands of a transcript."""
    return re.findall(r"^\$ (.*)$", shown, re.M)


def transcript(lines: list[str], environment: Path) -> str:
    """Return what a person would see who typed the lines into a shell in an empty folder.

    Raises:
        SystemExit: a command failed.
    """
    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MANSARD_PLUGINS")}
    env = {**kept, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "MANSARD_CACHE": "off",
           "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "2"}  # fmt: skip
    made = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for line in lines:
            command = f"{line} && pwd -P >&3"
            with tempfile.TemporaryFile("w+") as where:
                done = subprocess.run(
                    ["bash", "-c", f"exec 3>&{where.fileno()}; {command}"], cwd=place, env=env,
                    text=True, check=False, pass_fds=(where.fileno(),),
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
                where.seek(0)
                said = where.read().strip()
            if done.returncode:
                sys.exit(f"$ {line}\n{done.stdout}exit code {done.returncode}")
            place = Path(said)  # a later line starts where a `cd` went
            made.append(f"$ {line}\n{_timeless(done.stdout)}")
    return "".join(made)


def _timeless(text: str) -> str:
    """Return an output without what differs from run to run: how long things took."""
    text = re.sub(r"^waiting for plugin .* so far, which is no fault\n", "", text, flags=re.M)
    return re.sub(r"( passed) in [\d.]+s", r"\1", text)


def main() -> int:
    """Compare, or write."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("environment", type=Path)
    read.add_argument("--write", action="store_true", help="write the page")
    asked = read.parse_args()
    page = PAGE.read_text("utf-8")
    found = SECTION.search(page)
    if found is None:
        sys.exit(f"{PAGE} has no transcript")
    shown = found[2]
    made = transcript(commands(shown), asked.environment.resolve())
    if asked.write:
        PAGE.write_text(page[: found.start(2)] + made + page[found.end(2) :], encoding="utf-8")
        return 0
    lines = difflib.unified_diff(
        shown.splitlines(), made.splitlines(), "docs/plugins.md", "this run", lineterm="", n=1
    )
    differs = "\n".join(lines)
    print(differs or f"{len(commands(shown))} commands say what docs/plugins.md shows")
    return int(bool(differs))


if __name__ == "__main__":
    sys.exit(main())

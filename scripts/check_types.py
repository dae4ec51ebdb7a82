"""Run mypy, and fail when it looked at fewer files than there are.

An ``exclude`` that reaches too far makes mypy check one file and report success; so the number in
its closing line is compared with the number of files under the paths it is configured to check.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def source_files(folder: Path) -> int:
    """Count the Python files under ``folder``, those behind its links included."""
    entries = [p for p in folder.iterdir() if not p.name.startswith((".", "__pycache__"))]
    files = sum(p.is_file() and p.suffix in {".py", ".pyi"} for p in entries)
    return files + sum(source_files(p) for p in entries if p.is_dir())


def main() -> int:
    """Return mypy's exit code, or 1 when files were left out."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]
    expected = sum(source_files(ROOT / path) for path in config["files"])
    run = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    print(run.stdout, end="")
    if run.returncode:
        return run.returncode
    checked = re.search(r"in (\d+) source files?", run.stdout)
    if checked is None or int(checked[1]) != expected:
        print(f"mypy left files out: {', '.join(config['files'])} hold {expected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

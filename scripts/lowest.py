"""Print the oldest release of each runtime dependency that pyproject.toml admits, one a line.

The output is a constraints file for pip: installing with it proves the lower bounds.
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write ``name==bound`` for every ``name>=bound``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for requirement in project["dependencies"]:
        name, bound = requirement.split(">=")
        print(f"{name}=={bound}")


if __name__ == "__main__":
    main()

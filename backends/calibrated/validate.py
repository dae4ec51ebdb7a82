"""Write the accuracy page: ``python -m mansard.backends.calibrated.validate FOLDER [PAGE]``.

Fits every set without the shapes it is judged on, judges it on them, and compares with the gates.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mansard.backends.calibrated import judge, page
from mansard.backends.calibrated.refit import fit_chip, gather
from mansard.core.errors import MansardError, SpecError


def validate(folder: Path) -> str:
    """Return the page for a folder of measurements.

    Raises:
        SpecError: the folder holds none.
    """
    gathered = gather(folder)
    fitted = {chip: fit_chip(found) for chip, found in gathered.items()}
    judged = [one for chip, fits in fitted.items() for one in judge.judge(chip, fits)]
    rankings = [(chip, *one) for chip, fits in fitted.items() for one in judge.ranking(fits)]
    total = sum(rows.rows for found in gathered.values() for rows in found)
    return page.render(judged, judge.unmeasured(fitted), rankings, total)


def main(arguments: list[str]) -> None:
    """Print the page, or write it to the second argument."""
    if len(arguments) not in (1, 2):
        raise SpecError("validate takes a folder of measurements", hint="../shared/data/measured")
    text = validate(Path(arguments[0]))
    if len(arguments) == 2:
        Path(arguments[1]).write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MansardError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}".strip())

"""Fit, score and judge calibrations: ``python -m mansard.query.accuracy COMMAND FOLDER``.

``refit FOLDER [FORM …]`` writes the sets that ship, of some forms or all; ``validate FOLDER PAGE``
writes docs/accuracy.md and its plots; ``score FOLDER`` prints the error of the sets that ship.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from mansard.backends.calibrated import page, refit
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.registry import form as known_form
from mansard.backends.calibrated.score import score as scored
from mansard.core.errors import MansardError, SpecError, unknown_name
from mansard.query.composed import composed, static_batches


def fit(folder: Path, *forms: str) -> None:
    """Fit what a folder holds and write the sets that ship; of some forms, or all."""
    chosen = tuple(known_form(name).name for name in forms) or tuple(FORMS)
    whole = composed(folder) if "engine" in chosen else ()
    for line in refit.ship(refit.fit_all(refit.gather(folder, whole, chosen)), chosen):
        print(line)


def validate(folder: Path, target: str) -> None:
    """Judge on what was held back, and write the page and its plots."""
    gathered = refit.gather(folder, composed(folder))
    path, static = Path(target), tuple(static_batches(folder))
    found = page.files_of(refit.fit_all(gathered), gathered, path.name, static)
    for name, text in found.items():
        (path.parent / name).parent.mkdir(exist_ok=True)
        (path.parent / name).write_text(text, encoding="utf-8")


def score(folder: Path) -> None:
    """Print a line per set: the error of what ships on these measurements."""
    for chip, key, rows, error, naive, inside, basis in scored(folder, composed(folder)):
        print(f"{chip}\t{key}\t{rows}\t{error:.1%}\t{naive:.1%}\t{inside:.0%}\t{basis}")


COMMANDS: dict[str, Callable[..., None]] = {"refit": fit, "validate": validate, "score": score}


def main(arguments: list[str]) -> None:
    """Run one of the commands.

    Raises:
        SpecError: none is named, or no folder.
    """
    if len(arguments) < 2:
        raise SpecError("accuracy takes a command and a folder", hint=str(__doc__))
    name, folder, *rest = arguments
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    COMMANDS[name](Path(folder), *rest)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MansardError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}".strip())

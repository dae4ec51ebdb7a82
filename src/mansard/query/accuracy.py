"""Fit, score and judge calibrations: ``python -m mansard.query.accuracy COMMAND FOLDER``.

``refit FOLDER [FORM …]`` writes the sets that ship, of some forms or all; ``validate FOLDER PAGE``
writes docs/accuracy.md and its plots; ``check FOLDER PAGE`` holds its lines on whole networks to
the code, in half a minute; ``score FOLDER`` prints the error of the sets that ship.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from math import isclose
from pathlib import Path

from mansard.backends.calibrated import page, refit
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.registry import form as known_form
from mansard.backends.calibrated.score import score as scored
from mansard.backends.calibrated.stacks import WHOLE
from mansard.core.errors import MansardError, SpecError, unknown_name
from mansard.query.composed import composed, static_batches

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w.])")
ROUNDED, ROUNDED_SHARE = 0.005, 0.15
"""How far a number of the page may be from what is computed now: of it, and in itself."""


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


def check(folder: Path, target: str) -> None:
    """Fit whole networks again and compare with the page.

    Raises:
        SpecError: lines of it are others now.
    """
    fitted = refit.fit_all(refit.gather(folder, composed(folder), WHOLE))
    known: dict[str, list[list[float]]] = defaultdict(list)
    for line in Path(target).read_text(encoding="utf-8").splitlines():
        words, numbers = _taken_apart(line)
        known[words].append(numbers)
    lines = page.whole_networks(fitted)
    others = [line for line in lines if not _stands(line, known)]
    if others:
        hint = f"write it again: python -m mansard.query.accuracy validate {folder} {target}"
        said = "\n  ".join(others[:10])
        raise SpecError(
            f"{target}: {len(others)} of {len(lines)} lines are now\n  {said}", hint=hint
        )
    print(f"{target}: {len(lines)} lines on whole networks are what the code says")


def _taken_apart(line: str) -> tuple[str, list[float]]:
    """Return a line without its numbers, and its numbers.

    >>> _taken_apart("| vllm | 172 | 5.8 % |")
    ('| vllm | # | # % |', [172.0, 5.8])
    """
    return NUMBER.sub("#", line), [float(n) for n in NUMBER.findall(line)]


def _stands(line: str, known: Mapping[str, list[list[float]]]) -> bool:
    """Say whether a line is among those known, up to what other libraries round otherwise."""
    words, numbers = _taken_apart(line)
    return any(
        all(
            isclose(a, b, rel_tol=ROUNDED, abs_tol=ROUNDED_SHARE)
            for a, b in zip(numbers, other, strict=True)
        )
        for other in known.get(words, ())
    )


def score(folder: Path) -> None:
    """Print a line per set: the error of what ships on these measurements."""
    for chip, key, rows, error, naive, inside, basis in scored(folder, composed(folder)):
        print(f"{chip}\t{key}\t{rows}\t{error:.1%}\t{naive:.1%}\t{inside:.0%}\t{basis}")


COMMANDS: dict[str, Callable[..., None]] = {
    "refit": fit, "validate": validate, "check": check, "score": score,
}  # fmt: skip


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

"""The workloads of ``solve_many``: sizes read as arrays, and the question they are asked of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.backends.engine.points import Array
from mansard.core.errors import SpecError, unknown_name
from mansard.query.scenario import LARGEST
from mansard.query.solving.question import Question
from mansard.query.solving.unknowns import SIZES

if TYPE_CHECKING:
    from mansard.query.study import Study


def columns_of(study: Study, find: str, over: Mapping[str, Any]) -> dict[str, Array]:
    """Return batch, prompt and output of the workloads, but for the unknown."""
    if study.mix is not None:
        raise SpecError("lengths of this study are a distribution, and workloads have one each",
                        hint="give numbers as prompt and output, or ask solve")  # fmt: skip
    step = study.scenario.single_step or "context" in (find, *over)
    for name in over:
        if name not in SIZES:
            raise unknown_name("size of a workload", name, SIZES)
        if name == find or {name, find} == {"prompt", "context"}:
            raise SpecError(f"{name} is given and looked for at once", hint=f"leave {name} out")
        if step and name in ("prompt", "output"):
            raise SpecError(f"{name} does not occur: one step over cached tokens is asked for",
                            hint="give context instead")  # fmt: skip
    if not over:
        raise SpecError("over is empty: there are no workloads", hint="for one, ask solve")
    found = {n: sizes_of(n, v) for n, v in over.items()}
    count = max((v.size for v in found.values() if v.size != 1), default=1)
    count = 0 if any(v.size == 0 for v in found.values()) else count
    if any(v.size not in (1, count) for v in found.values()):
        sizes = ", ".join(f"{n} has {v.size:,}" for n, v in found.items())
        raise SpecError(f"workloads differ in number: {sizes}",
                        hint="give each size one number a workload, or one for all")  # fmt: skip
    keys = {n: "prompt" if n == "context" else n for n in found}
    return {keys[n]: np.broadcast_to(v, count) for n, v in found.items()}


def sizes_of(name: str, given: Any) -> Array:
    """Return whole numbers from 1 on, one or several."""
    try:
        read = np.asarray(given)
        values = read.astype(float).reshape(-1)
    except (TypeError, ValueError):
        raise SpecError(f"{name} is {given!r:.60}, no numbers",
                        hint="give a list or an array of whole numbers") from None  # fmt: skip
    whole = read.dtype.kind in "iuf" or not values.size
    bad = ~((values >= 1) & (values <= LARGEST) & (values == np.floor(values)))
    if read.ndim > 1 or not whole or bad.any():
        first = f": {values[bad][0]:g} at index {np.flatnonzero(bad)[0]}" if bad.any() else ""
        raise SpecError(f"{name} is no list of whole numbers from 1 to {LARGEST:,}{first}",
                        hint=f"round {name}, and leave out workloads without one")  # fmt: skip
    return values


def asked_of(study: Study, find: str, over: Mapping[str, Any]) -> Question:
    """Return the question, of the kind that the workloads are."""
    if not study.scenario.single_step and "context" in (find, *over):
        return study.question.sized(context=1)
    if "output" in over and study.scenario.output < 2:
        return study.question.sized(output=2)
    return study.question


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    return ", ".join(names[:-1]) + f" and {names[-1]}"

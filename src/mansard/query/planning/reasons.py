"""Why layouts cannot serve: how near any of them comes to each objective, and to the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mansard.core.units import format_bytes
from mansard.query.metrics import METRICS
from mansard.query.planning.options import Load, fits, holds
from mansard.query.planning.replica import Replica
from mansard.query.solving.wording import written


def why_not(replica: Replica, load: Load) -> str:
    """Say in a sentence why replicas of one layout serve at no batch."""
    return "; ".join(nearest_miss([replica], load, named=False))


def nearest_miss(replicas: Sequence[Replica], load: Load, *, named: bool = True) -> Iterator[str]:
    """Say of each objective, and of memory, how near any replica comes to it alone.

    Args:
        replicas: at least one.
        load: what has to be served.
        named: whether the layout that comes so near is named.
    """
    if not any(fits(r.steady).any() for r in replicas):
        least = min(replicas, key=lambda r: r.steady["memory"][0])
        need, has = (format_bytes(float(least.steady[n][0])) for n in ("memory", "capacity"))
        of = f", with {least.layout}" if named else ""
        yield f"memory: {need} a device at least{of}; it has {has}"
        return
    missed = False
    for objective in load.objectives:
        if any((fits(r.steady) & holds(objective, r.steady)).any() for r in replicas):
            continue
        missed = True
        for name in objective.names:
            end, extreme = ("greatest", max) if objective.wants_more(name) else ("least", min)
            found = [(float(extreme(kept)), r) for r in replicas if (kept := _seen(r, name)).size]
            if found:
                value, which = extreme(found, key=lambda pair: pair[0])
                shown = written(value, METRICS[name].dimension)
                of = f" ({which.layout})" if named else ""
                yield f"{objective.text}: the {end} {name} is {shown}{of}"
    if not missed:
        each = " and ".join(o.text for o in load.objectives)
        yield f"each of {each} holds at some batch, all of them at none"


def _seen(replica: Replica, name: str) -> np.ndarray:
    """Return the values of a figure at the batches that fit."""
    values = replica.steady[name]
    return np.asarray(values[fits(replica.steady) & np.isfinite(values)])

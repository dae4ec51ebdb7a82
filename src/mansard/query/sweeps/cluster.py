"""Sweeps over more than one process: parts as dask tasks, whose reductions merge.

A part is the same function the local engine runs. A task that is lost with its worker is run again
by dask, and what it kept is merged once, so the answer does not depend on who computed it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mansard.core.errors import SpecError
from mansard.query.study import Study
from mansard.query.sweeps.cases import Layout, parts
from mansard.query.sweeps.programs import Engines

if TYPE_CHECKING:
    from mansard.query.sweeps.asked import Asked
    from mansard.query.sweeps.blocks import Span
    from mansard.query.sweeps.streaming import Streamed

PART = 25_000_000
"""Points of a task: about a second of one core."""


def stream_over(
    layout: Layout, asked: Asked, address: str, progress: Callable[[int, int], None] | None,
    part: int = PART,
) -> tuple[Streamed, bool]:  # fmt: skip
    """Reduce a sweep on a dask cluster; return what is left and whether it was interrupted.

    Args:
        layout: of the sweep.
        asked: the reduction.
        address: of a scheduler; empty for a cluster of this machine's cores, made for the sweep.
        progress: told how many points are done.
        part: points of a task.

    Raises:
        SpecError: dask is not installed, nothing is reduced, or no scheduler answers.
    """
    from mansard.query.sweeps.streaming import Streamed

    if not asked.metrics:
        raise SpecError(
            "a sweep over a cluster has to be reduced", hint="add --pareto A,B or --top N --best A"
        )
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise SpecError(
            "dask is not installed", hint="pip install 'mansard[distributed]'"
        ) from None
    bare = replace(layout, study=_bare(layout.study))
    todo = list(parts(layout, part))
    total = Streamed(asked.reduction())
    with _client(Client, address) as client:
        tasks = [client.submit(reduce_part, bare, asked, k, pure=False) for k in todo]
        try:
            for future in as_completed(tasks):
                total.merge(future.result())
                future.release()
                if progress is not None:
                    progress(total.evaluated, layout.points)
        except KeyboardInterrupt:
            client.cancel(tasks)
            return total, True
    return total, False


def reduce_part(layout: Layout, asked: Asked, part: tuple[int, Span]) -> Streamed:
    """Reduce one part of a sweep: what a worker runs."""
    from mansard.query.sweeps.streaming import Streamed, stream

    into = Streamed(asked.reduction())
    for _ in stream(layout, asked, [part], into, _ENGINES):
        pass
    return into


_ENGINES = Engines()
"""Programs this process has lowered, kept for its next tasks."""


def _bare(study: Study) -> Study:
    """Return a study without what it has loaded, which each worker loads itself."""
    return replace(study)


def _client(client: Any, address: str) -> Any:
    try:
        return client(address, timeout="10s") if address else client(processes=True)
    except (OSError, ValueError, TimeoutError) as error:
        raise SpecError(
            f"no dask scheduler answers at {address[:80]!r}: {error}",
            hint="start one with `dask scheduler`, or leave the address out",
        ) from error

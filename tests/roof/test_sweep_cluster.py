"""A sweep over two dask workers, one of which is killed half-way, keeps its answer."""

from __future__ import annotations

import numpy as np
import pytest

import mansard as ms
from mansard.query.sweeps.asked import Asked
from mansard.query.sweeps.axes import read_axes
from mansard.query.sweeps.cases import laid_out
from mansard.query.sweeps.cluster import stream_over
from mansard.query.sweeps.run import sweep

distributed = pytest.importorskip(
    "distributed", reason="the extra `distributed` is not installed: `make extras`"
)


@pytest.mark.filterwarnings("default")
def test_a_worker_that_dies_half_way_changes_nothing() -> None:
    study = ms.study("qwen2.5-0.5b", on="h100-sxm")
    axes = {"on": "h100-sxm,l40s,mi300x", "batch": "1..200", "prompt": "1..4000+10"}
    expected = sweep(study, axes, pareto="throughput,tpot")
    layout = laid_out(study, read_axes(axes))
    asked = Asked(pareto=("throughput", "tpot"))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        killed: list[int] = []

        def progress(done: int, total: int) -> None:
            if not killed and done > total / 4:
                victim = next(iter(cluster.workers.values()))
                victim.process.process._process.kill()  # no goodbye: as a lost machine
                killed.append(done)

        streamed, stopped = stream_over(layout, asked, cluster.scheduler_address, progress, 10_000)
    assert killed
    assert not stopped
    assert streamed.evaluated == layout.points
    whole = sweep(study, axes, pareto="throughput,tpot")
    assert whole.rows == expected.rows
    from mansard.query.sweeps.programs import Engines
    from mansard.query.sweeps.rows import labelled

    columns = labelled(layout, streamed.kept.numbers, Engines())
    assert np.array_equal(columns["tpot_s"], np.array([r["tpot_s"] for r in expected.rows]))
    assert list(columns["on"]) == [r["on"] for r in expected.rows]

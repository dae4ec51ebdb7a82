"""Ways to run a service: replicas that do everything, or some that prefill and some that decode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mansard.core.errors import MansardError
from mansard.query.planning.replica import Replica
from mansard.query.solving.conditions import Condition

Figures = Mapping[str, np.ndarray]
ALL, PREFILL, DECODE = "all", "prefill", "decode"


@dataclass(frozen=True)
class Pool:
    """Replicas that do the same.

    Args:
        does: "all", "prefill" or "decode".
        layout: of a replica, in words.
        devices_each: of a replica.
        replicas: of them.
        batch: sequences of a replica at a time.
        memory: of its fullest device [B].
        requests_per_s: a replica serves at that batch.
    """

    does: str
    layout: str
    devices_each: int
    replicas: int
    batch: int
    memory: float
    requests_per_s: float

    @property
    def devices(self) -> int:
        """Of the pool."""
        return self.devices_each * self.replicas


@dataclass(frozen=True)
class Option:
    """A way to serve the whole rate within the objectives.

    Args:
        variant: the techniques it adds, as pipeline text.
        pools: one that does everything, or one that prefills and one that decodes.
        ttft_s, tpot_s: what a user sees, without waiting in a queue [s].
        tokens_per_s: generated at full load.
        ttft_band_s, tpot_band_s: the ends of their bands [s]; None of the bound.
        stops: what keeps a replica from serving more at a larger batch; empty where nothing does.
    """

    variant: str
    pools: tuple[Pool, ...]
    ttft_s: float
    tpot_s: float
    tokens_per_s: float
    ttft_band_s: tuple[float, float] | None = None
    tpot_band_s: tuple[float, float] | None = None
    stops: str = ""

    @property
    def devices(self) -> int:
        """Of all pools."""
        return sum(pool.devices for pool in self.pools)

    @property
    def requests_per_s(self) -> float:
        """What it serves at most."""
        return min(pool.requests_per_s * pool.replicas for pool in self.pools)

    @property
    def order(self) -> tuple[float, ...]:
        """Fewest devices first, then the fastest for its users, then the fewest pools."""
        return (self.devices, self.tpot_s, self.ttft_s, len(self.pools))


@dataclass(frozen=True)
class Load:
    """What has to be served.

    Args:
        rate: requests a second.
        output: tokens each generates, in the mean.
        objectives: what its users are promised.
    """

    rate: float
    output: float
    objectives: tuple[Condition, ...]


def together(replica: Replica, load: Load) -> Option | None:
    """Return the best option of replicas that prefill and decode; None where none can serve."""
    f = replica.steady
    served = f["throughput"] / load.output
    good = fits(f) & kept(f, load)
    if not good.any():
        return None
    count = np.where(good, np.ceil(_share(load.rate, served)), np.inf)
    tpot = np.nan_to_num(f["tpot"])
    k = int(np.lexsort((replica.batches, tpot, count))[0])
    pool = Pool(ALL, str(replica.layout), replica.layout.devices, int(count[k]),
                int(replica.batches[k]), float(f["memory"][k]), float(served[k]))  # fmt: skip
    tokens = pool.replicas * float(f["throughput"][k])
    why = stops(replica, f, served, good, load)
    return Option(replica.variant, (pool,), float(f["ttft"][k]), float(tpot[k]), tokens,
                  _band(f, "ttft", k), _band(f, "tpot", k), why)  # fmt: skip


def apart(early: Replica, late: Replica, load: Load) -> Option | None:
    """Return the best option that prefills on one layout and decodes on another.

    The cache moves between the two; its time counts into the first token's.
    """
    first, f = early.static, late.static
    at = early.layout.dp
    try:
        sent_s = max(early.transfer_s, late.transfer_s)
    except MansardError:
        return None
    ttft = first["ttft"][0] + sent_s
    decode_s = f["latency"] - f["ttft"]
    if not decode_s[0] > 0 or not np.isfinite(ttft) or not fits(first)[0]:
        return None
    figures = {**f, "ttft": np.full_like(f["tpot"], ttft), "latency": ttft + decode_s}
    decoded = late.batches / decode_s
    good = fits(f) & kept(figures, load)
    if not good.any():
        return None
    prefilled = at / float(first["ttft"][0])
    count = np.where(good, np.ceil(_share(load.rate, decoded)), np.inf)
    k = int(np.lexsort((late.batches, f["tpot"], count))[0])
    needed = math.ceil(_share(load.rate, prefilled))
    pools = (
        Pool(PREFILL, str(early.layout), early.layout.devices, needed, at,
             float(first["memory"][0]), prefilled),
        Pool(DECODE, str(late.layout), late.layout.devices, int(count[k]),
             int(late.batches[k]), float(f["memory"][k]), float(decoded[k])),
    )  # fmt: skip
    most = min(pool.requests_per_s * pool.replicas for pool in pools)
    why = stops(late, figures, decoded, good, load)
    return Option(late.variant, pools, float(ttft), float(f["tpot"][k]), most * load.output,
                  _band(first, "ttft", 0, sent_s), _band(f, "tpot", k), why)  # fmt: skip


def _band(figures: Figures, name: str, k: int, more_s: float = 0.0) -> tuple[float, float] | None:
    """Return the ends of the band of a time at a batch; None where there is none."""
    if f"{name}_low" not in figures or not np.isfinite(figures[f"{name}_low"][k]):
        return None
    return float(figures[f"{name}_low"][k]) + more_s, float(figures[f"{name}_high"][k]) + more_s


def stops(
    replica: Replica, figures: Figures, served: np.ndarray, good: np.ndarray, load: Load
) -> str:
    """Say which condition fails at the first batch that would serve more than any that is good."""
    with np.errstate(invalid="ignore"):
        more = ~good & (served > served[good].max())
    if not more.any():
        return ""
    k = int(np.argmax(more))
    if not fits(figures)[k]:
        failing = ["memory <= capacity"]
    else:
        failing = [o.text for o in load.objectives if not holds(o, figures)[k]]
    return f"{' and '.join(failing)} fails at batch {int(replica.batches[k]):,}" if failing else ""


def _share(rate: float, served: np.ndarray | float) -> np.ndarray:
    """Return how many replicas a rate takes; float noise adds none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(1.0, np.asarray(rate / served) - 1e-9)


def fits(figures: Figures) -> np.ndarray:
    """Say where the memory suffices; an unknown capacity holds anything."""
    return ~(figures["memory"] > figures["capacity"])


def kept(figures: Figures, load: Load) -> np.ndarray:
    """Say at which points every objective holds."""
    every = np.isfinite(figures["throughput"])
    for objective in load.objectives:
        every = every & holds(objective, figures)
    return every


def holds(objective: Condition, figures: Figures) -> np.ndarray:
    """Say at which points an objective holds; an unknown figure holds nowhere."""
    return np.asarray(objective.holds(figures, figures["tpot"].size))

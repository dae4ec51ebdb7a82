"""Which ways to divide a model over the devices of one replica are tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NODE = 8
"""Devices of a replica at most: what one node's links usually join."""


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism of a replica."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1

    @property
    def devices(self) -> int:
        """Of a replica."""
        return self.tp * self.pp * self.dp

    @property
    def pipeline(self) -> str:
        """The technique that makes it; empty for one device."""
        degrees = " ".join(f"{k}={v}" for k, v in vars(self).items() if v > 1)
        return f"parallel{{{degrees}}}" if degrees else ""

    def __str__(self) -> str:
        return " ".join(f"{k}={v}" for k, v in vars(self).items() if v > 1) or "one device"


def layouts(most: int, *, experts: bool) -> Iterator[Layout]:
    """Yield the layouts of 1, 2, 4 … devices: every split into tensor ranks and stages.

    A mixture of experts is tried with its experts on the tensor ranks, and with attention
    replicated on data-parallel ranks that share the experts, too.

    >>> [str(layout) for layout in layouts(2, experts=True)]
    ['one device', 'tp=2', 'pp=2', 'tp=2 ep=2', 'dp=2 ep=2']
    """
    devices = 1
    while devices <= min(most, NODE):
        for stages in (2**k for k in range(devices.bit_length())):
            yield Layout(tp=devices // stages, pp=stages)
        if experts and devices > 1:
            yield Layout(tp=devices, ep=devices)
            yield Layout(dp=devices, ep=devices)
        devices *= 2

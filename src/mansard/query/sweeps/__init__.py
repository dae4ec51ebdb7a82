"""Sweeps: every combination of values of some axes, whole or reduced while it streams."""

from mansard.query.sweeps.result import Sweep
from mansard.query.sweeps.run import sweep

__all__ = ["Sweep", "sweep"]

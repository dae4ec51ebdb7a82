"""What gives figures at many scenarios, of the bound or of the calibrated estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mansard.backends.calibrated.compiled import CalibratedCompiled
    from mansard.backends.engine.compiled import Compiled
    from mansard.backends.engine.stepwise import Stepwise

Engine: TypeAlias = "Compiled | CalibratedCompiled | Stepwise"

"""The command line: ``mansard analyze llama-3.1-8b --on h100-sxm``."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Sequence

RARELY = 1_000_000
"""New objects between searches for cycles: imports make many objects and hardly a cycle, and the
interpreter's own 700 cost a tenth of a short command's time."""
atexit.register(gc.freeze)
"""The interpreter's last search for cycles walks all that sympy made, an eighth of a first answer,
to free what the process gives back anyway; frozen objects are not walked. Files and pools close as
always: that is theirs, not the collector's.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; see ``mansard.cli.run``."""
    gc.set_threshold(RARELY)
    try:
        from mansard.cli.run import run

        return run(arguments)
    except KeyboardInterrupt:
        return 130

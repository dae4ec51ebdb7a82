"""The command line: ``mansard analyze llama-3.1-8b --on h100-sxm``."""

from __future__ import annotations

import gc
from collections.abc import Sequence

RARELY = 100_000
"""New objects between searches for cycles: imports make many objects and hardly a cycle, and the
interpreter's own 700 cost a tenth of a short command's time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; see ``mansard.cli.run``."""
    gc.set_threshold(RARELY)
    try:
        from mansard.cli.run import run

        return run(arguments)
    except KeyboardInterrupt:
        return 130

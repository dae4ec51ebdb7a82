"""The command line: ``mansard analyze llama-3.1-8b --on h100-sxm``."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; see ``mansard.cli.run``."""
    try:
        from mansard.cli.run import run

        return run(arguments)
    except KeyboardInterrupt:
        return 130

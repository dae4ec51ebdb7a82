"""From a command line to an exit code: every way a command may end.

0 ok · 1 a gate failed · 2 usage or bad input · 3 something unknown with ``--strict`` · 4 a plugin
failed · 70 a bug · 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from mansard.cli.paint import paint
from mansard.cli.remembered import answered
from mansard.cli.root import root
from mansard.core.errors import MansardError, nearest

USAGE, BUG, INTERRUPTED = 2, 70, 130
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What a stream of the process's own says when it takes no more; such an error names no file."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; print errors to stderr and return the exit code."""
    _tolerate_narrow_encodings()
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = answered(
            words, lambda: root.main(list(words), prog_name="mansard", standalone_mode=False)
        )
        sys.stdout.flush()
        return code
    except MansardError as error:
        return _fail(error.message, error.hint, error.exit_code)
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        return _fail(error.format_message(), None, USAGE)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _close_quietly()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITABLE:
            return _bug()
        _close_quietly()
        return _fail(f"cannot write: {error.strerror}", "write somewhere else, with -o FILE", USAGE)
    except MemoryError:
        return _fail("out of memory", "ask for less at once", USAGE)
    except Exception:
        return _bug()


def _bug() -> int:
    """Print the exception that is being handled, and whose fault it is."""
    import traceback

    traceback.print_exc()
    print("error: this is a bug in mansard; please report it with the text above",
          file=sys.stderr)  # fmt: skip
    return BUG


def _fail(message: str, hint: str | None, code: int) -> int:
    with suppress(BrokenPipeError):
        print(f"{paint('error:', '1;31')} {message}", file=sys.stderr)
        if hint:
            print(f"{paint('hint:', '36')} {hint}", file=sys.stderr)
    return code


def _usage(error: click.UsageError) -> int:
    """Print a usage error with the nearest names and where help is."""
    message, hints = error.format_message().rstrip("."), []
    if isinstance(error, click.NoSuchOption):
        message = f"no option called {error.option_name!r}"
        known = {name.lstrip("-"): name for name in _options(error.ctx)}
        if near := nearest(error.option_name.lstrip("-"), known):
            hints.append(f"did you mean {' or '.join(known[name] for name in near)}?")
    if error.ctx is not None:
        hints.append(f"see `{error.ctx.command_path} --help`")
    return _fail(message, " ".join(hints) or None, USAGE)


def _options(ctx: click.Context | None) -> list[str]:
    params = ctx.command.get_params(ctx) if ctx is not None else []
    return [name for p in params if isinstance(p, click.Option) for name in p.opts]


def _tolerate_narrow_encodings() -> None:
    """Write ``?`` where a terminal's encoding lacks a character, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _close_quietly() -> None:
    """Point stdout nowhere, so that the interpreter's last flush finds no broken pipe."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

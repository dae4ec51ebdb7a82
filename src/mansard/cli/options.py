"""Options several commands share, and the types their values have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mansard.cli import complete
from mansard.core import units
from mansard.core.errors import SpecError

F = TypeVar("F", bound=Callable[..., Any])


if TYPE_CHECKING:
    _Base = click.ParamType[int]
else:
    _Base = click.ParamType  # generic in the newest versions of click only


class Tokens(_Base):
    """A whole number, ``8k`` for 8192, ``1m`` for 1,048,576."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number.

        Raises:
            SpecError: not a whole number, or below 1.
        """
        if isinstance(value, int):
            return value
        option = max(param.opts, key=len) if param is not None else "value"
        try:
            number = units.parse(str(value), "tokens", bare=True)
        except SpecError as error:
            raise SpecError(
                f"{option}: cannot read {str(value)[:40]!r} as a whole number",
                hint="write it like 16, 2048 or 8k (8192)",
            ) from error
        if number < 1:
            raise SpecError(f"{option} must be at least 1, got {value!r}", hint=f"{option} 1")
        return int(number)


class Lengths(Tokens):
    """A whole number of tokens, or a distribution of them: its text."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number; leave the text of a distribution as it is."""
        if isinstance(value, str) and ("(" in value or value.lower().endswith(".csv")):
            return value
        return super().convert(value, param, ctx)


TOKENS, LENGTHS = Tokens(), Lengths()


def scenario_options(command: F) -> F:
    """Add ``-b -p -n --phase --context``."""
    for option in reversed((
        click.option("-b", "--batch", type=TOKENS, help="Sequences in the batch."
                     " Default: 1."),
        click.option("-p", "--prompt", type=LENGTHS, help="Prompt tokens (8k is 8192), or a"
                     " distribution: lognormal(2k,0.8), uniform(1k,4k), a .csv. Default: 2048."),
        click.option("-n", "--output", type=LENGTHS, help="Tokens to generate, or a"
                     " distribution. Default: 128."),
        click.option("--phase", type=click.Choice(("prefill", "decode", "both")),
                     help="Default: both."),
        click.option("--context", type=TOKENS,
                     help="One decode step with N tokens already cached; not with -p or -n."),
    )):  # fmt: skip
        command = option(command)
    return command


def technique_options(command: F) -> F:
    """Add ``-t -O --set``."""
    for option in reversed((
        click.option("-t", "--tech", "techniques", multiple=True, metavar="SPEC",
                     shell_complete=complete.techniques,
                     help="A technique, in order: name:key=value,key=value or"
                     " name{key=value key=value}; repeatable."),
        click.option("-O", "level", type=click.Choice(("0", "1")),
                     help="-O0: the graph as written. -O1 (default): then fused as engines do."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="Override model.KEY, hardware.KEY, network.KEY or input.KEY; network,"
                     " framework, calibration; repeatable."),
    )):  # fmt: skip
        command = option(command)
    return command


def graph_options(command: F) -> F:
    """Add ``--raw --alias --branch``, which say how a file with a graph is read."""
    for option in reversed((
        click.option("--raw", is_flag=True, help="An ONNX file's graph as written: no pattern is"
                     " raised, no layer rolled."),
        click.option("--alias", "aliases", multiple=True, metavar="NAME=EXPR",
                     help="What a size of an ONNX file is: seq_len=S, mask_len=P+S; repeatable."),
        click.option("--branch", multiple=True, metavar="[NODE=]then|else|SHARE",
                     callback=lambda _, __, told: ",".join(told),
                     help="Which branch of an ONNX file counts where data decide, or how often"
                     " the first does: 0.25; of one node: If_0=else; repeatable."),
    )):  # fmt: skip
        command = option(command)
    return command


def read_aliases(texts: Sequence[str]) -> dict[str, str]:
    """Split ``NAME=EXPR`` texts at their last ``=``; names in files may hold anything.

    Raises:
        SpecError: no ``=``, nothing on one of its sides, or a name given twice.

    >>> read_aliases(["past=P", "p2o.Dimension.0=B"])
    {'past': 'P', 'p2o.Dimension.0': 'B'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, meaning = (part.strip() for part in text.rpartition("="))
        if not equals or not name or not meaning:
            raise SpecError(f"cannot read the alias {text[:60]!r}", hint="write --alias seq_len=S")
        if name in found:
            raise SpecError(f"{name!r} has two aliases", hint="keep one of the two")
        found[name] = meaning
    return found

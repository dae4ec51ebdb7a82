"""What is asked of the model: how many sequences, how long, which phases."""

from __future__ import annotations

from operator import index

from mansard.core import units
from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass

DEFAULT_BATCH, DEFAULT_PROMPT, DEFAULT_OUTPUT = 1, 2048, 128
PHASES = ("prefill", "decode", "both")
LARGEST = 10**12
"""Nobody serves more sequences or tokens, and squares of it are still exact in every sum."""


@dataclass(frozen=True)
class Scenario:
    """Sequences, prompt tokens and tokens to generate.

    Args:
        batch: sequences of the whole system.
        prompt: tokens of each prompt; with ``context``, tokens already cached.
        output: tokens generated for each.
        phase: prefill, decode or both.
        single_step: only one decode step is asked for, over ``prompt`` cached tokens.

    Raises:
        SpecError: a size that is no whole number of at least one.
        UnknownNameError: no such phase.
    """

    batch: int = DEFAULT_BATCH
    prompt: int = DEFAULT_PROMPT
    output: int = DEFAULT_OUTPUT
    phase: str = "both"
    single_step: bool = False

    def __post_init__(self) -> None:
        for name in ("batch", "prompt", "output"):
            check_size(name, getattr(self, name))
        if self.phase not in PHASES:
            raise unknown_name("phase", self.phase, PHASES)
        if self.phase == "decode" and self.output < 2:
            raise SpecError(
                "output is 1: the prefill makes that token, so there is no decode step",
                hint="ask for at least 2 output tokens, or for another phase",
            )

    @property
    def phases(self) -> tuple[str, ...]:
        """Labels to report; none means every phase of the schedule."""
        return () if self.phase == "both" else (self.phase,)

    @property
    def symbols(self) -> dict[str, int]:
        """Scenario symbols by name."""
        return {"batch": self.batch, "prompt": self.prompt, "output": self.output}


def check_size(name: str, value: object) -> None:
    """Raise unless ``value`` is a whole number from 1 to ``LARGEST``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(
            f"{name} must be a whole number of at least 1, got {value!r:.40}",
            hint=f"for example {name}=16",
        )
    if value > LARGEST:
        raise SpecError(f"{name} is {value:.3g}, more than anybody serves", hint="check the number")


def read_size(name: str, value: int | str) -> int:
    """Return a number of sequences or tokens, which may be written ``8k``.

    Raises:
        SpecError: it is no whole number from 1 to ``LARGEST``.

    >>> read_size("context", "8k"), read_size("batch", 3)
    (8192, 3)
    """
    size: object = value
    if isinstance(value, str):
        try:
            parsed = units.parse(value, "tokens", bare=True)
        except SpecError as error:
            raise SpecError(
                f"{name} must be a whole number of at least 1, got {value[:40]!r}",
                hint=f'for example {name}=16, or "8k"',
            ) from error
        size = int(parsed) if parsed == int(parsed) else parsed
    elif hasattr(value, "__index__") and not isinstance(value, bool):
        size = index(value)  # numpy's integers, too
    check_size(name, size)
    assert isinstance(size, int)
    return size


def make_scenario(
    batch: int | str, prompt: int | None, output: int | None, phase: str, context: int | str | None
) -> Scenario:
    """Return the scenario that options describe; ``context`` asks for one decode step.

    Raises:
        SpecError: ``context`` beside ``prompt``, ``output`` or another phase.
    """
    batch = read_size("batch", batch)
    if context is None:
        prompt = DEFAULT_PROMPT if prompt is None else read_size("prompt", prompt)
        output = DEFAULT_OUTPUT if output is None else read_size("output", output)
        return Scenario(batch, prompt, output, phase)
    if prompt is not None or output is not None:
        raise SpecError(
            "context says how many tokens are cached, so prompt and output have no place",
            hint="give either context, or prompt and output",
        )
    if phase == "prefill":
        raise SpecError(
            "context asks for one decode step, phase for prefill",
            hint="leave one of the two out",
        )
    return Scenario(batch, read_size("context", context), 2, "decode", single_step=True)

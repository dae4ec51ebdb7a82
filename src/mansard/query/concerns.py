"""Notes about the question itself: what the numbers rest on beyond model and chip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mansard.backends.estimate import Memory
from mansard.backends.hardware import Hardware
from mansard.backends.hardware_file import CONFIDENCES
from mansard.core.notes import UNKNOWN, Note
from mansard.core.units import format_bytes

UNRESERVED = Note("M031", "no memory is set aside for driver and runtime")


def concerns(
    length: int, max_context: int | None, chip: Hardware, memory: Memory
) -> Iterator[Note]:
    """Yield what a reader of the answer should know.

    Args:
        length: of the longest sequence, in tokens.
        max_context: tokens the model was made for; None where unknown.
        chip: the hardware.
        memory: of one device.
    """
    if max_context is not None and length > max_context:
        yield Note(
            "M004",
            f"a sequence reaches {length:,} tokens; the model was made for {max_context:,}",
        )
    if chip.confidence and not chip.verified:
        yield Note("M010", f"{chip.id}: figures are {CONFIDENCES[chip.confidence]}")
    if memory.capacity is None:
        yield Note("M013", f"{chip.id}: its memory capacity is unknown; nothing says what fits")
    if memory.fits is False:
        yield Note("M030", misfit(memory, chip.id))
    elif memory.overhead == 0:
        yield UNRESERVED


def misfit(memory: Memory, chip: str) -> str:
    """Say by how much a model does not fit."""
    capacity = memory.capacity or 0
    return (
        f"does not fit {chip}: {format_bytes(memory.total)} needed,"
        f" {format_bytes(memory.total - capacity)} more than its {format_bytes(capacity)}"
    )


def unknowns(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Return the notes that say something is unknown: what ``--strict`` refuses."""
    return tuple(note for note in notes if note.code in UNKNOWN)

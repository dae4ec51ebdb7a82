"""What a reader of the numbers should know: what was assumed, not read, or read otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mansard.core.notes import Note
from mansard.frontends.hf.fields import Field, Fields
from mansard.frontends.hf.keys import canonical_keys, show
from mansard.frontends.hf.read import RawConfig


def concerns(fields: Fields, known: tuple[str, ...], config: RawConfig) -> Iterator[Note]:
    """Yield the notes on one config: another class, another setting, no dtype, keys not read."""
    card = fields.card
    classes = config.values.get("architectures")
    if isinstance(classes, list) and classes and known and classes[0] not in known:
        yield Note("M006", f"architectures names {show(classes[0])}; read as {known[0]}")
    for key, wanted in card.expects.items():
        if (value := fields.value(key)) != wanted:
            said = f"{key} is {show(value)}, but {card.architectures[0]} is made for {show(wanted)}"
            yield Note("M054", f"{said}: lowered so, causal and cached")
    if fields.value("dtype") in (None, "auto"):
        yield Note("M002", "the config states no dtype; bf16 is assumed")
    if unread := fields.unread():
        said = f"not understood by the {card.model_type} card, and ignored: {', '.join(unread)}"
        yield Note("M001", said)


def assumed(stacks: Iterable[Fields]) -> Iterator[Note]:
    """Yield a note that names the sizes the config leaves to its class, and those it says null."""
    taken: dict[str, dict[str, object]] = {}
    for fields in stacks:
        for field in fields.records():
            if not field.stated and field.source == fields.defaults.source and _sizes(field):
                taken.setdefault(field.source, {})[field.key] = field.value
        yield from (Note("M002", said) for said in _nulls(fields))
    for source, values in taken.items():
        listed = ", ".join(f"{key} {show(value)}" for key, value in values.items())
        yield Note("M002", f"not in the config, so the {source} counts: {listed}")


def _nulls(fields: Fields) -> Iterator[str]:
    """Yield, for each size that is null where the class has another default, what counts."""
    for field in fields.records():
        known, default = fields.default(field.key)
        ruled = field.stated and field.source.startswith("rule: ")
        if ruled and known and default not in (None, field.value):
            rule = field.source.removeprefix("rule: ")
            yield (
                f"{field.key} is null, so {rule} counts, {show(field.value)}; the"
                f" {fields.defaults.source} is {show(default)}"
            )


def _sizes(field: Field) -> bool:
    """Say whether a field is a size that a wrong value of would show in the numbers."""
    key = canonical_keys().get(field.key)
    sized = key is not None and key.kind in ("size", "count", "side") and not key.quiet
    return sized and field.value not in (None, 0)

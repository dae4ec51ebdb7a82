"""Which layers are local, sparse or rotary: a closed set of rules, each implemented once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from mansard.core.errors import SpecError
from mansard.core.records import dataclass

Rule = Literal[
    "never", "always", "from", "except_from", "every", "except_every", "period", "except_period",
    "cycle", "spans",
]  # fmt: skip
RULES: tuple[str, ...] = get_args(Rule)
# Per-layer lists name kinds; a kind outside these would be lowered as something it is not.
KNOWN_KINDS = {
    "layer_types": ("full_attention", "sliding_attention"),
    "attention_layers": ("global", "local"),
    "attention_types": ("global", "local"),
    "no_rope_layers": (0, 1),
}


@dataclass(frozen=True)
class Schedule:
    """Picks layers: a per-layer list of the config where there is one, else a rule.

    Args:
        rule: ``never``, ``always``, ``from`` (layer >= start and divisible by step), ``every``
            (layer+1 divisible by step), ``period`` (layer - start divisible by step),
            ``except_from``, ``except_every``, ``except_period`` (the others of each), ``cycle``
            (the list, or a string of
            one letter a layer, is repeated) or ``spans``.
        list: config key of a per-layer list or string; it wins where the config has it.
        values: the entries of that list (or of the spans) that mean "picked".
        indices: config key of a list of the layers picked; it wins like ``list``.
        others: the layers that ``indices`` does not list are picked.
        more: entries of the list beyond the layers are of layers that are not served.
        start, step, before, last, first: settings that are whole numbers; no layer before
            ``first``, at or after ``before``, or after ``last``, is picked, and by ``every`` and
            ``except_every`` none before ``start``.
        skip: config key of layers that are never picked.
        spans: config key of the spans.
    """

    rule: Rule = "never"
    list: str | None = None
    values: tuple[Any, ...] = ()
    start: Any = 0
    step: Any = 1
    before: Any = None
    last: Any = None
    first: Any = 0
    skip: str | None = None
    spans: str | None = None
    indices: str | None = None
    others: bool = False
    more: bool = False

    def keys(self) -> tuple[str, ...]:
        """Return the config keys this schedule reads."""
        named = (self.list, self.start, self.step, self.before, self.last, self.first, self.skip,
                 self.spans, self.indices)  # fmt: skip
        return tuple(key for setting in named for key in mentioned(setting))


def mentioned(setting: Any) -> Iterator[str]:
    """Yield the strings in a setting, which are config keys where it is no literal."""
    match setting:
        case str():
            yield setting
        case Mapping():
            for part in setting.values():
                yield from mentioned(part)
        case list() | tuple():
            for part in setting:
                yield from mentioned(part)


def by_rule(
    rule: Rule,
    layers: int,
    *,
    start: int = 0,
    step: int = 1,
    skip: frozenset[int] = frozenset(),
    before: int | None = None,
    first: int = 0,
) -> tuple[bool, ...]:
    """Return, per layer, whether ``rule`` picks it.

    >>> by_rule("except_every", 6, step=3)
    (True, True, False, True, True, False)
    >>> by_rule("from", 4, start=3)
    (False, False, False, True)
    """
    pick = _PICKS.get(rule, _never)
    end = layers if before is None else before
    span = range(layers)
    return tuple(pick(i, start, step) and first <= i < end and i not in skip for i in span)


def _never(layer: int, start: int, step: int) -> bool:
    return False


_PICKS: dict[Rule, Callable[[int, int, int], bool]] = {
    "always": lambda i, start, step: True,
    "from": lambda i, start, step: i >= start and i % step == 0,
    "except_from": lambda i, start, step: i < start or i % step != 0,
    "every": lambda i, start, step: (i + 1) % step == 0 and i >= start,
    "except_every": lambda i, start, step: (i + 1) % step != 0 and i >= start,
    "period": lambda i, start, step: (i - start) % step == 0,
    "except_period": lambda i, start, step: (i - start) % step != 0,
}
"""Whether a rule picks layer ``i``; ``never`` does not, nor those that need a list."""


def one_a_layer(where: str, key: str, values: Sequence[Any], layers: int, other: str = "") -> None:
    """Refuse a list of another length than there are layers.

    Raises:
        SpecError: it is; ``other`` is what else may be done.
    """
    if len(values) != layers:
        hint = f"make {key} as long as num_hidden_layers" + (f", {other}" if other else "")
        said = f"{where}: {key} lists {len(values)} layers, but the model has {layers}"
        raise SpecError(said, hint=hint)


def by_list(
    where: str,
    key: str,
    entries: Sequence[Any],
    values: tuple[Any, ...],
    layers: int,
    kinds: tuple[Any, ...] = (),
    *,
    repeat: bool = False,
) -> tuple[bool, ...]:
    """Return, per layer, whether the config's list says one of ``values``.

    ``kinds`` are the words a list of this family may hold; ``repeat`` starts it over at its end.
    """
    if repeat and entries:
        entries = [entries[i % len(entries)] for i in range(layers)]
    one_a_layer(where, key, entries, layers, "or leave it out")
    known = kinds or KNOWN_KINDS.get(key, ())
    for at, entry in enumerate(entries):
        if known and entry not in known:
            raise SpecError(
                f"{where}: {key} holds {entry!r} at layer {at}, a layer kind this family has no"
                " block for",
                hint=f"the kinds are {', '.join(map(repr, known))}",
            )
    return tuple(entry in values for entry in entries)

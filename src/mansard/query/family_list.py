"""The families whose configs are read: model types with a card, and those that hold one."""

from __future__ import annotations

from collections import Counter

from mansard.core.records import dataclass


@dataclass(frozen=True)
class FamilyEntry:
    """A ``model_type``.

    Args:
        architecture: the class its card describes.
        kind: words such as ``moe``, ``mla``, ``hybrid``.
        models: how many bundled models are of it.
        owner: mansard, or the distribution of the plugin that ships the card.
    """

    name: str
    architecture: str
    kind: tuple[str, ...]
    models: int
    owner: str


def known_families(search: str = "") -> tuple[FamilyEntry, ...]:
    """Return the families that every word of ``search`` matches: its name, class or kind."""
    from mansard.frontends.hf import bundled
    from mansard.frontends.hf.card_file import adding, builtin_cards, builtin_wrappers
    from mansard.frontends.hf.kinds import card_words
    from mansard.plugins import registry

    texts = {name: found.thing for name, found in registry.cards().items()}
    owners = {
        family: found.owner for found in registry.cards().values() for family in _named(found.thing)
    }
    used = Counter(
        str(bundled.load_bundled(name).config.values.get("model_type")) for name in bundled.names()
    )
    with adding(texts):
        whole = {n: c for n, c in builtin_cards().items() if not (c.part_of or c.class_of)}
        found = {n: (c.architectures, card_words(c) or ("dense",)) for n, c in whole.items()}
        found |= {n: (w.architectures, ("multimodal",)) for n, w in builtin_wrappers().items()}
    entries = (
        FamilyEntry(n, classes[0] if classes else "", kind, used[n], owners.get(n, "mansard"))
        for n, (classes, kind) in sorted(found.items())
    )
    return tuple(e for e in entries if all(_matches(e, w) for w in search.lower().split()))


def _named(text: str) -> tuple[str, ...]:
    """Return the model types a file of cards describes."""
    import tomllib

    data = tomllib.loads(text)
    return (*data.get("card", {}), *data.get("wrapper", {}))


def _matches(entry: FamilyEntry, word: str) -> bool:
    return word in entry.kind or word in entry.name or word in entry.architecture.lower()

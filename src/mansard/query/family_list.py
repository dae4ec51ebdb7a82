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
    """Return the families that every word of ``search`` matches: its name, class or kind.

    Raises:
        PluginError: a plugin's card cannot be read, and is not to be left out.
    """
    from mansard.frontends.hf import bundled
    from mansard.frontends.hf.card_file import adding, builtin_cards, builtin_wrappers
    from mansard.plugins import registry
    from mansard.plugins.answers import families

    added = registry.cards()
    owners = {family: f.owner for f in added.values() for family in families(f.thing)}
    used = Counter(
        str(bundled.load_bundled(name).config.values.get("model_type")) for name in bundled.names()
    )
    with adding({name: found.thing for name, found in added.items()}):
        names = sorted((*builtin_cards(), *builtin_wrappers()))
        whose = {name: owners.get(name, "mansard") for name in names}
        read = registry.readable("family", whose, lambda name: (name, family_facts(name)))
        entries = [
            FamilyEntry(name, classes[0] if classes else "", kind, used[name], owner)
            for owner, (name, facts) in read
            if facts is not None
            for classes, kind in [facts]
        ]
    return tuple(e for e in entries if all(_matches(e, w) for w in search.lower().split()))


def family_facts(name: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return a family's classes and kind, of the cards that are added; None of a part of one.

    Raises:
        SpecError: its card cannot be read.
    """
    from mansard.frontends.hf.card_file import builtin_cards, builtin_wrappers
    from mansard.frontends.hf.kinds import card_words

    wrappers = builtin_wrappers()
    if name in wrappers:
        return wrappers[name].architectures, ("multimodal",)
    card = builtin_cards()[name]
    whole = not (card.part_of or card.class_of)
    return (card.architectures, card_words(card) or ("dense",)) if whole else None


def _matches(entry: FamilyEntry, word: str) -> bool:
    return word in entry.kind or word in entry.name or word in entry.architecture.lower()

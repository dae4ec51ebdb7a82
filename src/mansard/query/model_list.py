"""The models known by name, and searching them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mansard.core.errors import SpecError
from mansard.core.records import dataclass

_SIZE = re.compile(r"(<=|>=|<|>)(\d+(?:\.\d+)?)([kmbt]?)", re.I)
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}


@dataclass(frozen=True)
class ModelEntry:
    """A model by name.

    Args:
        kind: words such as ``moe``, ``mla``, ``hybrid``.
        source: where its config was read.
        owner: mansard, or the distribution of the plugin that ships it.
    """

    name: str
    hub_id: str
    family: str
    kind: tuple[str, ...]
    parameters: int
    source: str
    aliases: tuple[str, ...]
    owner: str


def known_models(search: str = "") -> tuple[ModelEntry, ...]:
    """Return the models that every word of ``search`` matches.

    A word matches a part of the name, the Hugging Face id, an alias or the family, or is a kind; a
    word such as ``<=8b`` or ``>70b`` bounds the parameters.

    Raises:
        SpecError: a bound that is no number.
    """
    from mansard.frontends.hf import bundled
    from mansard.plugins.registry import readable
    from mansard.query.named import plugin_models

    found = [_bundled(name) for name in bundled.names()]
    owners = {name: owner for name, (_, owner) in plugin_models().items()}
    found += [entry for _, entry in readable("model", owners, lambda n: _added(n, owners[n]))]
    return tuple(entry for entry in found if all(_matches(entry, w) for w in search.split()))


def _matches(entry: ModelEntry, word: str) -> bool:
    low = word.lower()
    if low[0] in "<>":
        return _bounded(entry.parameters, low)
    texts: Sequence[str] = (entry.name, entry.hub_id.lower(), entry.family, *entry.aliases)
    return low in entry.kind or any(low in text for text in texts)


def _bounded(count: int, word: str) -> bool:
    found = _SIZE.fullmatch(word)
    if found is None:
        raise SpecError(f"{word!r} bounds no size", hint="write it like '<=8b' or '>70b'")
    limit = float(found[2]) * _SCALES[found[3]]
    match found[1]:
        case "<=":
            return count <= limit
        case ">=":
            return count >= limit
        case "<":
            return count < limit
    return count > limit


def _bundled(name: str) -> ModelEntry:
    from mansard.frontends.hf import bundled
    from mansard.frontends.hf.kinds import kind_words

    model = bundled.load_bundled(name)
    family = str(model.config.values.get("model_type", ""))
    return ModelEntry(
        name, model.hub_id, family, kind_words(model.config), model.parameters, model.source,
        model.aliases, "mansard",
    )  # fmt: skip


def _added(name: str, owner: str) -> ModelEntry:
    """Return a plugin's model, its parameters counted."""
    from mansard.ir.footprint import model_facts
    from mansard.query.source import load

    program = load(name)
    count = model_facts(program).params
    return ModelEntry(name, "", program.origin.family, (), count, f"plugin {owner}", (), owner)

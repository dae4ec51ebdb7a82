"""Class defaults: config.json is a difference against them, so they are read as data.

``defaults.json`` is made by ``scripts/refresh_defaults.py`` from an installed transformers.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from mansard.core.records import dataclass
from mansard.frontends.hf.cards import Card


@dataclass(frozen=True)
class ClassDefaults:
    """What a config class fills in, and how it spells the canonical keys."""

    source: str
    values: Mapping[str, Any] = field(default_factory=dict)
    attribute_map: Mapping[str, str] = field(default_factory=dict)


def class_defaults(card: Card) -> ClassDefaults:
    """Return the class defaults of a card's ``model_type``; the card's own come first."""
    if card.defaults:
        return ClassDefaults(f"class default of {card.defaults_from}", card.defaults)
    data = _data()
    row = data["model_types"].get(card.defaults_of or card.class_of or card.model_type)
    if row is None:
        return ClassDefaults("no class default")
    source = f"class default of transformers {data['transformers']}"
    return ClassDefaults(source, row["defaults"], row["attribute_map"])


@functools.cache
def _data() -> dict[str, Any]:
    file = Path(__file__).parent / "defaults.json"
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data

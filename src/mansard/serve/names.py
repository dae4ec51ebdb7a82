"""What a page may name: bundled models and chips, those of plugins, and what was handed over.

A name that comes over a socket is never a path: nothing on this machine is opened because a page
asks for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import TYPE_CHECKING

from mansard.core.errors import SpecError, UnknownNameError, unknown_name

if TYPE_CHECKING:
    from mansard.query.source import Source

UPLOAD = "upload:"
MODELS, CHIPS = "(the list under Model has every one)", "(the page Hardware lists every one)"
"""Where a page has all names."""
MOST_UPLOADS = 16
"""Models kept in memory; the oldest goes first."""


@dataclass
class Names:
    """The models and chips of one server.

    Args:
        models: name → what ``load`` takes, beside the bundled ones and those of plugins: models
            named when the server was started, and uploads.
        chips: the same for chips.
    """

    models: dict[str, Source] = field(default_factory=dict)
    chips: dict[str, str] = field(default_factory=dict)
    _uploads: OrderedDict[str, Source] = field(default_factory=OrderedDict)

    def model(self, name: str) -> Source:
        """Return what a model's name stands for.

        Raises:
            UnknownNameError: it is not one that may be named.
        """
        if name in self._uploads:
            return self._uploads[name]
        if name.startswith(UPLOAD):
            raise SpecError("this upload is no longer kept", hint="drop the file again")
        if name in self.models:
            return self.models[name]
        from mansard.frontends.hf import bundled
        from mansard.query.named import plugin_models

        if bundled.is_bundled(name) or name in plugin_models():
            return name
        known = (*bundled.names(), *plugin_models(), *self.models)
        raise unknown_name("model", name, known, see=MODELS)

    def chip(self, text: str) -> str:
        """Return a chip's name with its count, checked.

        Raises:
            MansardError: no such chip, or text that is none.
        """
        from mansard.backends import chips
        from mansard.query.named import chip_names

        name, _, count = text.partition(":")
        if name in self.chips:
            return f"{self.chips[name]}:{count or 1}"
        if chips.parse_target(f"{name}:{count or 1}")[0] != name.strip():  # a path, or two counts
            raise SpecError(f"{count!r} in {text!r} is not a number of devices",
                            hint="write h100-sxm:8, or h100-sxm:4x8")  # fmt: skip
        known = chip_names()
        try:
            found = name if name in known else chips.find(name)
        except UnknownNameError:
            raise unknown_name("hardware", name, (*known, *self.chips), see=CHIPS) from None
        return f"{found}:{count}" if count else found

    def check_techniques(self, texts: tuple[str, ...]) -> None:
        """Raise unless every model a technique names, such as a draft, may be named.

        Raises:
            MansardError: no such technique, option or model.
        """
        from mansard.passes.pipeline import parse
        from mansard.query.techniques import known_passes

        known = known_passes()
        for text in texts:
            for made in parse(text, known):
                for f in fields(made):
                    value = getattr(made, f.name)
                    named = isinstance(value, str) and value not in f.metadata["choices"]
                    if f.metadata.get("program") and named:
                        self._bundled(value)

    def check_option(self, technique: str, option: str, value: object) -> None:
        """Raise unless a value an option takes names no model but those that may be named."""
        from mansard.passes.options import options
        from mansard.query.techniques import known_passes

        known = known_passes()
        declared = options(known[technique]).get(option) if technique in known else None
        if declared is None or not declared.metadata.get("program"):
            return
        if str(value) not in declared.metadata["choices"]:
            self._bundled(str(value))

    def _bundled(self, name: str) -> None:
        from mansard.frontends.hf import bundled
        from mansard.query.named import plugin_models

        if not (bundled.is_bundled(name) or name in plugin_models()):
            raise unknown_name("model", name, (*bundled.names(), *plugin_models()), see=MODELS)

    def keep(self, data: bytes, made: Source) -> str:
        """Keep an upload under a name made from its bytes."""
        name = f"{UPLOAD}{sha256(data).hexdigest()[:16]}"
        self._uploads[name] = made
        self._uploads.move_to_end(name)
        while len(self._uploads) > MOST_UPLOADS:
            self._uploads.popitem(last=False)
        return name

    @property
    def uploads(self) -> tuple[str, ...]:
        """Names of what is kept."""
        return tuple(self._uploads)

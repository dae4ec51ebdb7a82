"""``analyze`` with a memory: a question asked before is answered from disk, to the last digit.

What an answer depends on is its key: the question, the content of the files it names, mansard's own
version and files, the plugins with their versions. Where any of that cannot be known - a plugin
being worked on, one that reads models - nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mansard.core.records import dataclass
from mansard.query.disk import Disk
from mansard.query.grounds import contents, frontends_of_plugins, key_of, standing

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate


@dataclass(frozen=True)
class Question:
    """A question to ``analyze``, and where its answer is remembered.

    Args:
        model: what ``analyze`` takes.
        asked: its keywords.
        disk: of the user; None where nothing is remembered.
        key: of the answer; None where what it depends on is not known.
    """

    model: Any
    asked: Mapping[str, Any]
    disk: Disk | None
    key: str | None

    @classmethod
    def of(cls, model: Any, asked: Mapping[str, Any]) -> Question:
        """Return a question with its key, where the user's cache is on."""
        disk = Disk.of_user()
        return cls(model, asked, disk, question_key(model, asked) if disk is not None else None)

    def recall(self, effects: bool) -> Estimate | None:
        """Return the remembered answer; it prints the same, and has no program to look into.

        Args:
            effects: whether it must know what each technique changed.
        """
        if self.disk is None or self.key is None:
            return None
        found = self.disk.read(self.key)
        if found is None or (effects and found.get("effects") is None):
            return None
        from mansard.core.errors import MansardError
        from mansard.query.answers import load
        from mansard.query.target import target_of

        try:
            chip = target_of(self.asked["on"], self.asked.get("set") or {}).chip
            return load(found, chip)
        except (KeyError, TypeError, ValueError, AttributeError, MansardError):
            return None

    def keep(self, estimate: Estimate) -> None:
        """Remember an answer; not one that plugins were left out of, nor one of a graph's file."""
        if self.disk is None or self.key is None:
            return
        skipped = any(note.code == "M050" for note in estimate.notes)
        if skipped or estimate.program.origin.resolution is not None or frontends_of_plugins():
            return
        from mansard.query.answers import dump

        self.disk.write(self.key, dump(estimate))


def question_key(model: object, asked: Mapping[str, Any]) -> str | None:
    """Return a digest of everything an answer depends on; None where something is not known."""
    given = [asked.get("on"), *(asked.get("techniques") or ())]
    if not all(isinstance(text, str) for text in (model, *given)):
        return None
    if asked.get("estimate") == "calibrated":  # it has bands and bases
        return None
    words = [model, *given, *map(str, (asked.get("set") or {}).values())]
    words += [str(asked.get(name)) for name in ("prompt", "output", "backend")]
    read, rest = contents(map(str, words)), standing()
    if read is None or rest is None:
        return None
    return key_of("analyze", model, sorted(asked.items()), read, rest)

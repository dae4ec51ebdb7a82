"""Programs that were asked about lately: a slider changes sizes, not the program."""

from __future__ import annotations

from collections import OrderedDict

from mansard.query.prepare import Prepared, prepare
from mansard.serve.names import Names
from mansard.serve.question import Question

KEPT = 24


class Memo:
    """The last few programs after their techniques; one thread at a time."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._kept: OrderedDict[tuple[object, ...], Prepared] = OrderedDict()

    def prepared(self, question: Question) -> Prepared:
        """Return the program and devices of a question, made at most once while they are kept."""
        key = question.program
        if key not in self._kept:
            self._kept[key] = prepare(
                self.names.model(question.model), question.on, question.scenario,
                question.techniques, question.level, dict(question.changed),
            )  # fmt: skip
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

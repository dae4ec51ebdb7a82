"""What each address answers: plain JSON values, the same figures as the command line's."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from mansard.core.errors import MansardError, SpecError
from mansard.query.analyze import answered
from mansard.query.estimate import Estimate
from mansard.query.in_memory import InMemory
from mansard.serve.memo import Memo
from mansard.serve.names import Names
from mansard.serve.question import Question, read_question
from mansard.serve.shown import Shown

if TYPE_CHECKING:
    from mansard.query.comparing import Entry
    from mansard.query.study import Study

MOST_COMPARED = 24
MOST_KNOWN = 64
MOST_CONDITIONS = 12


class Answers:
    """Everything a page can ask of one server; one thread at a time."""

    def __init__(self, names: Names | None = None) -> None:
        self.names = names or Names()
        self._memo = Memo(self.names)
        self._shown = Shown()

    def estimate(self, question: Question) -> Estimate:
        """Return the answer to a question."""
        ready = self._memo.prepared(question)
        return answered(
            ready, question.scenario, mix=question.mix, unsaid=question.unsaid,
            kind=question.kind, price=question.price,
        )  # fmt: skip

    def analyze(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"question": …, "known": [hashes]}``: the result, and its graph unless known."""
        return self._shown.told(self.estimate(self._question(body)), _known(body))

    def passes(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a question pass by pass: the figures of every program, and its graph."""
        return self._shown.staged(self.estimate(self._question(body)), _known(body))

    def compare(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"questions": […]}`` side by side."""
        from mansard.query.comparing import Comparison
        from mansard.serve.comparison import compared

        asked = body.get("questions")
        if not isinstance(asked, list) or not 1 <= len(asked) <= MOST_COMPARED:
            raise SpecError("compare takes a list of questions", hint=f"1 to {MOST_COMPARED}")
        return compared(Comparison(tuple(self._entry(each) for each in asked)))

    def _entry(self, body: Any) -> Entry:
        from mansard.query.comparing import Entry

        said = body if isinstance(body, Mapping) else {}
        model, on = str(said.get("model", ""))[:80], str(said.get("on", ""))[:80]
        try:
            question = read_question(body, self.names)
            found = self.estimate(question)
        except MansardError as problem:
            return Entry(model, on, "", "", None, problem)
        text = ", ".join(question.techniques)
        return Entry(found.model.name, question.on, text, text, found)

    def sweep(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"question": …, "axes": {name: text}, "pareto": [metrics]}``."""
        from mansard.serve.sweeping import asked_axes, swept

        question, axes = self._question(body), asked_axes(body, self.names)
        return swept(self._study(question), axes, [str(m) for m in body.get("pareto") or []])

    def solve(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``{"question": …, "find": …, "goal": …, "conditions": […]}``."""
        question = self._question(body)
        find, goal = str(body.get("find", ""))[:80], body.get("goal")
        conditions = body.get("conditions")
        if not isinstance(conditions, list) or len(conditions) > MOST_CONDITIONS:
            raise SpecError("conditions is a list", hint=f"of at most {MOST_CONDITIONS}")
        if not conditions:
            raise SpecError(f"nothing constrains {find}", hint="write a limit: tpot <= 25ms")
        if "." in find and not find.startswith("hardware."):
            technique, _, option = find.partition(".")
            self.names.check_option(technique, option, "")
        found = self._study(question).solve(
            find, maximize=goal == "maximize", minimize=goal == "minimize",
            subject_to=[str(c)[:200] for c in conditions],
        )  # fmt: skip
        return found.to_dict()

    def upload(self, data: bytes, filename: str, raw: bool = False) -> dict[str, Any]:
        """Keep a model that was dropped onto the page; return the name it goes by."""
        from mansard.serve.uploads import read_upload

        made = read_upload(data, filename, raw)
        name = self.names.keep(data, made)
        shown = made.model.name if isinstance(made, InMemory) else made["_name_or_path"]
        return {"model": name, "name": str(shown)[:120]}

    def _question(self, body: Mapping[str, Any]) -> Question:
        found = body.get("question")
        if not isinstance(found, Mapping):
            raise SpecError("the request has no question", hint='{"question": {…}}')
        return read_question(found, self.names)

    def _study(self, question: Question) -> Study:
        from mansard.query.study import Study

        return Study(
            self.names.model(question.model), question.on, question.scenario, question.techniques,
            question.level, dict(question.changed), question.kind, question.price,
            question.lengths, question.mix, question.unsaid,
        )  # fmt: skip


def _known(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hashes of the graphs a page has."""
    found = body.get("known")
    return tuple(map(str, islice(found, MOST_KNOWN))) if isinstance(found, list) else ()

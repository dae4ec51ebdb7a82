"""Distillation: another model, the student, answers in place of this one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mansard as ms


@dataclass(frozen=True)
class ReplaceModel(ms.Pass):
    """Put the student's graphs in the place of the teacher's; there is nothing left of it.

    Distillation has no formula of its own: what it saves is what the student is smaller by. Put it
    first, so that what follows acts on the student.
    """

    name = "replace-model"
    noun = "model"
    source = "[Hinton 2015; Zhou 2024, §5.2.4]"
    example = "student=gpt2"
    removes = "the teacher"
    assumes = ("prompts and answers have as many tokens for the student",)
    omits = ("what the student answers worse",)

    student: str | ms.Program = ms.option("gpt2", "the model that takes over", program=True)

    def run(self, program: ms.Program) -> ms.Outcome:
        """Return the student."""
        if not isinstance(self.student, ms.Program):
            raise ms.MansardError(f"replace-model: {self.student!r} is a name, not a program",
                                  hint="load it first: mansard.load(name)")  # fmt: skip
        if program.mesh:
            raise ms.MansardError("replace-model: the teacher is spread over devices already",
                                  hint="put replace-model before parallel")  # fmt: skip
        student = replace(self.student, origin=replace(self.student.origin, pipeline=""))
        name = student.origin.name or "the student"
        return ms.Outcome(student, 1, f"{program.origin.name or 'the model'} became {name}")

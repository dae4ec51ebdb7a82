"""What a rule looks for: a tree of ops, or ops that share an operand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Protocol

from mansard.core.errors import VerifyError
from mansard.core.records import dataclass
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.value import Value


class Pattern(Protocol):
    """Finds what a rule rewrites."""

    def find(self, op: Op, graph: Graph) -> Match | None:
        """Return the match that ``op`` is the root of, or nothing."""


@dataclasses.dataclass(eq=False)
class Match:
    """Ops a pattern found, and the edits a rule asks for.

    Values bound by name are attributes: ``P(Softmax, "s")`` gives ``m["s"]``.
    """

    graph: Graph
    ops: tuple[Op, ...]
    values: dict[str, Value]
    taken: set[str] = field(default_factory=set)
    pending: list[Op] = field(default_factory=list)
    edits: dict[Op, list[Op]] = field(default_factory=dict)
    swapped: dict[Value, Value] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    @property
    def root(self) -> Op:
        """The op the pattern ends in: the last one found."""
        return self.ops[-1]

    def add(self, op: Op, name: str) -> Value:
        """Insert a new op before the next one that is swapped; return its first result."""
        done = finish(op, fresh_name(name, self.taken))
        self.pending.append(done if op.name else done.renamed(name))
        return done.out

    def swap(self, old: Op, new: Op) -> None:
        """Put ``new`` in the place of ``old``; what read the results of ``old`` reads its own."""
        if new.outs != old.outs:
            new = finish(new, old.out.name)
            self.swapped.update(zip(old.outs, new.outs, strict=True))
            if not new.name or new.name == old.out.name:
                new = new.renamed(old.name)
        self.edits[old] = [*self.pending, new]
        self.pending = []

    def finish(self, built: Op | tuple[Op, ...] | None) -> None:
        """Take what a rule returned: edited ops take their own place, a new one the root's."""
        ops = () if built is None else (built,) if isinstance(built, Op) else built
        owners = self.graph.producers
        for op in ops:
            self.swap(owners[op.out] if op.outs else self.root, op)
        if self.pending:
            raise VerifyError(
                f"a rule added {self.pending[0].kind} and swapped nothing after it",
                hint="swap the op that should use what was added",
            )


class P:
    """An op of a class, its operands matched by patterns or bound to names.

    ``P(Values, P(Softmax, P(Scores, "q", "k")), "v")`` finds unfused attention. Views and, with
    ``through``, other unary ops between two of them are looked through and belong to the match.
    A value that other ops read as well is no intermediate, unless ``shared`` allows it.
    """

    def __init__(
        self, op: type[Op] | tuple[type[Op], ...], *args: P | str,
        where: Callable[[Op], bool] = lambda op: True, through: tuple[type[Op], ...] = (),
        shared: bool = False,
    ) -> None:  # fmt: skip
        self.op, self.args, self.where = op, args, where
        self.through, self.shared = through, shared

    def find(self, op: Op, graph: Graph) -> Match | None:
        """Return the match rooted at ``op``."""
        found = self._match(op, graph)
        if found is None:
            return None
        ops, values = found
        order = {o: at for at, o in enumerate(graph.ops)}
        return Match(graph, tuple(sorted(ops, key=order.__getitem__)), values)

    def _match(self, op: Op, graph: Graph) -> tuple[list[Op], dict[str, Value]] | None:
        if not isinstance(op, self.op) or not self.where(op):
            return None
        ops, values = [op], dict[str, Value]()
        for arg, value in zip(self.args, op.operands, strict=False):
            if isinstance(arg, str):
                if values.setdefault(arg, value) is not value:
                    return None
                continue
            inner = arg._descend(value, graph)
            if inner is None:
                return None
            ops += inner[0]
            for name, bound in inner[1].items():
                if values.setdefault(name, bound) is not bound:
                    return None
        return ops, values

    def _descend(self, value: Value, graph: Graph) -> tuple[list[Op], dict[str, Value]] | None:
        passed: list[Op] = []
        while (owner := graph.producers.get(value)) is not None:
            if not self.shared and (len(graph.uses[value]) > 1 or value in graph.outputs):
                return None
            if (found := self._match(owner, graph)) is not None:
                return passed + found[0], found[1]
            if not (owner.is_view or isinstance(owner, self.through)):
                return None
            passed.append(owner)
            value = owner.operands[0]
        return None


@dataclass(frozen=True)
class Siblings:
    """Two or more ops of a class that read the same first operand, found at the last of them."""

    op: type[Op]
    where: Callable[[Op], bool] = lambda op: True

    def find(self, op: Op, graph: Graph) -> Match | None:
        """Return the match whose last member is ``op``."""
        if not isinstance(op, self.op) or not self.where(op):
            return None
        x = op.operands[0]
        members = tuple(self._members(x, graph))
        return Match(graph, members, {"x": x}) if len(members) > 1 and members[-1] is op else None

    def _members(self, x: Value, graph: Graph) -> Iterator[Op]:
        for user in graph.uses[x]:
            if isinstance(user, self.op) and user.operands[0] is x and self.where(user):
                yield user

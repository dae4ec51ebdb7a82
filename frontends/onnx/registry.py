"""Shape rules: one function per operator and range of versions, found by (domain, operator).

A rule is ``rule(call, *inputs) -> outputs``: it gets what its inputs hold (``None`` where one is
left out) and returns what its outputs hold. It states only what is particular to the operator:
which inputs are constant, what a hint says, and what happens when something is unknown is the
engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from fractions import Fraction
from typing import TypeAlias, TypeVar, cast

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.onnx.dims import Dim
from mansard.frontends.onnx.facts import Facts
from mansard.frontends.onnx.graph import Body, Graph, Node
from mansard.frontends.onnx.values import Shape, Tensor, Value

MS = "com.microsoft"
T = TypeVar("T")
Rule: TypeAlias = Callable[..., "Value | Iterable[Value]"]
F = TypeVar("F", bound=Rule)


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a rule: the node, the version of its domain, and what rules may ask for.

    Args:
        node: as written.
        version: of the operator set its domain has here.
        facts: equations between sizes.
        run: infers a body inside the node.
        inner: the graphs inside the node, as they are inferred.
        choice: the branch the caller wants of an ``If`` its data decide, or nothing.
        every: the one wanted of every ``If`` that is not named.
        nonzero: the share of a name's elements expected not to be zero, or nothing.
    """

    node: Node
    version: int
    facts: Facts
    run: Callable[[Body, tuple[Value, ...]], Graph]
    inner: dict[str, Graph] = field(default_factory=dict)
    choice: str = ""
    every: str = ""
    nonzero: Callable[[str], Fraction | None] = lambda _: None

    def attr(self, name: str, default: T) -> T:
        """Return an attribute, of the type of its default.

        Raises:
            SpecError: it is of another type.
        """
        value = self.node.attributes.get(name)
        if value is None:
            return default
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if default is not None and not isinstance(value, type(default)):
            raise SpecError(f"its attribute {name!r} is {str(value)[:80]!r}")
        return cast("T", value)

    def need(self, name: str, kind: type[T]) -> T:
        """Return an attribute that must be there; raises like ``attr``."""
        value = self.attr(name, None)
        if not isinstance(value, kind):
            raise SpecError(f"its attribute {name!r} is {str(value)[:80]!r}")
        return value

    def ints(self, name: str, given: Tensor | None = None) -> tuple[int, ...] | None:
        """Return integers that older versions take as an attribute and newer ones as an input.

        Raises:
            Unresolved: they depend on data.
        """
        return self.attr(name, None) if given is None else given.integers()

    def broadcast(self, *tensors: Tensor | None) -> Shape:
        """Return the shape the tensors have once aligned; raises ``Unresolved`` without ranks."""
        return self.facts.broadcast((t.dims for t in tensors if t is not None), self.node.label)

    def same(self, a: Dim, b: Dim) -> Dim:
        """Return a size two operands have in common."""
        return self.facts.equate(a, b, self.node.label)

    def fresh(self, part: int | str = "", default: Dim | None = None) -> Dim:
        """Return a named size that data decide, with its expectation where there is one."""
        label = f"{self.node.label}_{part}" if part != "" else self.node.label
        origin = f"{self.node.kind} {self.node.label!r}"
        return self.facts.settle(self.facts.names.symbol(label, origin, default))

    def enter(self, role: str, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """Infer a body of the node and return what its outputs hold."""
        body = self.need(role, Body)
        graph = self.inner[role] = self.run(body, inputs)
        return tuple(graph.value(o) for o in body.outputs)


@dataclass(frozen=True)
class Entry:
    """A rule with the versions it holds for."""

    rule: Rule
    since: int
    until: int


RULES: dict[tuple[str, str], list[Entry]] = {}
"""(domain, operator) → rules, each for a range of versions."""


def rule(*ops: str, domain: str = "", since: int = 1, until: int = 1 << 30) -> Callable[[F], F]:
    """Register a function as the rule of operators, from a version to another, both included."""

    def register(function: F) -> F:
        for op in ops:
            RULES.setdefault((domain, op), []).append(Entry(function, since, until))
        return function

    return register


def find(op: str, domain: str, version: int) -> Rule | None:
    """Return the rule of an operator, or nothing.

    onnxruntime's own operators appear in ONNX's domain too, and the other way round.
    """
    if domain not in ("", MS):
        return None
    other = MS if domain == "" else ""
    for entry in RULES.get((domain, op), ()):
        if entry.since <= version <= entry.until:
            return entry.rule
    found = RULES.get((domain, op)) or RULES.get((other, op))
    return found[-1].rule if found else None

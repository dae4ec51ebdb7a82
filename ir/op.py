"""The base of every operator: operands, attributes, ``infer``, ``cost``, ``dims``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, field, fields, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

import sympy as sp

from mansard.core.dtypes import widest
from mansard.core.errors import VerifyError
from mansard.core.records import dataclass, record
from mansard.core.symbols import Expr, ExprLike, expr, ragged
from mansard.ir.cost import FREE, VECTOR, Cost
from mansard.ir.value import Shape, TensorType, Value, stored_parts

if TYPE_CHECKING:
    from mansard.ir.graph import Graph

LABELS = ("outs", "name", "device", "kernel", "because")


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
class _OpMeta(type):
    """Makes every subclass of ``Op`` a frozen dataclass, so an op is only what it declares."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        namespace.setdefault("kind", snake)
        return record(super().__new__(mcs, name, bases, namespace), eq=False)


class Op(metaclass=_OpMeta):
    """A frozen record of operands and attributes that knows its shapes and its work.

    Labels no formula reads: ``name`` (of the checkpoint's module), ``device``, ``kernel`` (ops of
    one label are one launch) and ``because`` (the passes that touched it, with their reasons).
    """

    kind: ClassVar[str]
    is_view: ClassVar[bool] = False
    """Whether the result is the operand's own bytes: free, and occupying nothing."""
    is_elementwise: ClassVar[bool] = False
    """Whether a kernel that produced the operand could apply it before storing."""
    has_effect: ClassVar[bool] = False
    """Whether it changes a storage, so that it is never dead."""

    outs: tuple[Value, ...] = field(default=(), repr=False, kw_only=True)
    name: str = field(default="", kw_only=True)
    device: str = field(default="", kw_only=True)
    kernel: str = field(default="", kw_only=True)
    because: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if (exact := _exact(value)) is not value:
                object.__setattr__(self, f.name, exact)

    # What a subclass states.

    def infer(self) -> tuple[TensorType, ...]:
        """Return the type of each result; raise ``VerifyError`` where operands do not fit."""
        raise NotImplementedError

    def cost(self) -> Cost:
        """Return the work, in the symbols of the operands."""
        raise NotImplementedError

    def dims(self) -> Mapping[str, Expr | str]:
        """Return the named sizes and stored dtypes its kernel is known by."""
        return {}

    def weight_share(self) -> Expr:
        """Return the share of its weights that one token uses: all, but for chosen experts."""
        return sp.S.One

    def weights_read(self) -> Expr:
        """Return the share of its weights that a step reads: all, but for chosen experts."""
        return sp.S.One

    # What every op has.

    @property
    def bodies(self) -> tuple[Graph, ...]:
        """The graphs a region holds; an ordinary op holds none."""
        return ()

    @property
    def out(self) -> Value:
        """The first result."""
        return self.outs[0]

    @cached_property
    def operands(self) -> tuple[Value, ...]:
        """Every value the op reads, in the order of its fields."""
        return tuple(v for _, values in self.operand_fields() for v in values)

    def operand_fields(self) -> Iterator[tuple[str, tuple[Value, ...]]]:
        """Yield each operand field with its values."""
        for f in declared(type(self)):
            value = getattr(self, f.name)
            if isinstance(value, Value):
                yield f.name, (value,)
            elif isinstance(value, tuple) and value and isinstance(value[0], Value):
                yield f.name, value

    def attributes(self) -> dict[str, Any]:
        """Return the fields that are not operands and differ from their default."""
        operand_names = {name for name, _ in self.operand_fields()}
        others = (f for f in declared(type(self)) if f.name not in operand_names)
        pairs = ((f, getattr(self, f.name)) for f in others)
        return {f.name: v for f, v in pairs if v is not None and v != f.default and v != ()}

    def with_operands(self, new: Mapping[Value, Value]) -> Self:
        """Return the op with operands replaced; itself when none is."""
        changes: dict[str, Any] = {}
        for name, values in self.operand_fields():
            if any(v in new for v in values):
                mapped = tuple(new.get(v, v) for v in values)
                single = isinstance(getattr(self, name), Value)
                changes[name] = mapped[0] if single else mapped
        return replace(self, **changes) if changes else self

    def streamed(
        self, flops: ExprLike = 0, *, unit: str = VECTOR, dtype: str = "", structure: str = "dense"
    ) -> Cost:
        """Return the cost of ``flops`` with every operand read once and every result written once.

        Args:
            flops: arithmetic [FLOP].
            unit: that does it.
            dtype: it runs in; the widest operand's when not given.
            structure: the unit may exploit.
        """
        work = {(unit, dtype or self.compute_dtype, structure): expr(flops)} if flops != 0 else {}
        reads = {part: part.bytes for v in self.operands for part in stored_parts(v)}
        return Cost(work, reads, {o: o.bytes for o in self.outs})

    @property
    def compute_dtype(self) -> str:
        """The widest dtype among the operands that hold numbers."""
        numbers = [p for v in self.operands for p in stored_parts(v) if v.role != "index"]
        return widest(*(p.encoding.dtype for p in numbers))

    def renamed(self, name: str) -> Self:
        """Return the op under another label, its results unchanged."""
        return replace(self, name=name)

    def explained(self, because: str) -> Self:
        """Return the op with one more pass that touched it."""
        return self if because in self.because else replace(self, because=(*self.because, because))


class View(Op):
    """Base of ops that move nothing: the result is the operand's bytes, read when it is."""

    is_view = True

    def cost(self) -> Cost:
        """Nothing."""
        return FREE


def declared(cls: type[Op]) -> tuple[Field[Any], ...]:
    """Return the fields an op class declares, in order: operands, bodies, attributes."""
    found = _DECLARED.get(cls)
    if found is None:
        found = _DECLARED[cls] = tuple(f for f in fields(cls) if f.name not in LABELS)
    return found


@dataclass(frozen=True)
class Slots:
    """The fields an op class declares, sorted by what they hold."""

    operands: tuple[Field[Any], ...]
    bodies: tuple[Field[Any], ...]
    attributes: tuple[Field[Any], ...]


@cache
def slots(cls: type[Op]) -> Slots:
    """Return which fields hold operands, which bodies, which attributes; annotations say so."""
    sorts: dict[str, list[Field[Any]]] = {"Value": [], "Graph": [], "": []}
    for f in declared(cls):
        words = re.findall(r"\w+", str(getattr(f.type, "__name__", f.type)))
        sorts[next((w for w in ("Value", "Graph") if w in words), "")].append(f)
    return Slots(tuple(sorts["Value"]), tuple(sorts["Graph"]), tuple(sorts[""]))


def _exact(value: Any) -> Any:
    """Return ints, and ints in tuples, as sympy's; everything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return sp.Integer(value)
    if isinstance(value, tuple) and any(isinstance(v, int) for v in value):
        return tuple(map(_exact, value))
    return value


_DECLARED: dict[type[Op], tuple[Field[Any], ...]] = {}


def finish(op: Op, name: str) -> Op:
    """Return the op with its results inferred, called ``name`` (``name.1`` … after the first)."""
    types = op.infer()
    outs = tuple(Value(f"{name}.{k}" if k else name, t) for k, t in enumerate(types))
    return replace(op, outs=outs, name=op.name or name)


def same_size(a: ExprLike, b: ExprLike) -> bool:
    """Whether two sizes are equal once ``T`` is read as ``B*S``."""
    return bool(expr(a) == expr(b) or sp.expand(ragged(a) - ragged(b)) == 0)


def require_size(op: Op, what: str, found: ExprLike, wanted: ExprLike) -> None:
    """Raise unless two sizes agree.

    Raises:
        VerifyError: naming the op, the axis and both sizes.
    """
    if not same_size(found, wanted):
        raise VerifyError(f"{op.kind} {op.name or '?'}: {what} is {found}, expected {wanted}")


def like(value: Value, shape: Shape | None = None) -> TensorType:
    """Return the type of a plain activation of ``value``'s dtype, of its shape unless given."""
    return TensorType(value.shape if shape is None else shape, value.encoding.plain)

"""Frozen dataclasses whose methods are written when they are first used.

``dataclasses`` compiles five methods of every class when it is defined, which takes 0.7 ms a class
in Python 3.11 and was a fifth of a first answer. ``dataclass`` here defines the same class: fields
and their order are collected by ``dataclasses`` itself, so that ``fields``, ``replace``, ``asdict``
and inheritance either way work; a method is compiled when it is first called.

>>> @dataclass(frozen=True)
... class Point:
...     x: int
...     y: int = 0
>>> Point(1), Point(1) == Point(1, y=0), {Point(1): "a"}[Point(1)]
(Point(x=1, y=0), True, 'a')
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from typing import TYPE_CHECKING, Any

_COLLECTING: ContextVar[bool] = ContextVar("collecting", default=False)


def record(cls: type, *, eq: bool = True, **options: Any) -> type:
    """Make a class a frozen dataclass.

    Args:
        cls: with annotated fields; no ``InitVar`` among them.
        eq: whether objects of equal fields are equal, and hash so.
        options: ``repr``, ``kw_only`` and ``match_args``, as ``dataclasses.dataclass`` takes them.
    """
    own = cls.__dict__
    kept_hash = own.get("__hash__") is not None
    shown = options.pop("repr", True) and "__repr__" not in own
    documented = cls.__doc__
    cls.__doc__ = documented or cls.__name__  # else dataclasses asks for a signature
    token = _COLLECTING.set(True)
    try:
        dataclasses.dataclass(init=False, repr=False, eq=False, **options)(cls)
    finally:
        _COLLECTING.reset(token)
    made: Any = cls
    made.__dataclass_params__ = _Params(made.__dataclass_params__, shown, eq)
    if "__init__" not in own:
        made.__init__ = _Later(cls, "__init__", _constructor)
    if shown:
        made.__repr__ = _repr
    if eq and "__eq__" not in own:
        made.__eq__ = _Later(cls, "__eq__", _equality)
    if eq and not kept_hash:
        made.__hash__ = _Later(cls, "__hash__", _hashing)
    made.__setattr__, made.__delattr__ = _guards(cls)
    return cls


class _Params:
    """What a class was made with; frozen to everybody but ``record``, which freezes by itself."""

    def __init__(self, made: Any, shown: bool, eq: bool) -> None:
        self._made = made
        self.init, self.repr, self.eq = True, shown, eq

    @property
    def frozen(self) -> bool:
        return not _COLLECTING.get()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)


class _Later:
    """A method of a class, compiled when it is first asked for, which then takes its place."""

    def __init__(self, cls: type, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        self.cls, self.name, self.make = cls, name, make

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if self.cls.__dict__.get(self.name) is self:
            setattr(self.cls, self.name, self.make(self.cls))
        found = self.cls.__dict__[self.name]
        return found if instance is None else found.__get__(instance, owner)


def _constructor(cls: Any) -> Any:
    every = fields(cls)
    taken = [f for f in every if f.init]
    space: dict[str, Any] = {"_set": object.__setattr__, "_missing": _FACTORY}
    first = [_parameter(f, space) for f in taken if not f.kw_only]
    named = [_parameter(f, space) for f in taken if f.kw_only]
    lines = [line for f in every if (line := _assignment(f, space))]
    if hasattr(cls, "__post_init__"):
        lines.append("_self.__post_init__()")
    parameters = ", ".join(["_self", *first, *(["*", *named] if named else [])])
    body = "\n  ".join(lines or ["pass"])
    made = _defined(cls, "__init__", parameters, body, **space)
    made.__annotations__ = {**{f.name: f.type for f in taken}, "return": None}
    return made


class _Factory:
    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _parameter(f: Field[Any], space: dict[str, Any]) -> str:
    """Return a parameter with its default, which goes into ``space``."""
    if f.default is not MISSING:
        space[f"_default_{f.name}"] = f.default
        return f"{f.name}=_default_{f.name}"
    return f.name if f.default_factory is MISSING else f"{f.name}=_missing"


def _assignment(f: Field[Any], space: dict[str, Any]) -> str:
    value = f.name
    if f.default_factory is not MISSING:
        space[f"_make_{f.name}"] = f.default_factory
        made = f"_make_{f.name}()"
        value = f"{made} if {f.name} is _missing else {f.name}" if f.init else made
    elif not f.init:
        return ""  # its default is the class's
    return f"_set(_self, {f.name!r}, {value})"


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _equality(cls: Any) -> Any:
    names = [f.name for f in fields(cls) if f.compare]
    same = f"{_tuple('_self', names)} == {_tuple('_other', names)}"
    test = "_other.__class__ is _self.__class__"
    return _defined(cls, "__eq__", "_self, _other", f"return {same} if {test} else NotImplemented")


def _hashing(cls: Any) -> Any:
    names = [f.name for f in fields(cls) if (f.compare if f.hash is None else f.hash)]
    return _defined(cls, "__hash__", "_self", f"return hash({_tuple('_self', names)})")


def _tuple(of: str, names: list[str]) -> str:
    return f"({''.join(f'{of}.{name}, ' for name in names)})"


def _defined(cls: type, name: str, parameters: str, body: str, **space: Any) -> Any:
    """Return a method whose text holds names of fields and nothing else."""
    exec(f"def {name}({parameters}):\n  {body}\n", space)  # noqa: S102 - names of fields
    made: Any = space[name]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.{name}", cls.__module__
    return made


def _guards(cls: Any) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return what refuses to set and to delete fields."""
    names = frozenset(f.name for f in fields(cls))

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807 - a method
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807 - a method
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return __setattr__, __delattr__


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, **options):
        """Decorate a class as ``dataclasses.dataclass`` does; only frozen ones are made here."""

        def made(cls):
            return record(cls, **options)

        if not frozen:
            raise TypeError("a record is frozen: write @dataclass(frozen=True)")
        return made if cls is None else made(cls)


__all__ = ["dataclass", "record"]

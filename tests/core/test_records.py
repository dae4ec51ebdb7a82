"""Records: what ``dataclasses`` makes of a class, its methods written when they are first used."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any, ClassVar

import pytest

from mansard.core.records import dataclass as record


@record(frozen=True)
class Base:
    """A base."""

    shared: ClassVar[int] = 3
    size: int
    name: str = "x"
    parts: tuple[int, ...] = dataclasses.field(default=(), repr=False)
    made: dict[str, int] = dataclasses.field(default_factory=dict, compare=False, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Same:
    """A base."""

    shared: ClassVar[int] = 3
    size: int
    name: str = "x"
    parts: tuple[int, ...] = dataclasses.field(default=(), repr=False)
    made: dict[str, int] = dataclasses.field(default_factory=dict, compare=False, kw_only=True)


@record(frozen=True)
class Checked(Base):
    """One that looks at its fields."""

    more: int = 0

    def __post_init__(self) -> None:
        """Refuse a size of nothing."""
        if self.size == 0:
            raise ValueError("nothing")


@dataclasses.dataclass(frozen=True)
class Stranger(Base):
    """A class of a plugin, made with ``dataclasses`` itself."""

    extra: int = 1


@record(frozen=True, eq=False)
class ByIdentity:
    """Equal to itself alone."""

    size: int = 1


def test_it_is_what_dataclasses_would_have_made() -> None:
    ours, theirs = Base(1, parts=(2,)), Same(1, parts=(2,))
    assert repr(ours) == repr(theirs).replace("Same", "Base")
    assert hash(ours) == hash(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert Base.__match_args__ == Same.__match_args__
    assert dataclasses.is_dataclass(Base)
    names = [f.name for f in dataclasses.fields(Base)]
    assert names == ["size", "name", "parts", "made"]
    parameters = [str(p) for p in inspect.signature(Base).parameters.values()]
    assert parameters == [str(p) for p in inspect.signature(Same).parameters.values()]


def test_equality_is_by_compared_fields_and_class() -> None:
    assert Base(1, made={"a": 1}) == Base(1, made={"b": 2})
    assert Base(1) != Base(2)
    assert Base(1) != Same(1)  # type: ignore[comparison-overlap]
    assert Base(1) != Checked(1)
    assert ByIdentity() != ByIdentity()


def test_each_object_has_its_own_of_what_a_factory_makes() -> None:
    assert Base(1).made is not Base(1).made


def test_fields_are_neither_set_nor_deleted() -> None:
    for thing in (Base(1), Checked(1), Stranger(1), ByIdentity()):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'size'"):
            thing.size = 2  # type: ignore[misc]
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'size'"):
            del thing.size


def test_a_wrong_argument_is_refused_by_the_name_of_the_class() -> None:
    make: Any = Base
    with pytest.raises(TypeError, match=r"Base\.__init__\(\) missing 1 required"):
        make()
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        make(1, other=2)
    with pytest.raises(TypeError, match="takes from 2 to 4 positional"):
        make(1, "y", (), {})


def test_bases_and_classes_of_dataclasses_itself_mix_with_it() -> None:
    assert Checked(2, more=5) == dataclasses.replace(Checked(2), more=5)
    assert Stranger(2, "y", extra=4).extra == 4
    with pytest.raises(ValueError, match="nothing"):
        Checked(0)
    with pytest.raises(TypeError, match="non-frozen"):
        dataclasses.dataclass(type("Loose", (Base,), {"__annotations__": {"a": int}}))


def test_a_method_the_class_states_stays() -> None:
    @record(frozen=True)
    class Own:
        size: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Own(1)), Own(1) == Own(2), hash(Own(3))) == ("own", True, 7)


def test_it_is_copied_and_pickled() -> None:
    thing = Checked(3, "z", (1,), more=4)
    assert copy.deepcopy(thing) == thing == pickle.loads(pickle.dumps(thing))


def test_only_a_frozen_one_is_made() -> None:
    with pytest.raises(TypeError, match="frozen=True"):
        record(type("Loose", (), {}))

"""What hooks may return: checked as it comes in, so that a mistake is named where it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mansard.core.errors import SpecError

Named = list[tuple[str, Any]]


def techniques(answer: Any) -> Named:
    """Return (name, class) of what ``mansard_passes`` returned.

    Raises:
        SpecError: it is no list of classes of Pass, each with a name.
    """
    from mansard.passes.technique import Pass

    return _classes(answer, Pass, "name", "techniques: subclasses of mansard.Pass")


def ops(answer: Any) -> Named:
    """Return (kind, class) of what ``mansard_ops`` returned.

    Raises:
        SpecError: it is no list of classes of Op.
    """
    from mansard.ir.op import Op

    return _classes(answer, Op, "kind", "ops: subclasses of mansard.Op")


def frontends(answer: Any) -> Named:
    """Return (name, frontend) of what ``mansard_frontends`` returned.

    Raises:
        SpecError: it is no list of objects that accept and load.
    """
    return _objects(answer, ("accepts", "load"), "frontends")


def backends(answer: Any) -> Named:
    """Return (name, backend) of what ``mansard_backends`` returned.

    Raises:
        SpecError: it is no list of objects that estimate.
    """
    return _objects(answer, ("estimate",), "backends")


def chips(answer: Any) -> Named:
    """Return (id, TOML text) of what ``mansard_hardware`` returned.

    Raises:
        SpecError: it is no mapping of ids to texts.
    """
    return _mapping(answer, lambda text: isinstance(text, str), "chips: {id: TOML text}")


def cards(answer: Any) -> Named:
    """Return (name, TOML text) of what ``mansard_cards`` returned.

    Raises:
        SpecError: it is no mapping of names to texts, or a text has no cards.
    """
    from mansard.frontends.hf.card_file import adding, builtin_cards

    found = _mapping(answer, lambda text: isinstance(text, str), "cards: {name: TOML text}")
    for name, text in found:
        with adding({name: text}):
            builtin_cards()
    return found


def families(text: str) -> tuple[str, ...]:
    """Return the model types that a text of cards describes."""
    import tomllib

    data = tomllib.loads(text)
    return (*data.get("card", {}), *data.get("wrapper", {}))


def models(answer: Any) -> Named:
    """Return (name, config) of what ``mansard_models`` returned.

    Raises:
        SpecError: it is no mapping of names to configs.
    """
    return _mapping(answer, lambda c: isinstance(c, Mapping), "models: {name: config}")


def _listed(answer: Any, wanted: str) -> Sequence[Any]:
    if not isinstance(answer, (list, tuple)):
        raise SpecError(f"it returned {_what(answer)}, not a list of {wanted}")
    return answer


def _classes(answer: Any, base: type, key: str, wanted: str) -> Named:
    found: Named = []
    for cls in _listed(answer, wanted):
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise SpecError(f"it returned a list with {_what(cls)} in it; it takes {wanted}")
        name = getattr(cls, key, None)
        if not isinstance(name, str) or not name:
            raise SpecError(f"{cls.__name__} has no {key}: its class body must set one")
        found.append((name, cls))
    return found


def _objects(answer: Any, methods: tuple[str, ...], noun: str) -> Named:
    found: Named = []
    for thing in _listed(answer, f"{noun}: objects with name, {', '.join(methods)}"):
        name = getattr(thing, "name", None)
        missing = [m for m in methods if not callable(getattr(thing, m, None))]
        if not isinstance(name, str) or not name or missing or isinstance(thing, type):
            lacks = "is a class, not an object" if isinstance(thing, type) else (
                f"lacks {', '.join(missing) or 'a name'}"
            )  # fmt: skip
            raise SpecError(f"it returned a list with {_what(thing)} in it, which {lacks}")
        found.append((name, thing))
    return found


def _mapping(answer: Any, fits: Callable[[Any], bool], wanted: str) -> Named:
    if not isinstance(answer, Mapping):
        raise SpecError(f"it returned {_what(answer)}, not a mapping of {wanted}")
    for key, value in answer.items():
        if not isinstance(key, str) or not fits(value):
            raise SpecError(f"it returned {_what(value)} for {key!r}; it takes {wanted}")
    return list(answer.items())


def _what(answer: Any) -> str:
    """Return a thing in words: ``None``, ``the class Foo``, ``a dict``."""
    if answer is None:
        return "nothing"
    if isinstance(answer, type):
        return f"the class {answer.__name__}"
    return f"a {type(answer).__name__}"

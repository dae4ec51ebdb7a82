"""The vocabulary of the text form: names, symbols, types, attributes that say what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import sympy as sp

from mansard.core.cursor import Cursor
from mansard.core.dtypes import Encoding, parse_encoding
from mansard.core.errors import MansardError, unknown_name
from mansard.core.expressions import read_expression
from mansard.core.symbols import ASSUMPTIONS, Expr, Symbol, symbol
from mansard.ir.mask import Mask
from mansard.ir.text import BARE
from mansard.ir.value import Value

DEEPEST = 50
Item = TypeVar("Item")

_WORD = re.compile(r"[^\W\d]\w*")
_ENCODING = re.compile(r"[^\[\]\s]+(?=\s*\[)")
_ENCODED = re.compile(r"encoding<([^<>\n]*)>")
_MASK = re.compile(r"mask<\s*(\w+)")
_DECIMAL = re.compile(r"-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)(?=\s*[,)\]])")
_CONSTANTS = {"true": True, "false": False, "none": None}
_CONSTANT = re.compile(r"(?:true|false|none)\b")


def read_name(cursor: Cursor) -> str:
    """Read a name, quoted or not."""
    if cursor.next_is('"'):
        return cursor.string()
    found = cursor.take(BARE)
    if found is None:
        cursor.fail("expected a name")
    return found[0]


def read_symbol(cursor: Cursor, known: dict[str, Expr]) -> tuple[Symbol, Expr | None]:
    """Read ``frames: count = 1500``: a symbol's name, its kind, perhaps its value."""
    ticked = cursor.take(re.compile(r"`((?:[^`\\]|\\.)*)`|([^\W\d]\w*)", re.DOTALL))
    if ticked is None:
        cursor.fail("expected the name of a symbol")
    name = ticked[2] or re.sub(r"\\(.)", r"\1", ticked[1] or "", flags=re.DOTALL)
    cursor.expect(":")
    at = cursor.skip()
    kind = cursor.take(_WORD)
    if kind is None or kind[0] not in ASSUMPTIONS:
        cursor.fail(f"expected the kind of a symbol: {', '.join(ASSUMPTIONS)}", at=at)
    known[name] = made = symbol(name, kind[0])
    return made, read_expression(cursor, known) if cursor.accept("=") else None


class Reader:
    """Reads types, attributes and lists from a cursor; ``symbols`` are what names stand for."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.symbols: dict[str, Expr] = {}

    def _typed(self) -> tuple[str, Encoding, tuple[Expr, ...]]:
        cursor = self.cursor
        cursor.expect("%")
        name = read_name(cursor)
        cursor.expect(":")
        at = cursor.skip()
        found = cursor.take(_ENCODING)
        if found is None:
            cursor.fail("expected a type like bf16[T, 4096]")
        with self._located(at):
            encoding = parse_encoding(found[0])
        shape = tuple(self._list("[", "]", lambda: read_expression(cursor, self.symbols)))
        return name, encoding, shape

    def _operand(self, known: Mapping[str, Value]) -> Value:
        at = self.cursor.skip()
        self.cursor.expect("%")
        name = read_name(self.cursor)
        if name not in known:
            raise self.cursor.wrap(unknown_name("value", name, known), at)
        return known[name]

    def _literal(self, known: Mapping[str, Value]) -> Any:
        cursor = self.cursor
        at = cursor.skip()
        if cursor.next_is("%"):
            return self._operand(known)
        if cursor.next_is('"'):
            return cursor.string()
        if cursor.next_is("["):
            with self.cursor.deeper(DEEPEST):
                return tuple(self._list("[", "]", lambda: self._literal(known)))
        if cursor.next_is("?"):
            cursor.fail("this attribute has no text form")
        if constant := cursor.take(_CONSTANT):
            return _CONSTANTS[constant[0]]
        with self._located(at):
            if encoded := cursor.take(_ENCODED):
                return parse_encoding(encoded[1])
            if mask := cursor.take(_MASK):
                return self._mask(mask[1])
        if decimal := cursor.take(_DECIMAL):
            return float(decimal[0])
        return read_expression(cursor, self.symbols)

    def _mask(self, kind: str) -> Mask:
        size, heads = self._named("size"), self._named("heads")
        stride, most = self._named("stride"), self._named("most")
        skip = self._word("skip")
        self.cursor.expect(">")
        return Mask(kind, size, skip, sp.S.One if heads is None else heads, stride, most)

    def _named(self, word: str) -> Expr | None:
        if not self._word(word):
            return None
        self.cursor.expect("=")
        return read_expression(self.cursor, self.symbols)

    def _list(self, first: str, last: str, read: Callable[[], Item]) -> Iterator[Item]:
        self.cursor.expect(first)
        if self.cursor.accept(last):
            return
        yield read()
        while self.cursor.accept(","):
            yield read()
        if not self.cursor.accept(last):
            self.cursor.fail(f"expected ',' or {last!r}")

    def _word(self, word: str) -> bool:
        return self.cursor.take(re.compile(rf"{re.escape(word)}\b")) is not None

    @contextmanager
    def _located(self, at: int) -> Iterator[None]:
        try:
            yield
        except MansardError as error:
            if error.message.startswith(f"{self.cursor.where}, "):
                raise
            raise self.cursor.wrap(error, at) from None

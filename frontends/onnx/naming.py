"""Names for sizes: what a ``dim_param`` means, and symbols for what only data decide."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from mansard.core.errors import MansardError
from mansard.core.expressions import LONGEST, RESERVED, parse_expression
from mansard.core.symbols import PARAMETERS, SCENARIO, Symbol, symbol
from mansard.frontends.onnx.dims import LARGEST, Dim, Unresolved, lower, renewed
from mansard.frontends.onnx.graph import SymbolFact

_INTEGER = re.compile(r"\s*\+?\d{1,19}\s*")


class Names:
    """Turns the texts of a file into sizes, each quantity under one symbol.

    Args:
        aliases: text → the size the user says it is.
    """

    def __init__(self, aliases: Mapping[str, Dim]) -> None:
        self.known: dict[str, Dim] = dict(aliases)
        self.facts: dict[Symbol, SymbolFact] = {}
        self.texts: dict[str, Dim] = {}
        self._symbols: dict[str, Symbol] = {}
        self._taken: set[str] = {*PARAMETERS, *SCENARIO, *RESERVED}

    def dim(self, text: str) -> Dim:
        """Return what a ``dim_param`` means: an integer, an expression, or an opaque symbol."""
        if text not in self.texts:
            self.texts[text] = self._read(text)
        return self.texts[text]

    def fixed(self, value: int, where: str) -> Dim:
        """Return a size the file states; one that is no size gets a name."""
        return value if 0 <= value <= LARGEST else self.symbol(where, f"{where} = {value}")

    def symbol(self, label: str, origin: str = "", default: Dim | None = None) -> Symbol:
        """Return the symbol of a label, the same whenever it is asked for."""
        found = self._symbols.get(label)
        if found is None:
            found = self._symbols[label] = symbol(self._free_name(label), "count")
        if found not in self.facts or default is not None:
            self.facts[found] = SymbolFact(origin or label[:200], default)
        return found

    def learn(self, text: str, size: Dim) -> None:
        """Take a text for a size from now on; the texts read before are read again."""
        self.known[text] = size
        self.texts.clear()

    def _read(self, text: str) -> Dim:
        if text in self.known:
            return self.known[text]
        if _INTEGER.fullmatch(text):
            return self.fixed(int(text), text.strip())
        if len(text) <= LONGEST and not text.replace("_", "").isalnum():
            try:
                found = renewed(parse_expression(text, self._atom, "dim_param"))
            except (MansardError, Unresolved):
                return self.symbol(text)
            bound = lower(found) if isinstance(found, int) or found.is_integer else None
            if bound is not None and bound >= 0:
                return found
        return self._atom(text) if text.isidentifier() else self.symbol(text)

    def _atom(self, name: str) -> sp.Expr:
        found = self.known.get(name)
        return self.symbol(name) if found is None else sp.Integer(1) * found

    def _free_name(self, label: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9_]+", "_", label[:200]).strip("_")[:60] or "dim"
        stem = f"d{stem}" if stem[0].isdigit() else stem
        if stem.lower() in {"none", "true", "false"}:
            stem += "_"
        name, copy = stem, 2
        while name in self._taken:
            name, copy = f"{stem}_{copy}", copy + 1
        self._taken.add(name)
        return name

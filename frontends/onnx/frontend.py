"""The frontend of ONNX files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.core.errors import SpecError, unknown_name

if TYPE_CHECKING:
    from mansard.core.symbols import Expr
    from mansard.frontends.onnx.graph import Resolved
    from mansard.frontends.onnx.load import Model
    from mansard.ir.program import Program

SUFFIX = ".onnx"


class OnnxFrontend:
    """Exported ONNX files, by their path."""

    name = "onnx"
    options = ("raw", "alias", "branch")
    """What ``load`` takes beyond overrides."""

    def accepts(self, source: str | Path | Mapping[str, Any]) -> bool:
        """Paths that end in ``.onnx``."""
        return isinstance(source, (str, Path)) and str(source).lower().endswith(SUFFIX)

    def load(
        self,
        source: str | Path | Mapping[str, Any],
        overrides: Mapping[str, str] | None = None,
        *,
        raw: bool = False,
        alias: Mapping[str, str] | None = None,
        branch: str = "",
    ) -> Program:
        """Lower a file to a program.

        Args:
            source: its path.
            overrides: symbol of the file → its size.
            raw: keep the graph as written; else patterns become mansard's ops, layers a body.
            alias: name of a size in the file → what it is, in ``B S P M`` and numbers.
            branch: then, else, or the share of then, where data decide an ``If``; of one node
                ``NODE=else``; several separated by commas.

        Raises:
            MansardError: it is no ONNX model, a node breaks its operator's rules, or an option
                means nothing in it.
        """
        if isinstance(source, Mapping):
            raise SpecError("an ONNX model is a file", hint="give the path of an .onnx file")
        return _lowered(Path(source).expanduser(), overrides, raw, alias, branch)

    def load_model(
        self, model: Model, overrides: Mapping[str, str] | None = None, *,
        raw: bool = False, alias: Mapping[str, str] | None = None, branch: str = "",
    ) -> Program:  # fmt: skip
        """Lower a model that is in memory as ``load`` does a file; no file is read.

        Raises:
            MansardError: as ``load``.
        """
        return _lowered(model, overrides, raw, alias, branch)


def _lowered(
    source: Path | Model, overrides: Mapping[str, str] | None, raw: bool,
    alias: Mapping[str, str] | None, branch: str,
) -> Program:  # fmt: skip
    from mansard.frontends.onnx.branches import branches
    from mansard.frontends.onnx.lower.program import by_phase, is_merged, lower
    from mansard.frontends.onnx.resolve import resolve

    sizes = {key: size_of(key, text) for key, text in (overrides or {}).items()}
    names = {text: meaning(text, means) for text, means in (alias or {}).items()}
    told = branches(branch)
    resolved = resolve(source, aliases=names, branches=told.chosen)
    told.check(resolved.graph)
    _check_names(resolved, sizes, names)
    program = lower(resolved, raw=raw, branches=told, sizes=sizes)
    if branch or not is_merged(resolved):
        return program
    other = branches("else")
    first = resolve(source, aliases=names, branches=other.chosen)
    return by_phase(lower(first, raw=raw, branches=other, sizes=sizes), program)


def _check_names(
    resolved: Resolved, sizes: Mapping[str, Expr], aliases: Mapping[str, object]
) -> None:
    known = {s.name for s in resolved.symbols} | set(resolved.names)
    missing = next((key for key in sizes if key not in known and not _is_free(key)), None)
    if missing is not None:
        raise unknown_name("size in this file", missing, known)
    texts = set(_texts(resolved))
    stray = next((text for text in aliases if text not in texts), None)
    if stray is not None:
        raise unknown_name("name of a size in this file", stray, texts)


def _texts(resolved: Resolved) -> Iterator[str]:
    """Yield the names of sizes a file uses, those inside its expressions included."""
    for graph in resolved.graph.graphs():
        for hint in graph.body.declared.values():
            for dim in hint.dims or ():
                if isinstance(dim, str):
                    yield dim
                    yield from re.findall(r"[^\W\d]\w*", dim[:1000])


def _is_free(key: str) -> bool:
    """Whether a key is a size only the lowering knows."""
    return key == "M" or key.startswith("trips_")


def size_of(key: str, text: str) -> Expr:
    """Return the size an override gives.

    Raises:
        SpecError: it is no whole number.
    """
    from mansard.core.symbols import expr

    told = text.strip()
    least = 0 if key.startswith("trips_") else 1
    if not told.isdecimal() or len(told) > 18 or int(told) < least:
        raise SpecError(f"model.{key} is {text[:40]!r}, not a size", hint=f"write model.{key}=512")
    return expr(int(text))


def meaning(name: str, text: str) -> Any:
    """Return the size an alias says a name of the file is.

    Raises:
        MansardError: it is no expression in ``B S P M`` and whole numbers.
    """
    from mansard.core.expressions import parse_expression
    from mansard.core.symbols import B, M, P, S
    from mansard.frontends.onnx.dims import Unresolved, lower, renewed

    known = {s.name: s for s in (B, S, P, M)}
    try:
        found = renewed(parse_expression(text, known, f"alias of {name!r}"))
        bound = lower(found) if isinstance(found, int) or found.is_integer else None
    except Unresolved:
        bound = None
    if bound is None or bound < 0:
        raise SpecError(
            f"{name!r} is {text[:40]!r}, which is no size", hint=f"--alias '{name}=P+S'"
        )
    return found

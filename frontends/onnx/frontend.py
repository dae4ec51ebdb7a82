"""The frontend of ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.core.errors import SpecError, unknown_name

if TYPE_CHECKING:
    from mansard.core.symbols import Expr
    from mansard.ir.program import Program

SUFFIX = ".onnx"


class OnnxFrontend:
    """Exported ONNX files, by their path."""

    name = "onnx"

    def accepts(self, source: str | Path | Mapping[str, Any]) -> bool:
        """Paths that end in ``.onnx``."""
        return isinstance(source, (str, Path)) and str(source).lower().endswith(SUFFIX)

    def load(
        self, source: str | Path | Mapping[str, Any], overrides: Mapping[str, str] | None = None
    ) -> Program:
        """Lower a file to a program.

        Args:
            source: its path.
            overrides: ``raw`` = true keeps the graph as written, ``branch`` = then or else picks a
                branch where data decide; any other key is a symbol of the file and its size.

        Raises:
            MansardError: it is no ONNX model, a node breaks its operator's rules, or an override
                is no size.
        """
        from mansard.frontends.onnx.lower.program import by_phase, is_merged, lower
        from mansard.frontends.onnx.resolve import resolve

        if isinstance(source, Mapping):
            raise SpecError("an ONNX model is a file", hint="give the path of an .onnx file")
        told = dict(overrides or {})
        raw = told.pop("raw", "false").lower() in ("true", "1", "yes")
        branch = told.pop("branch", "")
        if branch not in ("", "then", "else"):
            raise SpecError(f"no branch is called {branch!r}", hint="pick then or else")
        aliases = {key: size_of(key, text) for key, text in told.items()}
        path, chosen = Path(source).expanduser(), branch or "then"
        resolved = resolve(path, branches={"": chosen})
        known = {s.name for s in resolved.symbols} | set(resolved.names)
        missing = next((key for key in aliases if key not in known and not _is_free(key)), None)
        if missing is not None:
            raise unknown_name("size in this file", missing, known)
        program = lower(resolved, raw=raw, branch=f"{chosen}_branch", sizes=aliases)
        if branch or not is_merged(resolved):
            return program
        first = resolve(path, branches={"": "else"})
        return by_phase(lower(first, raw=raw, branch="else_branch", sizes=aliases), program)


def _is_free(key: str) -> bool:
    """Whether a key is a size only the lowering knows."""
    return key == "M" or key.startswith("trips_")


def size_of(key: str, text: str) -> Expr:
    """Return the size an override gives.

    Raises:
        SpecError: it is no whole number.
    """
    from mansard.core.symbols import expr

    if not text.strip().isdigit() or len(text.strip()) > 18:
        raise SpecError(f"model.{key} is {text[:40]!r}, not a size", hint=f"write model.{key}=512")
    return expr(int(text))

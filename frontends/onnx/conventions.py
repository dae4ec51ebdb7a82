"""What exporters agree on: which sizes of which inputs are B, S, P and M.

``input_ids`` is ``[B, S]``, a cache ``[B, heads, P, d]``, ``attention_mask`` ``[B, P+S]``, what an
encoder gives ``[B, M, …]``. [huggingface/optimum, exporters/onnx/config.py; onnxruntime-genai]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mansard.core.symbols import B, M, P, S
from mansard.frontends.onnx.dims import Dim, add
from mansard.frontends.onnx.graph import SymbolFact
from mansard.frontends.onnx.naming import Names
from mansard.frontends.onnx.read import Declared

_TOKENS = re.compile(r"(?i)^(decoder_)?(input_ids|inputs_embeds|position_ids|token_type_ids)$")
_ENCODED = re.compile(r"(?i)^(encoder_|cross_)|[._](encoder|cross)[._]")
_PAST = re.compile(r"(?i)past|(^|[._])(kv_)?cache[._]|cache_(k|v)")
_MASK = re.compile(r"(?i)^(decoder_)?attention_mask$")
_ROWS = re.compile(r"(?i)hidden_states|embed|^x$")
_BATCH = re.compile(r"(?i)batch|^(n|b|bs|bsz)$|^unk_|dynamic|^s\d+$")  # exporters' names included
_LENGTH = re.compile(r"(?i)seq")


def apply(names: Names, inputs: Mapping[str, Declared]) -> None:
    """Teach ``names`` the sizes that inputs have by convention; the user's aliases stay."""
    known = dict(names.known)
    past = any(size is P for _, size in _sizes(inputs))
    for text, size in _sizes(inputs):
        if text in names.known or _is_number(text):
            continue
        names.learn(text, add(P, S) if size is None and past else S if size is None else size)
    for text, size in names.known.items():
        if text not in known:
            for s in [] if isinstance(size, int) else size.free_symbols:
                names.facts.setdefault(s, SymbolFact(text, reason="the convention of its input"))


def _is_number(text: str) -> bool:
    return text.strip().isdigit()


def _sizes(inputs: Mapping[str, Declared]) -> Iterator[tuple[str, Dim | None]]:
    """Yield (text, what it is); nothing stands for the tokens a mask covers."""
    ordered = sorted(inputs.items(), key=lambda kv: not _TOKENS.search(kv[0]))
    for name, hint in ordered:
        dims = hint.dims or ()
        for axis, size in _axes(name, dims).items():
            if axis < len(dims) and isinstance(text := dims[axis], str):
                yield text, size


def _axes(name: str, dims: tuple[int | str | None, ...]) -> dict[int, Dim | None]:
    rank = len(dims)
    if _PAST.search(name) and rank in (4, 5):
        start = rank - 4
        if _ENCODED.search(name):
            return {start: B, start + 2: M}
        return {start: B, start + 2: P}
    if _ENCODED.search(name):
        return {0: B, 1: M}
    if _TOKENS.search(name):
        return {0: B, 1: S}
    if _MASK.search(name) and rank == 2:
        return {0: B, 1: None}
    rows = rank == 3 and _ROWS.search(name) and isinstance(dims[1], str) and _LENGTH.search(dims[1])
    if rows:
        return {0: B, 1: S}
    first = dims[0] if rank > 1 else None
    return {0: B} if isinstance(first, str) and _BATCH.search(first) else {}

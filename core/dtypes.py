"""How elements lie in memory: dtypes, groups with scales, sparsity, outliers - exact to the bit.

>>> Encoding("int4", of="bf16", group=128, scale_bits=16).bits
33/8
>>> FORMATS["mxfp4"].bits, FORMATS["nvfp4"].bits
(17/4, 9/2)
>>> Encoding("fp16", density=sp.Rational(1, 2), index_bits=2, structure="2:4").bits
9
>>> str(Encoding("int4", of="bf16", group=128, scale_bits=16))
'int4g128s16z0(bf16)'
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property

import sympy as sp

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.core.symbols import Expr

BITS: dict[str, int] = {
    "int1": 1, "int2": 2, "int3": 3, "int4": 4, "fp4": 4, "int5": 5, "int6": 6, "fp6": 6,
    "int8": 8, "uint8": 8, "fp8": 8, "bool": 8, "int16": 16, "fp16": 16, "bf16": 16,
    "int32": 32, "fp32": 32, "int64": 64, "fp64": 64,
}  # fmt: skip
"""Bits of one element, narrowest first: of two dtypes, the later one is the wider."""

_RANK = {name: rank for rank, name in enumerate(BITS)}


def widest(*dtypes: str) -> str:
    """Return the dtype that holds every operand: what the arithmetic runs in.

    >>> widest("int4", "bf16"), widest("int8", "int8")
    ('bf16', 'int8')
    """
    return max(dtypes, key=_RANK.__getitem__)


@dataclass(frozen=True)
class Encoding:
    """How each element of a tensor is stored.

    Args:
        dtype: of the stored element.
        of: the dtype it decodes to; empty when it is used as it lies.
        group: elements that share one scale and zero point; 0 when none is counted.
        scale_bits: bits of a group's scale.
        zero_bits: bits of a group's zero point.
        density: share of elements that are kept.
        index_bits: bits that locate each kept element.
        bitmap: whether one bit per element, kept or not, locates them instead.
        exceptions: ``(share, encoding)`` of outliers that are kept besides, in another way; their
            places in the rest stay, as in SpQR and every dense-and-sparse format.
        structure: what a matrix unit may exploit, "2:4" or "dense".
    """

    dtype: str = "bf16"
    of: str = ""
    group: int = 0
    scale_bits: int = 0
    zero_bits: int = 0
    density: Expr = sp.S.One
    index_bits: Expr | int = 0
    bitmap: bool = False
    exceptions: tuple[tuple[Expr, Encoding], ...] = ()
    structure: str = "dense"

    def __post_init__(self) -> None:
        if self.dtype not in BITS:
            raise unknown_name("dtype", self.dtype, BITS)

    @cached_property
    def bits(self) -> Expr:
        """Mean bits per element, overheads included; exact."""
        own = self.density * (BITS[self.dtype] + self.index_bits) + int(self.bitmap)
        if self.group:
            own += sp.Rational(self.scale_bits + self.zero_bits, self.group)
        return own + sp.Add(*(share * e.bits for share, e in self.exceptions))

    @property
    def plain(self) -> Encoding:
        """The encoding of what arithmetic makes of it: dense, ungrouped, decoded."""
        return Encoding(self.of or self.dtype)

    @property
    def is_plain(self) -> bool:
        """Whether elements lie one after another in the dtype they are used in."""
        return self == Encoding(self.dtype)

    def __str__(self) -> str:
        text = self.dtype
        if self.group:
            text += f"g{self.group}s{self.scale_bits}z{self.zero_bits}"
        if self.density != 1:
            text += f"~{self.density}"
        if self.index_bits:
            text += f"i{self.index_bits}"
        text += "m" * self.bitmap + f"!{self.structure}" * (self.structure != "dense")
        text += f"({self.of})" * bool(self.of)
        return text + "".join(f"+{share}@{{{e}}}" for share, e in self.exceptions)


_TEXT = re.compile(
    r"(?P<dtype>bool|[a-z]+\d+)(?:g(?P<group>\d+)s(?P<scale>\d+)z(?P<zero>\d+))?"
    r"(?:~(?P<density>\d+(?:/\d+)?))?(?:i(?P<index>\d+(?:/\d+)?))?(?P<bitmap>m)?"
    r"(?:!(?P<structure>\d+:\d+))?(?:\((?P<of>\w+)\))?(?P<rest>(?:\+.*)?)"
)
_MOST_EXCEPTIONS = 8
_EXCEPTION = re.compile(r"\+(\d+(?:/\d+)?)@\{")


def parse_encoding(text: str) -> Encoding:
    """Read the text form of an encoding.

    >>> parse_encoding("int3g16s3z3(bf16)+1/100@{fp16i16}").bits
    739/200

    Raises:
        SpecError: it is not one.
    """
    m = _TEXT.fullmatch(text) if text.count("{") <= _MOST_EXCEPTIONS else None
    if not m or "/0" in text:
        raise SpecError(f"not an encoding: {text!r}", hint="write it like int4g128s16z0(bf16)")
    return Encoding(
        dtype=m["dtype"],
        of=m["of"] or "",
        group=int(m["group"] or 0),
        scale_bits=int(m["scale"] or 0),
        zero_bits=int(m["zero"] or 0),
        density=sp.Rational(m["density"] or 1),
        index_bits=sp.Rational(m["index"] or 0),
        bitmap=bool(m["bitmap"]),
        exceptions=tuple(_exceptions(m["rest"], text)),
        structure=m["structure"] or "dense",
    )


def _exceptions(rest: str, whole: str) -> list[tuple[Expr, Encoding]]:
    found: list[tuple[Expr, Encoding]] = []
    while rest:
        m = _EXCEPTION.match(rest)
        depth, end = 0, -1
        for at in range(m.end() - 1 if m else 0, len(rest)):
            depth += {"{": 1, "}": -1}.get(rest[at], 0)
            if depth == 0:
                end = at
                break
        if m is None or end < 0:
            raise SpecError(f"not an encoding: {whole!r}", hint="outliers are +share@{encoding}")
        found.append((sp.Rational(m[1]), parse_encoding(rest[m.end() : end])))
        rest = rest[end + 1 :]
    return found


def _format(dtype: str, group: int = 0, scale_bits: int = 0, zero_bits: int = 0) -> Encoding:
    return Encoding(dtype, of="bf16", group=group, scale_bits=scale_bits, zero_bits=zero_bits)


FORMATS: dict[str, Encoding] = {
    # OCP Microscaling Formats (MX) v1.0, table 1: blocks of 32 share an 8-bit E8M0 scale.
    "mxfp8": _format("fp8", 32, 8),
    "mxfp6": _format("fp6", 32, 8),
    "mxfp4": _format("fp4", 32, 8),
    # NVIDIA Blackwell NVFP4: blocks of 16 share an E4M3 scale; a tensor's own is not counted.
    "nvfp4": _format("fp4", 16, 8),
    # GGUF k-quants (ggml, https://github.com/ggml-org/llama.cpp/pull/1684): super-blocks of 256,
    # a scale and for some a minimum for each block of 16 or 32, and an fp16 one for all of them.
    "q2_k": _format("int2", 256, 16 * 4 + 16, 16 * 4 + 16),
    "q3_k": _format("int3", 256, 16 * 6 + 16),
    "q4_k": _format("int4", 256, 8 * 6 + 16, 8 * 6 + 16),
    "q5_k": _format("int5", 256, 8 * 6 + 16, 8 * 6 + 16),
    "q6_k": _format("int6", 256, 16 * 8 + 16),
    "q8_0": _format("int8", 32, 16),
}
"""Formats whose block and scale are fixed by their standard; they decode to bf16."""


def stored(
    dtype: str, of: str, *, group: int = 0, scale_bits: int = 16, zero_bits: int = 0
) -> Encoding:
    """Return how ``of`` elements lie when stored as ``dtype``, a dtype or a block format.

    >>> stored("int4", "fp16", group=128).bits, stored("nvfp4", "fp16").of
    (33/8, 'fp16')
    """
    if dtype in FORMATS:
        return replace(FORMATS[dtype], of=of)
    if dtype == of:
        return Encoding(dtype)
    if dtype not in BITS:
        raise unknown_name("dtype", dtype, [*BITS, *FORMATS])
    if not group:
        return Encoding(dtype, of=of)
    return Encoding(dtype, of=of, group=group, scale_bits=scale_bits, zero_bits=zero_bits)

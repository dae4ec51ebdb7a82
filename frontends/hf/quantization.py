"""What a checkpoint stores in fewer bits, and which of its modules it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.hf.keys import show

REGEX = "re:"
"""How compressed-tensors marks an entry that is a regular expression."""
EVERY_LINEAR = "Linear"
ROW = -1
"""The group that is a whole row: one scale for each output of a matrix."""
EXPERTS = frozenset({"experts_gate_up", "experts_gate", "experts_up", "experts_down"})
"""Roles whose matrices lie in one parameter, an expert behind another."""
_GLOB = frozenset("*?[")
_LONGEST = 512
_NESTED = re.compile(r"[*+}][^()]*\)\s*[*+{]")  # (a+)+ takes exponential time on some names


@dataclass(frozen=True)
class Scheme:
    """How the weights of some modules lie.

    Args:
        weights: an element or block format, as the pass ``quantize`` names it.
        group: elements that share a scale; 0 is one scale a tensor, ``ROW`` one a row.
        scale_bits, zero_bits: of a group.
        activations: format of what these modules read; empty where it stays.
        targets: the modules, as names, ``re:`` expressions or ``Linear``; empty is every linear.
    """

    weights: str
    group: int = 0
    scale_bits: int = 16
    zero_bits: int = 0
    activations: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quantization:
    """How a checkpoint's linear weights and its cache are stored.

    Args:
        method: the config's ``quant_method``.
        schemes: the first one that targets a module counts; none where the method is not known.
        skip: modules left as they are; ``*``, a missing layer prefix and ``re:`` are allowed.
        kv: format of the key-value cache; empty where it is not quantized.
        spares: roles of modules the method's converters leave without listing them.
        only: the only roles it converts; empty is every one.
    """

    method: str
    schemes: tuple[Scheme, ...] = ()
    skip: tuple[str, ...] = ()
    kv: str = ""
    spares: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def skips(self, module: str) -> bool:
        """Say whether ``module`` (``model.layers.0.mlp.gate``) is left unquantized.

        An entry names the module, one of its parents, or a run of whole name parts in it.

        >>> Quantization("fp8", skip=("lm_head", "model.layers.*.self_attn")).skips(
        ...     "model.layers.3.self_attn.q_proj"
        ... )
        True
        """
        return named(module, self.skip)


def named(module: str, entries: tuple[str, ...]) -> bool:
    """Say whether an entry names the module, a parent, or a run of whole parts of its name.

    >>> named("model.layers.0.mlp.gate", ("re:.*mlp.gate$",)), named("a.gate_proj", ("gate",))
    (True, False)
    """
    spelled = tuple(_spellings(module))
    plain = tuple(entry for entry in entries if not entry.startswith(REGEX))
    exact = {run for name in spelled for run in _runs(name)}
    if any(_globs(exact, entry) if _GLOB & set(entry) else entry in exact for entry in plain):
        return True
    found = (compiled(entry) for entry in entries if entry.startswith(REGEX))
    return any(pattern.match(name) for pattern in found for name in spelled)


def compiled(entry: str) -> re.Pattern[str]:
    """Return an entry's regular expression.

    Raises:
        SpecError: it is none, or one whose matching could take for ever.
    """
    text = entry.removeprefix(REGEX)
    if len(text) > _LONGEST or _NESTED.search(text):
        raise SpecError(
            f"quantization_config: the pattern {show(entry)} is too long or repeats a repetition",
            hint="name the modules plainly",
        )
    try:
        return re.compile(text)
    except re.error as error:
        raise SpecError(
            f"quantization_config: {show(entry)} is no regular expression: {error}",
            hint="name the modules plainly",
        ) from error


def _globs(names: set[str], entry: str) -> bool:
    return any(fnmatchcase(name, entry) for name in names)


def _runs(module: str) -> Iterator[str]:
    parts = module.split(".")
    for i in range(len(parts)):
        for j in range(i + 1, len(parts) + 1):
            yield ".".join(parts[i:j])


def _spellings(module: str) -> Iterator[str]:
    """Yield a module as transformers 5 spells it, and as checkpoints do: one expert at a time."""
    yield module
    for fused, single in (
        (".experts.gate_up_proj", ".experts.0.gate_proj"),
        (".experts.down_proj", ".experts.0.down_proj"),
    ):
        if module.endswith(fused):
            yield module.removesuffix(fused) + single

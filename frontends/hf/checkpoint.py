"""What a checkpoint's own quantization says, as the pipeline text a quantization pass reads.

The frontend only declares it: how elements lie is changed by a pass, like any other technique.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mansard.core.records import dataclass
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.lower.shortcut import halves
from mansard.frontends.hf.quantization import EXPERTS, REGEX, ROW, Quantization, Scheme, named
from mansard.frontends.hf.tensors import layer_tensors, parameter_tensors

_LAYER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_DIGIT_AND_STAR = re.compile(r"\d.*[*?\[]|[*?\[].*\d")
_PLAIN = re.compile(r"[\w.*-]+")
# Roles of tensors that are no matrix a quantizer converts, whatever the method.
_NEVER = frozenset({"embed", "positions", "embed_norm", "attn_norm", "attn_post_norm", "ffn_norm",
                    "ffn_post_norm", "final_norm", "q_norm", "k_norm"})  # fmt: skip


def checkpoint_pipeline(arch: Architecture) -> str:
    """Return the techniques the checkpoint carries, as pipeline text; empty where it has none."""
    q = arch.quantization
    if q is None:
        return ""
    modules = _modules(arch) if q.schemes else {}
    steps = [(*_weights(s), _list(_left(q, s, arch, modules))) for s in q.schemes]
    steps += [(f"kv={q.kv}",)] if q.kv else []
    return ",".join(f"quantize{{{' '.join(step)}}}" for step in steps)


def skips_of_one_layer(arch: Architecture) -> tuple[frozenset[str], ...]:
    """Return, per layer, what is left there and not in every layer that has it.

    Layers that differ in it are no copies of one another, so no body can stand for both.
    """
    alone: list[set[str]] = [set() for _ in arch.layers]
    q = arch.quantization
    modules = _modules(arch) if q and q.schemes else {}
    for at, scheme in enumerate(q.schemes if q else ()):
        for name in _left(q, scheme, arch, modules) if q else ():
            found = _LAYER.search(name)
            if found and int(found[0]) < len(alone):
                alone[int(found[0])].add(f"{at} {_any_layer(name)}")
    return tuple(map(frozenset, alone))


@dataclass(frozen=True)
class _Module:
    """A matrix by its role; ``layers`` that have it, or ``None`` outside of layers."""

    role: str
    layers: tuple[int, ...] | None


def _modules(arch: Architecture) -> Mapping[str, _Module]:
    """Return every stored matrix by its path, ``*`` for the layer's index."""
    kinds = {spec: {t.name for t in layer_tensors(arch, spec)} for spec in set(arch.layers)}
    outside = {t.name for t in parameter_tensors(arch)}
    found: dict[str, _Module] = {}
    for role, path in ((r, p) for r, spelled in arch.names.paths.items() for p in halves(spelled)):
        names = {path if role in EXPERTS else f"{path}.weight"}
        if "*" in path:
            at = tuple(i for i, spec in enumerate(arch.layers) if names & kinds[spec])
            if at:
                found[path] = _Module(role, at)
        elif names & outside:
            found[path] = _Module(role, None)
    return found


def _weights(scheme: Scheme) -> Iterator[str]:
    yield f"weights={scheme.weights}"
    if scheme.activations:
        yield f"activations={scheme.activations}"
    if scheme.group:
        yield "per=channel" if scheme.group == ROW else f"group={scheme.group}"
        yield from (f"scale-bits={scheme.scale_bits}",) if scheme.scale_bits != 16 else ()
        yield from (f"zero-bits={scheme.zero_bits}",) if scheme.zero_bits else ()


def _list(names: tuple[str, ...]) -> str:
    """Return a list as pipeline text; names from files are quoted where they hold anything odd."""
    return f"skip=[{' '.join(n if _PLAIN.fullmatch(n) else _quoted(n) for n in names)}]"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _left(
    q: Quantization, scheme: Scheme, arch: Architecture, modules: Mapping[str, _Module]
) -> tuple[str, ...]:
    """Return the modules a scheme leaves: those the block lists, then those it does not convert."""
    expressions = tuple(n for n in q.skip if _is_expression(n))
    plain = [n for n in q.skip if n not in expressions and _says(n, modules)]
    listed = [*plain, *(c for p, m in modules.items() for c in _hit(p, m, expressions))]
    short = _shortened(listed, arch, modules)
    known = Quantization("", skip=short)
    rest = (*_implied(q, arch, modules), *_others(q, scheme, modules))
    more = _shortened([name for name in rest if not known.skips(name)], arch, modules)
    return tuple(dict.fromkeys((*short, *more)))


def _implied(q: Quantization, arch: Architecture, modules: Mapping[str, _Module]) -> Iterator[str]:
    """Yield modules the method leaves without listing them."""
    if arch.tied:
        yield arch.names.path("embed")  # the head's matrix
    for path, module in modules.items():
        if module.role in _NEVER or (q.only and module.role in q.only):
            continue
        if q.only or module.role in q.spares:
            yield path


def _others(q: Quantization, scheme: Scheme, modules: Mapping[str, _Module]) -> Iterator[str]:
    """Yield modules that another scheme, or none, has: nothing where one scheme has them all."""
    if len(q.schemes) == 1 and not scheme.targets:
        return
    for path, module in modules.items():
        if module.role not in _NEVER:
            yield from (c for c in _concrete(path, module) if _scheme_of(c, q) is not scheme)


def _scheme_of(module: str, q: Quantization) -> Scheme | None:
    return next((s for s in q.schemes if not s.targets or named(module, s.targets)), None)


def _is_expression(entry: str) -> bool:
    """Say whether an entry chooses among layers by more than an index in its place."""
    if entry.startswith(REGEX):
        return True
    return bool(_DIGIT_AND_STAR.search(entry)) and not _LAYER.search(entry)


def _hit(path: str, module: _Module, entries: tuple[str, ...]) -> Iterator[str]:
    if entries and module.role not in _NEVER:
        yield from (name for name in _concrete(path, module) if named(name, entries))


def _concrete(path: str, module: _Module) -> Iterator[str]:
    if module.layers is None:
        yield path
    else:
        yield from (path.replace("*", str(at), 1) for at in module.layers)


def _says(entry: str, modules: Mapping[str, _Module]) -> bool:
    """Say whether an entry is about anything that is stored here."""
    about = _any_layer(entry)
    return any(named(path, (about,)) for path in modules)


def _shortened(
    names: list[str], arch: Architecture, modules: Mapping[str, _Module]
) -> tuple[str, ...]:
    """Return names with ``*`` for the index of what is listed in every layer that has it."""
    layers: dict[str, set[int]] = {}
    for name in names:
        if found := _LAYER.search(name):
            layers.setdefault(_any_layer(name), set()).add(int(found[0]))
    whole = {t for t, listed in layers.items() if set(_layers_with(t, modules)) <= listed}
    return tuple(dict.fromkeys(t if (t := _any_layer(n)) in whole else n for n in names))


def _any_layer(name: str) -> str:
    return _LAYER.sub("*", name, count=1)


def _layers_with(entry: str, modules: Mapping[str, _Module]) -> Iterator[int]:
    """Yield the layers that have the module, or something inside it."""
    for path, module in modules.items():
        if module.layers and named(path, (entry,)):
            yield from module.layers

"""The parameter tensors of an architecture, as its lowering stores them."""

from __future__ import annotations

from collections import Counter
from math import prod

import sympy as sp

from mansard.core.symbols import B, Expr, P, S, T, total
from mansard.frontends.hf.architecture import Architecture, Attention, LayerSpec
from mansard.frontends.hf.feed_forward import Moe
from mansard.frontends.hf.lower.attention import kept_caches
from mansard.frontends.hf.lower.ends import embedded, finished, table_of
from mansard.frontends.hf.lower.gemma import INPUTS
from mansard.frontends.hf.lower.layer import LAYERS, layer
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.lower.shared import EMBEDDED
from mansard.frontends.hf.lower.stored import Tensor, stored_tensors
from mansard.ir.builder import Builder
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph


def parameter_tensors(arch: Architecture) -> list[Tensor]:
    """Return every stored parameter; a tied head is the embedding and not listed again."""
    parts: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for name, shape, copies in stored_tensors(_outside(arch), arch.names):
        parts[name, shape] += copies
    once: set[tuple[str, int]] = set()
    for spec, times in Counter(arch.layers).items():
        for name, shape, copies in layer_tensors(arch, spec):
            where = (name, spec.shared.first) if spec.shared and _is_shared(arch, name) else None
            if where is None:
                parts[name, shape] += times * copies
            elif where not in once:
                once.add(where)
                parts[name, shape] += copies
    return [Tensor(name, shape, count) for (name, shape), count in parts.items()]


def layer_tensors(arch: Architecture, spec: LayerSpec) -> list[Tensor]:
    """Return the parameters of one layer of a kind."""
    return stored_tensors(_alone(arch, spec), arch.names)


def kv_elements_per_token(arch: Architecture) -> int:
    """Return how many cached elements one token adds while every layer's cache still grows."""
    one: dict[Expr, Expr] = {B: sp.S.One, S: sp.S.One, P: sp.S.One}
    sizes = _held(arch, "cache")
    return int(sizes.xreplace(one) - sizes.xreplace({**one, P: sp.S.Zero}))


def state_elements(arch: Architecture) -> int:
    """Return how many elements of state one sequence has, whatever its length."""
    return int(_held(arch, "state").xreplace({B: sp.S.One}))


def _held(arch: Architecture, role: str) -> Expr:
    return total(
        times * stored.value.numel
        for spec, times in Counter(arch.layers).items()
        for stored in storages(_alone(arch, spec)).values()
        if stored.value.role == role
    )


def _outside(arch: Architecture) -> Graph:
    """Return the graph of what no layer has: embeddings, the final norm, the head."""
    build = Builder()
    scope = Scope(arch, build)
    table = table_of(scope)
    x = embedded(scope, table)
    return build.done(*finished(scope, x, table))


def _alone(arch: Architecture, spec: LayerSpec) -> Graph:
    """Return the graph of one layer of a kind."""
    build = Builder()
    side = arch.altup or arch.hyper
    streams = side.streams if side else 1
    x = build.input("x", T, streams * arch.hidden)
    carried = {}
    if arch.per_layer:
        carried[INPUTS] = build.input("inputs", T, arch.per_layer.width)
    if spec.shared:
        carried[EMBEDDED] = build.input("embedded", T, arch.hidden)
    for other in set(arch.layers) if _reuses(spec) else ():
        if isinstance(other.mixer, Attention):
            for name, shape in kept_caches(other.mixer).items():
                carried[name] = build.input(name, *shape, role="cache")
    y = layer(Scope(arch, build, LAYERS, "0", carried=carried), x, spec)
    return build.done(y)


def parameters(arch: Architecture) -> int:
    """Return the number of parameters, tied ones once."""
    return sum(prod(t.shape) * t.copies for t in parameter_tensors(arch))


def active_parameters(arch: Architecture) -> int:
    """Return the parameters one token meets: all of them less the experts it is not routed to."""
    idle = 0
    for spec in arch.layers:
        for block in (spec.ffn, spec.beside):
            if isinstance(block, Moe):
                each = (3 if block.gated else 2) * (block.latent or arch.hidden) * block.width
                each += ((2 if block.gated else 1) * block.width + arch.hidden) * block.expert_bias
                idle += int((1 - block.hit) * block.experts * each)
    return parameters(arch) - idle


def _is_shared(arch: Architecture, name: str) -> bool:
    """Say whether a layer's tensor is one of the block it shares."""
    own = {arch.names.paths.get(role) for role in ("adapter_in", "adapter_out", "shared_out")}
    return ".shared_transf" in name and name.removesuffix(".weight") not in own


def _reuses(spec: LayerSpec) -> bool:
    return isinstance(spec.mixer, Attention) and bool(spec.mixer.reuses)

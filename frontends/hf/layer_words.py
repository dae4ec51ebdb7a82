"""The layers of an architecture in words: what repeats, how often, what each is made of."""

from __future__ import annotations

from mansard.frontends.hf.architecture import Architecture, Attention, LayerSpec
from mansard.frontends.hf.feed_forward import ChannelMix, Dense, Moe
from mansard.frontends.hf.latent_mixers import Compressed, Mixer, Mla
from mansard.frontends.hf.lower.runs import runs


def layers_in_words(arch: Architecture) -> str:
    """Return the layer schedule, for example ``3 × (mla, dense 18432); 58 × (mla, …)``."""
    said = []
    for run in runs(arch.layers):
        body = arch.layers[run.first : run.first + run.period]
        words = " + ".join(_counted(body))
        said.append(words if run.trips == 1 else f"{run.trips} × ({words})")
    return "; ".join(said)


def _counted(body: tuple[LayerSpec, ...]) -> list[str]:
    found: list[tuple[str, int]] = []
    for spec in body:
        words = _layer(spec)
        if found and found[-1][0] == words:
            found[-1] = (words, found[-1][1] + 1)
        else:
            found.append((words, 1))
    return [words if times == 1 else f"{times} × [{words}]" for words, times in found]


def _layer(spec: LayerSpec) -> str:
    twice = "2 × " if spec.topology == "shortcut" else ""
    parts = [twice + _mixer(m) for m in (spec.mixer, spec.also) if m is not None]
    parts += ["a shared block"] if spec.shared else []
    parts += [twice + _ffn(spec.ffn)] if spec.ffn is not None else []
    parts += [_ffn(spec.beside)] if spec.beside is not None else []
    return ", ".join(parts)


def _mixer(mixer: Attention | Mixer) -> str:
    match mixer:
        case Attention():
            heads = f"{mixer.heads}/{mixer.kv_heads} heads of {mixer.head_dim}"
            if mixer.index is not None:
                picked = f"{mixer.index.blocks} blocks of {mixer.index.block} keys"
                return f"attention {heads} to the {picked} an indexer picks"
            if mixer.window is None:
                return f"attention {heads}"
            kind = "chunks of" if mixer.chunked else "a window of"
            return f"attention {heads} in {kind} {mixer.window}"
        case Mla() if mixer.index_heads:
            return f"mla rank {mixer.rank}, the {mixer.index_keys} keys an indexer picks"
        case Mla() if mixer.index_keys:
            return f"mla rank {mixer.rank}, the {mixer.index_keys} keys an earlier indexer picked"
        case Mla():
            return f"mla rank {mixer.rank}"
        case Compressed() if mixer.stride:
            picked = f"{mixer.index_keys} of the " if mixer.index_heads else "the "
            return (
                f"attention {mixer.heads}/1 heads of {mixer.head_dim} in a window of {mixer.window}"
                f" and {picked}summaries of {mixer.stride}"
            )
        case Compressed():
            return (
                f"attention {mixer.heads}/1 heads of {mixer.head_dim} in a window of {mixer.window}"
            )
    return mixer.kind


def _ffn(ffn: Dense | ChannelMix | Moe) -> str:
    match ffn:
        case Moe():
            shared = f" and a shared one of {ffn.shared_width}" if ffn.shared_width else ""
            idle = f" and {ffn.zero} that do nothing" if ffn.zero else ""
            return f"{ffn.top_k} of {ffn.experts} experts of {ffn.width}{idle}{shared}"
        case Dense():
            return f"{'gated' if ffn.gated else 'plain'} {ffn.width}"
        case ChannelMix():
            return f"channel mixing {ffn.width}"

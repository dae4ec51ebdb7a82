"""What stands beside a denoiser: text encoders before its steps, a decoder of latents after."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mansard.core.records import dataclass
from mansard.core.symbols import batch, expr
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.diffusion.config import Denoiser
from mansard.frontends.hf.diffusion.vae import Vae, decoding, encoding
from mansard.frontends.hf.lower.decoder import decoder_graph
from mansard.frontends.hf.lower.plans import encoded
from mansard.frontends.hf.read import RawConfig
from mansard.frontends.hf.resolve import renamed, resolve
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph
from mansard.ir.program import Call, binding

DECODE = "vae_decode"
VAE, VAE_ENCODER = "vae", "vae_encoder"


@dataclass(frozen=True)
class Companions:
    """Parts beside a denoiser, as graphs, and the calls around its steps.

    Args:
        graphs: by name; that of the encoder of images is never called.
        before, after: the steps of one image.
        said: what they are and where that is from.
    """

    graphs: Mapping[str, Graph]
    before: tuple[Call, ...]
    after: tuple[Call, ...]
    said: str


def companions(d: Denoiser) -> Companions | None:
    """Return the parts of the pipeline that runs a denoiser; ``None`` where they do not fit it."""
    row = _table()["pipeline"][d.family]
    vae = _vae(row["vae"])
    if d.text and (row["pooled"] != d.pooled or _last(row).hidden != d.text_width):
        return None
    if d.channels % vae.latent:
        return None
    graphs: dict[str, Graph] = {}
    calls: list[Call] = []
    for at, (name, part, tokens) in enumerate(row["text"], 1):
        graphs[name] = decoder_graph(renamed(_encoder(part), (("", f"{name}."),)))
        reads = d.text - row["before"] if at == len(row["text"]) else tokens
        if reads > 0:
            calls.append(encoded(name, graphs, batch * d.copies, expr(reads)))
    graphs[VAE], graphs[VAE_ENCODER] = decoding(vae, VAE), encoding(vae, VAE)
    latents = expr(d.image * d.channels // vae.latent)
    last = Call(VAE, binding(batch, latents, 0), (graphs[VAE].outputs[0].name,), phase=DECODE)
    parts = ", ".join([*(part for _, part, _ in row["text"]), f"the autoencoder {row['vae']}"])
    return Companions(graphs, tuple(calls), (last,), f"{parts} ({row['source']})")


def sizes(beside: Companions | None) -> dict[str, int]:
    """Return the parameters of each part; the two halves of the autoencoder are one."""
    found: dict[str, int] = {}
    for name, graph in beside.graphs.items() if beside else ():
        part = VAE if name == VAE_ENCODER else name
        stored = (s for s in storages(graph).values() if s.value.role == "weight")
        found[part] = found.get(part, 0) + sum(int(s.numel) for s in stored)
    return found


def _last(row: Mapping[str, Any]) -> Architecture:
    return _encoder(row["text"][-1][1])


def _encoder(part: str) -> Architecture:
    """Return a text encoder; of T5 only the encoder is stored."""
    made = resolve(RawConfig(part, _table()["encoder"][part]))
    return made.encoder or made


def _vae(name: str) -> Vae:
    row = _table()["vae"][name]
    return Vae(row["latent"], tuple(row["widths"]), row["layers"], row["quant"])


@functools.cache
def _table() -> Mapping[str, Any]:
    file = Path(__file__).parent / "companions.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))

"""A config of ``diffusers`` → Program; sizes and steps may be changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from mansard.core.errors import SpecError, unknown_name
from mansard.core.notes import Note
from mansard.core.units import parse
from mansard.frontends.hf.diffusion.companions import companions, sizes
from mansard.frontends.hf.diffusion.config import CLASS, read_denoiser
from mansard.frontends.hf.diffusion.lower import denoising
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.read import RawConfig
from mansard.ir.program import Origin, Program

ALONE = "denoiser_alone"
ADDED = ("steps", "guidance_copies", "text_tokens", "image_tokens", ALONE)
"""Keys no config has: what a pipeline decides, with its defaults in ``config.py``."""
OMITTED = "text encoders and the autoencoder of latents: only the denoiser is lowered"
UNFIT = "text encoders and the autoencoder of latents: those of the family's pipeline do not fit it"


def load_denoiser(
    config: RawConfig, name: str, source: str, overrides: Mapping[str, str]
) -> Program:
    """Return the program of an image: text encoded, denoising steps, latents decoded.

    Raises:
        MansardError: a class or value there is no block for, or a key to override that is none.
    """
    values = dict(config.values)
    for key, text in overrides.items():
        known = (*values, *ADDED)
        if key not in known or key == CLASS:
            raise unknown_name(f"key of a {values[CLASS]} config", key, known)
        values[key] = _whole(key, text)
    d = read_denoiser(RawConfig(config.where, values))
    changed = {key: f"{key} set by the user" for key in overrides}
    facts = {
        key: (show(value), changed.get(key, f"from {config.where}"))
        for key, value in asdict(d).items()
    }
    alone = bool(values.get(ALONE))
    beside = None if alone else companions(d)
    facts |= {f"{part}.parameters": (f"{n:,}", "counted") for part, n in sizes(beside).items()}
    said = Note("M007", OMITTED if alone else UNFIT)
    if beside is not None:
        said = Note("M102", f"{beside.said}; --set model.{ALONE}=1 leaves them out")
    return denoising(d, Origin(name, source, d.family, None, (said,), facts), beside)


def _whole(key: str, text: str) -> int:
    number = parse(text, "number", bare=True)
    if number != int(number):
        raise SpecError(f"{key} is {show(text)}", hint=f"{key} must be a whole number")
    return int(number)

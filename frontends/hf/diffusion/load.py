"""A config of ``diffusers`` → Program; sizes and steps may be changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from mansard.core.errors import SpecError, unknown_name
from mansard.core.notes import Note
from mansard.core.units import parse
from mansard.frontends.hf.diffusion.config import CLASS, read_denoiser
from mansard.frontends.hf.diffusion.lower import denoising
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.read import RawConfig
from mansard.ir.program import Origin, Program

ADDED = ("steps", "guidance_copies", "text_tokens", "image_tokens")
"""Keys no config has: what a pipeline decides, with its defaults in ``config.py``."""
OMITTED = "text encoders and the decoder of latents: only the denoiser is lowered"


def load_denoiser(
    config: RawConfig, name: str, source: str, overrides: Mapping[str, str]
) -> Program:
    """Return the program of an image: its denoising steps.

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
    origin = Origin(name, source, d.family, None, (Note("M007", OMITTED),), facts)
    return denoising(d, origin)


def _whole(key: str, text: str) -> int:
    number = parse(text, "number", bare=True)
    if number != int(number):
        raise SpecError(f"{key} is {show(text)}", hint=f"{key} must be a whole number")
    return int(number)

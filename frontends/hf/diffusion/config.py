"""The transformer of an image model, read from the config ``diffusers`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.read import RawConfig

CLASS = "_class_name"
"""The key under which ``diffusers`` names the class; no transformers config has it."""


@dataclass(frozen=True)
class Denoiser:
    """What one denoising step runs, for one image.

    Args:
        family: the class.
        hidden, heads, head_dim: of every block.
        double: blocks with a stream for the image and one for the text.
        single: blocks on both streams joined.
        plain: blocks on the image alone, each with its own embedding of time and class.
        channels: that a token of the image stands for, patches included.
        out: channels a token is turned into.
        patch: width of a square of latents that becomes one token; 0 where tokens come ready.
        image, text: tokens of each stream.
        text_width: of the text encoders' states.
        pooled: width of the pooled text; 0 where there is none.
        guidance: whether the strength of guidance is embedded, too.
        head_norm: queries and keys have a norm a head.
        rotary: how many dimensions of a head rotate.
        classes: rows of the table of classes, the empty one included.
        steps: of the schedule.
        copies: of each image a step runs: 2 with classifier-free guidance.
    """

    family: str
    hidden: int
    heads: int
    head_dim: int
    channels: int
    out: int
    image: int
    double: int = 0
    single: int = 0
    plain: int = 0
    patch: int = 0
    text: int = 0
    text_width: int = 0
    pooled: int = 0
    guidance: bool = False
    head_norm: bool = False
    rotary: int = 0
    classes: int = 0
    steps: int = 28
    copies: int = 1


def is_diffusion(values: Mapping[str, Any]) -> bool:
    """Say whether a config is one of ``diffusers``."""
    return isinstance(values.get(CLASS), str)


def read_denoiser(config: RawConfig) -> Denoiser:
    """Return what a config describes.

    Raises:
        UnknownNameError: a class there is no lowering for.
        SpecError: a key is missing or no whole number, or has a value there is no block for.
    """
    name = str(config.values[CLASS])
    if name not in READERS:
        raise unknown_name("diffusers class with a lowering", name, READERS)
    return READERS[name](_Keys(config))


class _Keys:
    """Whole numbers of a config, each checked."""

    def __init__(self, config: RawConfig) -> None:
        self.where, self.values = config.where, config.values

    def __call__(self, key: str, default: int | None = None) -> int:
        value = self.values.get(key)
        value = default if value is None else value
        if value is None:
            raise SpecError(f"{self.where}: {key} is missing", hint=f"add {key} to the config")
        if type(value) is not int or not 1 <= value <= 2**24:
            hint = f"{key} must be a whole number, at least 1"
            raise SpecError(f"{self.where}: {key} is {show(value)}", hint=hint)
        return value

    def only(self, key: str, *allowed: Any) -> None:
        """Refuse a value that stands for a block nothing here builds."""
        value = self.values.get(key, allowed[0])
        if value not in allowed:
            raise SpecError(
                f"{self.where}: {key} is {show(value)}, which has no block here",
                hint=f"only {' or '.join(map(repr, allowed))} is supported",
            )

    def squares(self, default: int) -> int:
        """Tokens of an image: squares of ``patch_size`` latents."""
        return (self("sample_size", default) // self("patch_size")) ** 2


def _dit(key: _Keys) -> Denoiser:
    """[Peebles 2023]; steps and guidance are those of diffusers 0.42.1, pipeline_dit.py."""
    key.only("norm_type", "ada_norm_zero")
    key.only("attention_bias", True)
    heads, dim, patch = key("num_attention_heads"), key("attention_head_dim"), key("patch_size")
    return Denoiser(
        "DiTTransformer2DModel", heads * dim, heads, dim, key("in_channels") * patch**2,
        key("out_channels") * patch**2, key.squares(32), plain=key("num_layers"), patch=patch,
        classes=key("num_embeds_ada_norm", 1000) + 1, steps=key("steps", 50),
        copies=key("guidance_copies", 2),
    )  # fmt: skip


def _sd3(key: _Keys) -> Denoiser:
    """[Esser 2024]; text is 77 tokens of CLIP and 256 of T5 (diffusers 0.42.1, its pipeline)."""
    key.only("qk_norm", None)
    key.only("dual_attention_layers", [], None, ())
    heads, dim, patch = key("num_attention_heads"), key("attention_head_dim"), key("patch_size")
    return Denoiser(
        "SD3Transformer2DModel", heads * dim, heads, dim, key("in_channels") * patch**2,
        key("out_channels", key("in_channels")) * patch**2, key.squares(128),
        double=key("num_layers"), patch=patch, text=key("text_tokens", 77 + 256),
        text_width=key("joint_attention_dim"), pooled=key("pooled_projection_dim"),
        steps=key("steps", 28), copies=key("guidance_copies", 2),
    )  # fmt: skip


def _flux(key: _Keys) -> Denoiser:
    """1024 by 1024 pixels are 4096 tokens, text 512 (diffusers 0.42.1, its pipeline)."""
    heads, dim = key("num_attention_heads"), key("attention_head_dim")
    return Denoiser(
        "FluxTransformer2DModel", heads * dim, heads, dim, key("in_channels"),
        key("out_channels", key("in_channels")), key("image_tokens", 4096),
        double=key("num_layers"), single=key("num_single_layers"), text=key("text_tokens", 512),
        text_width=key("joint_attention_dim"), pooled=key("pooled_projection_dim"),
        guidance=key.values.get("guidance_embeds") is True, head_norm=True, rotary=dim,
        steps=key("steps", 28), copies=key("guidance_copies", 1),
    )  # fmt: skip


READERS = {
    "DiTTransformer2DModel": _dit,
    "SD3Transformer2DModel": _sd3,
    "FluxTransformer2DModel": _flux,
}
"""The class → who reads its config."""

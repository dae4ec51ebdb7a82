"""Diffusion transformers as ``diffusers`` describes them: DiT, Stable Diffusion 3, Flux."""

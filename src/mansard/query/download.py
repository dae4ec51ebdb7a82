"""Fetching a model's config from the Hugging Face Hub: only when asked, never its weights."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError

FILES = ("config.json", "hf_quant_config.json")
"""What is fetched; the second one only some checkpoints have."""


def download_config(hub_id: str) -> Path:
    """Put a model's config into the local Hugging Face cache and return where it lies.

    Raises:
        SpecError: ``huggingface_hub`` is not installed, or the Hub does not hand the file out.
    """
    try:
        hub: Any = import_module("huggingface_hub")
    except ImportError as error:
        raise SpecError(
            "--download needs the package huggingface_hub, which is not installed",
            hint="pip install huggingface_hub, or name a config.json that you fetched yourself",
        ) from error
    try:
        found = Path(hub.hf_hub_download(repo_id=hub_id, filename=FILES[0]))
    except Exception as error:  # its own errors derive from several bases
        raise SpecError(
            f"{hub_id!r} cannot be downloaded: {type(error).__name__}: {_first_line(error)}",
            hint="check the id and, for a gated model, `huggingface-cli login`",
        ) from error
    with suppress(Exception):  # most models have no such file
        hub.hf_hub_download(repo_id=hub_id, filename=FILES[1])
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]

"""Regenerate ``frontends/hf/defaults.json`` from the installed transformers (torch is not needed).

Run it in an environment with transformers: ``python scripts/refresh_defaults.py``. The values are
the defaults of the config classes' fields as declared, before ``__post_init__`` derives others from
them: a declared ``None`` means "derived", and stays ``None``.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

HF = Path(__file__).resolve().parent.parent / "frontends" / "hf"
# Values that the classes fill in from keyword arguments rather than from declared fields.
FROM_INSTANCE = (
    "_sliding_window_pattern", "rope_parameters", "layers_block_type", "cross_attention_layers",
    "supported_aspect_ratios", "intermediate_layers_indices", "fullatt_block_indexes",
    "deepstack_visual_indexes", "output_embedding_size",
    "sscp_conv_channel_size", "sscp_conv_kernel_size", "sscp_conv_stride_size",
)  # fmt: skip

# Per-layer lists that a class makes of nothing that it declares.
LISTS = {"lfm3": ("layer_types",), "dots3_note_text": ("layer_types",)}

# Configs inside a config that hold keys of the model itself; declared tuples of layer kinds, and of
# a height and a width, which are one number where they are equal.
NESTED = ("attn_config", "ffn_config")
PATTERNS = ("block_types",)
SIDES = ("image_size", "patch_size", "merge_kernel_size")


def row(config_class: Any, noise: list[str]) -> dict[str, Any]:
    """Return one model type's attribute map and architecture defaults."""
    declared = {f.name: f.default for f in dataclasses.fields(config_class)}
    instance = config_class()
    values: dict[str, Any] = {
        key: value
        for key, value in declared.items()
        if isinstance(value, (int, float, str, list, type(None)))
        and not any(fnmatchcase(key, pattern) for pattern in noise)
    }
    derived = (*FROM_INSTANCE, *LISTS.get(config_class.model_type, ()))
    for name, value in ((key, getattr(instance, key, None)) for key in derived):
        if name == "rope_parameters" and isinstance(value, dict):
            value = {k: v for k, v in value.items() if k == "partial_rotary_factor"}
        if value:
            values[name] = value
    if "attention_types" in declared:  # a factory, so the declaration holds no value
        values["attention_types"] = instance.attention_types
    for name in NESTED:
        if (nested := getattr(instance, name, None)) is not None:
            values[name] = {
                key: value
                for key, value in nested.to_dict().items()
                if isinstance(value, (int, float, str, type(None))) and key != "model_type"
            }
    for name in (*PATTERNS, *SIDES):
        if isinstance(value := declared.get(name), tuple):
            square = name in SIDES and len(set(value)) == 1
            values[name] = value[0] if square else list(value)
    values["tie_word_embeddings"] = getattr(instance, "tie_word_embeddings", False)
    return {
        "attribute_map": dict(config_class.attribute_map),
        "defaults": dict(sorted(values.items())),
    }


def main() -> None:
    """Write the file, stamped with the transformers version."""
    import transformers

    files = sorted((HF / "cards").glob("*.toml"))
    cards = {
        name: card
        for file in files
        for name, card in tomllib.loads(file.read_text(encoding="utf-8")).get("card", {}).items()
    }
    noise = tomllib.loads((HF / "keys.toml").read_text(encoding="utf-8"))["ignore"]["keys"]
    classes = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    rows = {
        name: row(classes[name], noise)
        for name in sorted({card.get("defaults_of", name) for name, card in cards.items()})
        if not any(cards.get(name, {}).get(key) for key in ("defaults", "class_of"))
    }
    data = {"transformers": transformers.__version__, "model_types": rows}
    (HF / "defaults.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

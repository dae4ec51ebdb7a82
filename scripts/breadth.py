"""Compare every class of transformers that writes or sees, at its defaults, with mansard.

Every tensor is compared: of the causal language models, then of those that read images and text.

``make breadth`` runs it in an environment of its own with torch and transformers at exact versions
and writes ``docs/breadth.md``. A class is built on meta tensors; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mansard.core.errors import MansardError
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.lower.whole import model_tensors
from mansard.frontends.hf.resolve import read_architecture

PAGE = Path(__file__).resolve().parent.parent / "docs" / "breadth.md"
WANTED = {"torch": "2.13.0", "transformers": "5.23.0"}
# What a class allocates and never reads, so that checkpoints do not hold it: module, and the key
# of the config that says how many of the first axis.
UNREAD = {"longcat_flash": (".mlp.experts.gate_up_proj", "zero_expert_num")}
RESULTS = ("exact", "language model", "in part", "another class", "refused", "wrong")
Tensors = Counter[tuple[str, tuple[int, ...]]]
HEAD = """# Breadth

Every class that `transformers` {transformers} maps to causal language modelling, and every other
that it maps to text from images, built at its class defaults on meta tensors (torch {torch}), and
the same `model_type` read by mansard.

- *exact*: the names, shapes and numbers of all tensors are equal, indices of layers aside, and
  what the class allocates and never reads (gate and up of LongCat-Flash's experts that do nothing)
- *language model*: the class holds a vision or sound tower; its language model's tensors are equal
- *another class*: the model type is read as another of its classes, and a note (M006) says so
- *in part*: a part of the class is not lowered, and a note (M007) says which
- *refused*: no card, or a key without a default, and mansard says which
- *wrong*: it lowers to something else

`make breadth` writes this page.
"""
TABLE = """
## {title}

{summary}

| model_type | class | result | parameters |
|---|---|---|---:|
"""
TITLES = ("Language models", "Models that see")


@dataclass(frozen=True)
class Row:
    """One class: what became of it, and its parameters or what was said."""

    model_type: str
    name: str
    result: str
    detail: str


def built(model_type: str, name: str) -> tuple[int, Tensors]:
    """Return the parameters and tensors of a class at its defaults."""
    import torch
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    cls = getattr(transformers, name)
    config = CONFIG_MAPPING[model_type]()
    if cls.config_class is not None and not isinstance(config, cls.config_class):
        config = config.get_text_config(decoder=True)
    with torch.device("meta"):
        model = cls(config)
    model.tie_weights()
    tied: Mapping[str, str] = getattr(model, "all_tied_weights_keys", {})
    found: Tensors = Counter()
    for path, tensor in model.named_parameters():
        found[_anywhere(tied.get(path, path)), tuple(tensor.shape)] += 1
    return sum(tensor.numel() for tensor in model.parameters()), found


def needed(model_type: str, tensors: Tensors) -> tuple[Tensors, int]:
    """Return tensors without what nothing reads, and how many parameters that is."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if model_type not in UNREAD:
        return tensors, 0
    module, key = UNREAD[model_type]
    unread, less = getattr(CONFIG_MAPPING[model_type](), key), 0
    kept: Tensors = Counter()
    for (path, shape), copies in tensors.items():
        cut = (shape[0] - unread, *shape[1:]) if path.endswith(module) else shape
        kept[path, cut] += copies
        less += copies * (_size(shape) - _size(cut))
    return kept, less


def lowered(arch: Architecture) -> tuple[int, Tensors]:
    """Return what mansard makes of the same model type."""
    found: Tensors = Counter()
    for path, shape, copies in model_tensors(arch):
        found[_anywhere(path), shape] += copies
    return sum(_size(shape) * n for (_, shape), n in found.items()), found


def compared(model_type: str, name: str) -> Row:
    """Build, lower and compare one class."""
    try:
        count, theirs = built(model_type, name)
    except Exception as error:  # what a class says of its own defaults is its affair
        return Row(model_type, name, "does not build", f"{type(error).__name__}")
    try:
        arch = read_architecture({"model_type": model_type, "architectures": [name]})
    except MansardError as refusal:
        return Row(model_type, name, "refused", str(refusal).partition("\n")[0])
    notes = {note.code: note.message for note in arch.notes}
    if "M006" in notes:
        return Row(model_type, name, "another class", notes["M006"])
    own, ours = lowered(arch)
    theirs, less = needed(model_type, theirs)
    if ours == theirs:
        return Row(model_type, name, "exact", f"{count - less:,}")
    if ours == _language_model(theirs):
        return Row(model_type, name, "language model", f"{own:,} of {count:,}")
    if "M007" in notes:
        return Row(model_type, name, "in part", notes["M007"])
    return Row(model_type, name, "wrong", f"{own:,} against {count:,}")


def page(tables: Iterable[Iterable[Row]], versions: Mapping[str, str]) -> str:
    """Return the page of the results, a table for each of ``TITLES``."""
    made = (_table(title, rows) for title, rows in zip(TITLES, tables, strict=True))
    return HEAD.format(**versions) + "".join(made)


def _table(title: str, rows: Iterable[Row]) -> str:
    rows = sorted(rows, key=lambda row: row.model_type)
    counts = Counter(row.result for row in rows)
    told = ", ".join(f"{counts[k]} {k}" for k in RESULTS)
    summary = (
        f"Of {len(rows)} classes {len(rows) - counts['does not build']} build at their defaults:"
        f" {told}."
    )
    lines = (f"| {r.model_type} | {r.name} | {r.result} | {_cell(r.detail)} |" for r in rows)
    return TABLE.format(title=title, summary=summary) + "\n".join(lines) + "\n"


def classes() -> tuple[dict[str, str], dict[str, str]]:
    """Return model type → class of both tables; a class stands in the first that has it."""
    from transformers.models.auto import modeling_auto as auto

    def first(names: Mapping[str, Any]) -> dict[str, str]:
        return {kind: n if isinstance(n, str) else n[0] for kind, n in names.items()}

    writing = first(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    seeing = first(auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    return writing, {k: n for k, n in seeing.items() if (k, n) not in writing.items()}


def main() -> int:
    """Write the page; fail where a class is lowered to something else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_types", nargs="*", help="only these, printed and not written")
    chosen = parser.parse_args().model_types
    warnings.filterwarnings("ignore")
    import torch
    import transformers

    versions = {"torch": torch.__version__.partition("+")[0],
                "transformers": transformers.__version__}  # fmt: skip
    if versions != WANTED:
        print(f"this page is made with {WANTED}, not {versions}", file=sys.stderr)
        return 2
    tables: list[list[Row]] = []
    for names in classes():
        tables.append([])
        for model_type, name in names.items():
            if not chosen or model_type in chosen:
                tables[-1].append(compared(model_type, name))
                print(*vars(tables[-1][-1]).values(), sep="\t", flush=True)
    if not chosen:
        PAGE.write_text(page(tables, versions), encoding="utf-8")
    return int(any(row.result == "wrong" for rows in tables for row in rows))


def _language_model(tensors: Tensors) -> Tensors:
    """Return the tensors of the language model inside a class with towers."""
    inner = [key for key in tensors if key[0].startswith("model.language_model.")]
    heads = [key for key in tensors if key[0].startswith("lm_head.")]
    return Counter({key: tensors[key] for key in (*inner, *heads)})


def _anywhere(path: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())

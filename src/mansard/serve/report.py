"""The page as one file: the same script and style with answers inlined; it opens from disk."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.metadata import version
from typing import Any

from mansard.backends.hardware import Hardware
from mansard.query.estimate import Estimate
from mansard.query.metrics import METRICS
from mansard.serve.bundle import files
from mansard.serve.catalogue import chip_sheet, chip_summary
from mansard.serve.shown import Shown

MOST = 24
"""Scenarios of one report."""


def report_page(
    asked: Sequence[tuple[str, Mapping[str, Any], Estimate]], *, title: str = "mansard report"
) -> str:
    """Return the HTML of a report.

    Args:
        asked: of each scenario its label, the question as a page writes it, and the answer.
        title: of the document.
    """
    return _page(_document(asked), title)


def _document(asked: Sequence[tuple[str, Mapping[str, Any], Estimate]]) -> dict[str, Any]:
    shown = Shown()
    drawings: dict[str, Any] = {}
    held, chips = [], {}
    for label, question, estimate in asked:
        told, staged = shown.told(estimate), shown.staged(estimate)
        drawings |= {told["graph"]: told.pop("drawing"), **staged.pop("drawings")}
        for phase in told["result"]["phases"].values():
            phase["ops"] = _table(phase["ops"])
        held.append({"label": label, "question": dict(question), "told": told, "staged": staged})
        chips[estimate.chip.id] = estimate.chip
    kinds: dict[str, str] = {}
    for drawing in drawings.values():
        kinds |= drawing["kinds"]
    words: dict[str, int] = {}
    models = dict.fromkeys(str(question["model"]) for _, question, _ in asked)
    metrics = {
        m.field: {"name": n, "label": m.label, "dimension": m.dimension, "better": m.better}
        for n, m in METRICS.items()
    }
    return {
        "version": version("mansard"),
        "boot": {
            "models": [{"name": name, "parameters": None} for name in models],
            "chips": [chip_summary(chip) for chip in chips.values()],
            "techniques": [], "metrics": metrics, "start": {},
        },
        "held": held,
        "sheets": {name: _sheet(chip, words) for name, chip in chips.items()},
        "drawings": {h: _once(d, words) for h, d in drawings.items()},
        "kinds": kinds,
        "words": list(words),
    }  # fmt: skip


def _table(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return records with their keys once; the keys of each are the first ones of the longest."""
    longest: Mapping[str, Any] = max(records, key=lambda r: len(r), default={})
    return {"columns": list(longest), "rows": [list(r.values()) for r in records]}


def _once(drawing: Mapping[str, Any], words: dict[str, int]) -> dict[str, Any]:
    """Return a drawing whose long texts, which those of other passes share, are numbers."""
    found = {k: v for k, v in drawing.items() if k != "kinds"}
    found["graphs"] = {
        name: {**sketch, "nodes": [_node(node, words) for node in sketch["nodes"]]}
        for name, sketch in drawing["graphs"].items()
    }
    return found


def _node(node: Mapping[str, Any], words: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = dict(node)
    for part in ("because", "leaves"):
        if part in node:
            found[part] = [_number(text, words) for text in node[part]]
    if "ops" in node:
        found["ops"] = [_number(f"{kind} {name}", words) for kind, name in node["ops"]]
    if "formulas" in node:
        found["formulas"] = {k: _number(text, words) for k, text in node["formulas"].items()}
    return found


def _sheet(chip: Hardware, words: dict[str, int]) -> dict[str, Any]:
    found = chip_sheet(chip)
    kept = {k: found[k] for k in ("id", "name", "vendor", "year", "confidence", "notes")}
    figures = [{**row, "source": _number(row["source"], words)} for row in found["figures"]]
    return {**kept, "figures": figures}


def _number(text: str, words: dict[str, int]) -> int:
    return words.setdefault(text, len(words))


def _page(document: Mapping[str, Any], title: str) -> str:
    script = files()["app.js"].decode().replace("</script", "<\\/script")
    style = files()["app.css"].decode().replace("</", "<\\/")
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = text.replace("<", "\\u003c")  # so that no name ends the element it stands in
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{style}</style></head>\n"
        f'<body><div id="app"></div>\n<script type="application/json" id="mansard-data">{data}'
        f'</script>\n<script type="module">{script}</script></body></html>\n'
    )

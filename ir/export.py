"""A graph as GraphML, DOT or node-link JSON; names from files are escaped."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import networkx as nx

from mansard.ir.graph import Graph
from mansard.ir.view import to_networkx

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, however it is escaped (section 2.2 of its specification)."""
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'


def to_node_link(graph: Graph) -> dict[str, Any]:
    """Return nodes and edges as a dict that JSON can hold."""
    data: dict[str, Any] = nx.node_link_data(to_networkx(graph), edges="edges")
    return data


def to_graphml(graph: Graph) -> str:
    """Return GraphML; characters XML cannot hold become U+FFFD."""
    view = to_networkx(graph)
    attributes = [("node", a) for a in _used(view.nodes(data=True))]
    attributes += [("edge", a) for a in _used(view.edges(data=True))]
    lines = [_HEAD]
    for sort, name in attributes:
        lines.append(
            f'  <key id="{sort}-{name}" for="{sort}" attr.name="{name}" attr.type="string"/>'
        )
    lines.append('  <graph edgedefault="directed">')
    for node, data in view.nodes(data=True):
        lines += [f"    <node id={_attribute(node)}>", *_data("node", data), "    </node>"]
    for a, b, data in view.edges(data=True):
        ends = f"source={_attribute(a)} target={_attribute(b)}"
        lines += [f"    <edge {ends}>", *_data("edge", data), "    </edge>"]
    return "\n".join([*lines, "  </graph>", "</graphml>", ""])


def to_dot(graph: Graph) -> str:
    """Return Graphviz's DOT: a box per op, its kind under its label."""
    view = to_networkx(graph)
    lines = ["digraph {", "  node [shape=box];"]
    for node, data in view.nodes(data=True):
        label = f"{data['label']}\n{data['kind']}"
        lines.append(f"  {_dot(node)} [label={_dot(label)}];")
    for a, b, data in view.edges(data=True):
        lines.append(f"  {_dot(a)} -> {_dot(b)} [label={_dot(data['value'])}];")
    return "\n".join([*lines, "}", ""])


def _used(items: Any) -> list[str]:
    return sorted({key for item in items for key, value in item[-1].items() if value})


def _data(sort: str, data: dict[str, str]) -> list[str]:
    shown = sorted((key, value) for key, value in data.items() if value)
    return [f'      <data key="{sort}-{key}">{escape(_legal(v))}</data>' for key, v in shown]


def _attribute(text: str) -> str:
    return quoteattr(_legal(text))


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _dot(text: str) -> str:
    shown = "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

"""A graph as its kernels in launch order, one below the other: no layout is needed to read it.

What a kernel hands to the next one is a line, what it hands further down an arc on the left.
"""

from __future__ import annotations

from collections.abc import Mapping

from mansard.core.records import dataclass
from mansard.ir.graph import Graph
from mansard.ir.kernel import Kernel
from mansard.ir.region import Region
from mansard.ir.value import Value, stored_parts
from mansard.render import words
from mansard.render.drawings.drawing import INK, QUIET, SUNK, Drawing, Figure
from mansard.render.palette import hue

WIDTH, ROW, TOP, LEFT, INDENT = 720, 34, 46, 150, 18
MOST = 160
"""Kernels that are drawn; the rest is said to be left out."""


@dataclass(frozen=True)
class Link:
    """A kernel or the head of a region on its line.

    Args:
        name: what people call it.
        said: its kind; of a region how often it runs.
        type: of its last result.
        depth: regions around it.
        region: whether it is the head of one.
        reads: lines of what it reads.
        runs: how often a call runs it, where that is a number.
    """

    name: str
    said: str
    type: str
    depth: int
    region: bool
    reads: tuple[int, ...]
    runs: float


class Chain:
    """The kernels of a graph that do anything, bodies after the head of their region."""

    def __init__(self, graph: Graph) -> None:
        self.links: list[Link] = []
        self._made: dict[Value, tuple[int, ...]] = {}
        self._walk(graph, 0, 1.0)

    def _walk(self, graph: Graph, depth: int, runs: float) -> None:
        for kernel in graph.kernels:
            op = kernel.ops[0]
            if isinstance(op, Region):
                self._region(op, depth, runs)
                continue
            read = (p for o in kernel.ops for v in o.operands for p in (v, *stored_parts(v)))
            sources = tuple(dict.fromkeys(at for v in read for at in self._made.get(v, ())))
            line = sources
            if not kernel.cost.is_free:
                line = (len(self.links),)
                self.links.append(Link(kernel.name, kernel.kind.replace("_", " "), _made(kernel),
                                       depth, False, sources, runs))  # fmt: skip
            for o in kernel.ops:
                self._made |= dict.fromkeys(o.outs, line)

    def _region(self, op: Region, depth: int, runs: float) -> None:
        trips, share = getattr(op, "trips", None), getattr(op, "share", None)
        said = f"× {trips}" if trips is not None else f"share {share}" if share is not None else ""
        again = float(trips) if trips is not None and trips.is_number else 1.0
        self.links.append(Link(op.name, said or op.kind, "", depth, True, (), runs))
        for inner, outer in zip(op.body.inputs, op.ins, strict=True):
            self._made[inner] = self._made.get(outer, ())
        self._walk(op.body, depth + 1, runs * again)
        for out, inner in zip(op.outs, op.body.outputs, strict=True):
            self._made[out] = self._made.get(inner, ())


def _made(kernel: Kernel) -> str:
    """Return the type of what a kernel computes: what it only looks at or stores is left out."""
    works = [op for op in kernel.ops if not (op.is_view or op.has_effect)]
    out = (works or kernel.ops)[-1].out
    return f"{out.encoding.dtype}[{', '.join(map(str, out.shape))}]"


def chain(graph: Graph, title: str, shares: Mapping[tuple[str, str], tuple[str, float]]) -> Figure:
    """Draw a graph.

    Args:
        graph: to draw.
        title: what it is.
        shares: (name, kind) of a kernel → what bounds it and its share of the time.
    """
    links = Chain(graph).links
    shown = links[:MOST]
    drawing = Drawing(WIDTH, TOP + ROW * len(shown) + 24, f"Graph of {title}")
    drawing.text(12, 20, drawing.title, fill=INK, size=13, bold=True)
    middle = [TOP + ROW * k + 13 for k in range(len(shown))]
    for k, link in enumerate(shown):
        for at in link.reads:
            if all(shown[j].region for j in range(at + 1, k)):
                x = LEFT + INDENT * min(link.depth, shown[at].depth) + 14
                drawing.line(x, middle[at] + 13, x, middle[k] - 13, QUIET)
            elif at < len(shown):
                reach = LEFT - 12 - min(118, 14 + 6 * (k - at))
                start, end = (LEFT + INDENT * each.depth for each in (shown[at], link))
                path = f"M{start},{middle[at]}H{LEFT}C{reach},{middle[at]} {reach},{middle[k]} "
                drawing.add("path", d=f"{path}{LEFT},{middle[k]}H{end}", fill="none",
                            stroke=QUIET)  # fmt: skip
    alike: dict[tuple[str, str], float] = {}
    for link in links:
        alike[_key(link)] = alike.get(_key(link), 0.0) + link.runs
    for k, link in enumerate(shown):
        bound, share = shares.get(_key(link), ("", 0.0))
        _line(drawing, link, middle[k], bound, share * link.runs / alike[_key(link)])
    if len(links) > MOST:
        left = words.counted(len(links) - MOST, "more kernel")
        drawing.text(LEFT, TOP + ROW * MOST + 12, left)
    return drawing.done()


def _key(link: Link) -> tuple[str, str]:
    return link.name, link.said.replace(" ", "_")


def _line(drawing: Drawing, link: Link, y: float, bound: str, share: float) -> None:
    x = LEFT + INDENT * link.depth
    if link.region:
        drawing.text(x, y + 4, f"{link.name} {link.said}", fill=INK, bold=True)
        return
    drawing.add("rect", x=x, y=y - 13, width=WIDTH - x - 12, height=26, rx=5, fill=SUNK)
    drawing.add("rect", x=x, y=y - 13, width=4, height=26, rx=2, fill=hue(bound or "none"))
    drawing.text(x + 14, y + 4, words.shorten(link.name, 30), fill=INK, bold=True)
    drawing.text(x + 230, y + 4, link.said)
    drawing.text(WIDTH - 80, y + 4, words.shorten(link.type, 30), anchor="end")
    if bound:
        drawing.text(WIDTH - 22, y + 4, words.percent(share), anchor="end", fill=INK)

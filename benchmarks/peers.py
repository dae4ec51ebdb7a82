"""What LLM-Viewer and GenZ need for the questions mansard answers, in one process, as ratios.

Usage: ``python benchmarks/peers.py [--llm-viewer FOLDER] [--genz FOLDER] [--agree] [--claims]``;
the environment's LLM_VIEWER and GENZ name the folders too (``make bench LLM_VIEWER=… GENZ=…``).
Without a checkout its lines are left out, and the commands that make one are printed. Each peer is
asked the same question first and every difference must be a known one: one that is not, and a ratio
below its limit, end with 1. ``--agree`` prints the differences and times nothing; ``--claims``
tries what docs/llm-viewer.md says of LLM-Viewer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from harness.lines import Line, report
from harness.shapes import DENSE, MLA, MOE, Shape
from harness.timing import cpu_s, each_s, process_s
from mansard.query.solving import solve
from peer import genz, llm_viewer
from peer.agreement import shown
from peer.checkout import Checkout
from peer.claims import tried
from peer.protocol import Peer

SHAPES = (DENSE, MOE, MLA)
NAMES = ("ttft", "tpot", "memory")
BATCH, PROMPT, OUTPUT, TOKENS, MOST = 16, 8192, 256, 1024, 512


PEERS: dict[str, tuple[Checkout, Callable[[Path], Peer]]] = {
    "llm_viewer": (llm_viewer.CHECKOUT, llm_viewer.LLMViewer),
    "genz": (genz.CHECKOUT, genz.GenZ),
}


ASKED = {
    "llm_viewer": ("a point", "a list", "a grid", "a generation", "solve", "cold"),
    "genz": ("a point", "a list", "a grid", "solve", "cold"),
}
"""The lines of each."""


def found(given: Mapping[str, str | None], names: Sequence[str] = tuple(PEERS)) -> Iterator[Peer]:
    """Yield the peers that are there; say what is missing, and how to get it."""
    for name in names:
        checkout, make = PEERS[name]
        folder = checkout.folder(given.get(name))
        missing = checkout.missing(folder)
        if missing or folder is None:
            print(f"{missing}; its lines are left out:")
            print(f"  {', '.join(f'{checkout.name}: {what}' for what in ASKED[name])}")
            print(f"To have them:\n{checkout.how}")
            continue
        differs = checkout.differs(folder)
        if differs:
            print(f"NOTE: {differs}")
        try:
            yield make(folder)
        except ImportError as error:
            print(f"{checkout.name} needs what is not installed: {error}")


def agree(peer: Peer, shape: Shape, told: bool) -> bool:
    """Say whether every difference of two answers is a known one; print them when told to."""
    agreements = list(peer.agreements(shape))
    if told:
        print(f"{peer.name} and mansard -O0: {peer.asks(shape).model} on {peer.asks(shape).on},"
              f" {BATCH} sequences of {PROMPT}")  # fmt: skip
        for line in shown(agreements):
            print(line)
        for phase, (theirs, ours) in peer.times(shape).items():
            print(
                f"  all of a {phase}: {theirs:.4g} s, ours {ours:.4g} s ({ours / theirs - 1:+.2%})"
            )
    unknown = [a for a in agreements if not a.explained]
    for each in () if told else unknown:
        print(f"{peer.name}, {shape.title}: {each}")
    if not told:
        equal = sum(not a.apart for a in agreements if a.explained)
        where = "" if peer.asks(shape) == shape else f" (on {peer.asks(shape).on}, all it knows)"
        print(f"{peer.name}, {shape.title}{where}: {len(agreements)} figures of one question, "
              f"{equal} equal, {len(agreements) - equal - len(unknown)} apart as known, "
              f"{len(unknown)} not explained")  # fmt: skip
    return not unknown


@cache
def ours(shape: Shape) -> dict[str, float]:
    """Return what mansard needs for each question [s]; a list and a grid for one point."""
    engine = shape.study(PROMPT, OUTPUT, BATCH).compiled
    engine.point(BATCH, PROMPT, OUTPUT, NAMES)
    engine.point(BATCH, PROMPT, TOKENS, ("latency",))
    random, count = np.random.default_rng(0), 300_000
    b, p, n = (random.integers(1, m, count).astype(float) for m in (512, 32768, 2048))
    axes = {"batch": np.arange(1, 257.0), "prompt": np.linspace(1024, 32768, 100).round(),
            "output": np.arange(2, 202.0)}  # fmt: skip
    grid = engine.grid(axes, NAMES)
    assert grid is not None

    def all_of_it() -> None:
        for _ in grid.blocks():
            pass

    all_of_it()
    return {
        "a point": each_s(lambda: engine.point(BATCH, PROMPT, OUTPUT, NAMES), 2000, 5),
        "a list": cpu_s(lambda: engine.figures(b, p, n, NAMES), 3) / count,
        "a grid": cpu_s(all_of_it, 3) / grid.size,
        "a generation": each_s(lambda: engine.point(BATCH, PROMPT, TOKENS, ("latency",)), 2000, 5),
    }


def lines(peer: Peer, shape: Shape) -> Iterator[Line]:
    """Measure one peer on one shape beside mansard: how many times faster, and what it takes."""
    mine, point = ours(peer.asks(shape)), peer.point(shape)
    took = each_s(point, max(1, int(0.05 / cpu_s(point, 2))), 5)
    times = {what: took / mine[what] for what in ("a point", "a list", "a grid")}
    theirs = {"its point, us": 1e6 * took}
    generation = peer.generation(shape)
    if generation is not None:
        seconds = cpu_s(generation, 3)
        times["a generation"] = seconds / mine["a generation"]
        theirs["its 1024 tokens, ms"] = 1e3 * seconds
    times["solve"], theirs["its bisection, ms"] = solved(peer, shape)
    with tempfile.TemporaryDirectory() as scratch:
        command = peer.cold(shape, Path(scratch))
        if isinstance(command, str):
            print(f"  left out, cold: {command}")
        else:
            theirs["its process, s"] = process_s(command, 3, cwd=str(peer.folder))
            own = process_s(cold(peer.asks(shape)), 3, {"MANSARD_CACHE": "off"})
            times["cold"] = theirs["its process, s"] / own
    for what, ratio in times.items():
        yield Line(f"{peer.name}: {what}", ratio, "x", peer.limits.get(what), True, shape.title)
    for what, value in theirs.items():
        name, _, unit = what.partition(", ")
        yield Line(f"{peer.name}: {name}", value, unit, shape=shape.title)


def cold(shape: Shape) -> list[str]:
    """Return the command of mansard's whole process."""
    command = [sys.executable, "-m", "mansard", "analyze", shape.model, "--on", shape.on]
    command += [text for each in shape.techniques for text in ("-t", _spec(each))]
    return [*command, "-b", str(BATCH), "-p", str(PROMPT), "-n", str(OUTPUT)]


def _spec(technique: str) -> str:
    """Return a technique as the command line takes it.

    >>> _spec("parallel{tp=8}")
    'parallel:tp=8'
    """
    return technique.replace("{", ":").rstrip("}")


def solved(peer: Peer, shape: Shape) -> tuple[float, float]:
    """Return how many times faster the greatest batch under a limit is found than by bisection.

    And what the bisection takes over the peer's own function, which is all it has for it [ms].
    """
    asks = peer.asks(shape)
    asked, seconds = asks.study(PROMPT, OUTPUT), peer.tpot(shape, PROMPT)
    limit = 1.0001 * seconds(32)
    if bisected(seconds, limit) != 32:
        raise SystemExit(f"{peer.name} does not find the batch of its own figure")
    at = asks.study(PROMPT, OUTPUT, 32).analyze().tpot
    limits = iter(f"tpot <= {at * (1 + 1e-7 * k)!r}s" for k in range(1, 1000))
    answer = solve(asked, "batch", maximize=True, subject_to=next(limits)).value
    if answer != 32:
        raise SystemExit(f"mansard finds a batch of {answer}, not 32")
    mine = cpu_s(
        lambda: solve(asked, "batch", maximize=True, subject_to=next(limits)), 100, collect=False
    )
    theirs = cpu_s(lambda: bisected(seconds, limit), 3, collect=False)
    return theirs / mine, 1e3 * theirs


def bisected(seconds: Callable[[int], float], limit: float) -> int:
    """Return the greatest batch up to 512 whose step is within a limit, of a function that rises.

    >>> bisected(lambda batch: 2.0 * batch, 65.0)
    32
    """
    low, high = 0, MOST + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if seconds(middle) <= limit else (low, middle)
    return low


def claims(given: str | None) -> int:
    """Print whether each sentence about LLM-Viewer holds; return 1 when one does not."""
    failed = False
    for peer in found({"llm_viewer": given}, ("llm_viewer",)):
        assert isinstance(peer, llm_viewer.LLMViewer)
        for claim, holds in tried(peer):
            print(f"  {'ok' if holds else 'NOT SO':6} {claim.says}")
            failed |= not holds
    return int(failed)


def main(arguments: list[str]) -> int:
    """Compare, measure; return 1 when something is not explained or a ratio too small."""
    said, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=said)
    parser.add_argument("--llm-viewer", metavar="FOLDER")
    parser.add_argument("--genz", metavar="FOLDER")
    parser.add_argument("--agree", action="store_true", help="print the differences, time nothing")
    parser.add_argument("--claims", action="store_true", help="try what docs/llm-viewer.md says")
    asked = parser.parse_args(arguments)
    failed = False
    if asked.claims:
        return claims(asked.llm_viewer)
    for peer in found({"llm_viewer": asked.llm_viewer, "genz": asked.genz}):
        for shape in SHAPES:
            reason = peer.refuses(shape)
            if reason:
                print(f"{peer.name}, {shape.title}: left out, {reason}")
                continue
            failed |= not agree(peer, shape, asked.agree)
            if not asked.agree:
                failed |= bool(report(lines(peer, shape)))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

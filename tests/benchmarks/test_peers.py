"""What benchmarks/peers.py does with other predictors, tried without one of them; none is timed."""

from __future__ import annotations

import doctest
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.benchmarks.conftest import Bench

PAGE = Path(__file__).parents[2] / "docs/llm-viewer.md"


def repository(folder: Path) -> str:
    """Make a checkout with one commit; return the commit."""
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    (folder / "model.py").write_text("RATE = 1\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "made"]):
        subprocess.run([*git, *command], check=True)
    found = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


@pytest.mark.parametrize("name", ["peer.agreement", "peers"])
def test_the_examples_of_the_peers_hold(bench: Bench, name: str) -> None:
    found = doctest.testmod(bench(name))
    assert found.attempted > 0
    assert found.failed == 0


def test_a_checkout_is_the_compared_commit_or_says_what_it_is(bench: Bench, tmp_path: Path) -> None:
    checkout = bench("peer.checkout").Checkout
    commit = repository(tmp_path)
    known = checkout("Peer", "https://example.org/peer.git", commit, "PEER", "model.py")
    other = checkout("Peer", "https://example.org/peer.git", "0" * 40, "PEER", "model.py")
    assert known.missing(tmp_path) == known.differs(tmp_path) == ""
    assert other.differs(tmp_path) == f"Peer is at {commit[:7]}, not at 0000000, which was compared"
    (tmp_path / "model.py").write_text("RATE = 2\n")
    assert known.differs(tmp_path) == "Peer has local changes"
    (tmp_path / "model.py").unlink()
    assert known.missing(tmp_path) == f"{tmp_path} is no checkout of Peer: it has no model.py"


def test_a_folder_that_is_no_work_tree_has_no_known_version(bench: Bench, tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "inside").mkdir()
    known = bench("peer.checkout").Checkout("Peer", "url", "0" * 40, "PEER", "model.py")
    assert "its version is unknown" in known.differs(tmp_path / "inside")


def test_a_checkout_is_named_by_an_option_before_the_environment(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = bench("peer.checkout").Checkout("Peer", "url", "0" * 40, "PEER", "model.py")
    monkeypatch.setenv("PEER", "")
    assert known.folder(None) is None
    monkeypatch.setenv("PEER", "/nowhere")
    assert known.folder(None) == Path("/nowhere")
    assert known.folder(str(tmp_path)) == tmp_path.resolve()


@pytest.mark.parametrize("arguments", [[], ["--agree"], ["--claims"]])
def test_without_checkouts_nothing_is_measured_and_both_are_named(
    bench: Bench, arguments: list[str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    peers = bench("peers")
    for checkout, _ in peers.PEERS.values():
        monkeypatch.delenv(checkout.variable, raising=False)
    monkeypatch.setattr(peers, "ours", None)  # nor is mansard
    assert peers.main(arguments) == 0
    out = capsys.readouterr().out
    asked = 1 if arguments == ["--claims"] else 2
    assert out.count("its lines are left out") == out.count("git clone") == asked
    assert "  LLM-Viewer: a point, LLM-Viewer: a list, LLM-Viewer: a grid, " in out
    assert re.search(r"^git -C LLM-Viewer checkout [0-9a-f]{40}$", out, re.M)
    assert not re.search(r"\d x |\d us|\d ms", out)


class Fake:
    """A peer that answers at once: batches take 1 ms each, and weights are as it is told."""

    name, folder, limits = "Fake", Path(), {"a point": 1e12, "a list": 0.0}

    def __init__(self, agreement: Any) -> None:
        self.agreement = agreement

    def refuses(self, shape: Any) -> str:
        return "" if shape.title == "dense" else "it knows one model"

    def asks(self, shape: Any) -> Any:
        return shape

    def point(self, shape: Any) -> Callable[[], object]:
        return lambda: None

    def generation(self, shape: Any) -> None:
        return None

    def tpot(self, shape: Any, prompt: int) -> Callable[[int], float]:
        return lambda batch: 1e-3 * batch

    def cold(self, shape: Any, scratch: Path) -> str:
        return "it has no command"

    def agreements(self, shape: Any) -> Iterator[Any]:
        yield from self.agreement

    def times(self, shape: Any) -> dict[str, tuple[float, float]]:
        return {"prefill": (1.0, 1.5)}


def test_a_difference_that_nobody_knows_fails(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    peers, agreement = bench("peers"), bench("peer.agreement").Agreement
    known = [agreement("weights", 2.0, 2.0), agreement("FLOP", 2.0, 4.0, 2.0, "twice the work")]
    unknown = agreement("bytes", 2.0, 2.5)
    assert peers.agree(Fake(known), peers.DENSE, told=False)
    assert capsys.readouterr().out.endswith("1 equal, 1 apart as known, 0 not explained\n")
    assert not peers.agree(Fake([*known, unknown]), peers.DENSE, told=True)
    out = capsys.readouterr().out
    assert "  1 of 3 figures are equal; the others:\n" in out
    assert re.search(r"^  FLOP +2 +\+100%  twice the work$", out, re.M)
    assert re.search(r"^  bytes +2 +\+25%  NOT EXPLAINED$", out, re.M)
    assert "all of a prefill: 1 s, ours 1.5 s (+50.00%)" in out
    assert max(map(len, out.splitlines())) <= 80


def test_ratios_are_lines_of_the_table_and_a_slow_one_fails(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = bench("peers")
    monkeypatch.setattr(peers, "found", lambda given: [Fake([])])
    monkeypatch.setattr(peers, "ours", lambda s: dict.fromkeys(("a point", "a list", "a grid"), 1))
    monkeypatch.setattr(peers, "solved", lambda peer, shape: (3.0, 1.0))
    assert peers.main([]) == 1
    out = capsys.readouterr().out
    assert re.search(r"MISS .* x +>= 1e\+12 x +Fake: a point$", out, re.M)
    assert re.search(r"ok .* x +>= 0 x +Fake: a list$", out, re.M)
    assert "Fake: a generation" not in out
    assert "  left out, cold: it has no command\n" in out
    assert out.count("left out, it knows one model") == len(peers.SHAPES) - 1


def test_both_find_the_same_batch_before_it_is_timed(bench: Bench) -> None:
    peers = bench("peers")
    ratio, took_ms = peers.solved(Fake([]), peers.DENSE)
    assert took_ms > 0
    assert ratio > 0
    assert peers.bisected(lambda batch: float(batch), 1e9) == peers.MOST
    assert peers.bisected(lambda batch: float(batch), 0.5) == 0


def test_the_command_of_a_process_has_the_techniques_of_the_shape(bench: Bench) -> None:
    peers = bench("peers")
    assert peers.cold(peers.DENSE)[3:] == [
        "analyze", "llama-3.1-70b", "--on", "h100-sxm:8", "-t", "parallel:tp=8",
        "-b", "16", "-p", "8192", "-n", "256",
    ]  # fmt: skip


def test_operators_that_peers_are_compared_by_are_those_the_models_have(bench: Bench) -> None:
    viewer, genz = bench("peer.llm_viewer"), bench("peer.genz")
    asked = bench("peer.agreement").asked
    _, phases = asked(viewer.LLMViewer.asks(None, viewer.DENSE), 2, 64)
    for ops in phases.values():
        assert ops.keys() == {*viewer.OPERATORS.values(), *viewer.LEFT_OUT}
    for shape in (genz.DENSE, genz.MOE):
        ours = {name for ops in asked(shape, 2, 64)[1].values() for name in ops}
        tables = (genz.OPERATORS, genz.EXPERTS)
        named = {n for table in tables for own in table.values() for n in own}
        products = {n for n in ours if n.endswith(("_proj", "lm_head", "scores", "values"))}
        assert products <= named
        assert genz.MODELS[shape][1] == (8 if shape is genz.DENSE else 1)


def test_what_experts_a_batch_touches_is_what_mansard_counts(bench: Bench) -> None:
    genz, asked = bench("peer.genz"), bench("peer.agreement").asked
    ops = asked(genz.MOE, 16, 64)[1]["decode"]
    of_two = 2 * 3 * 4096 * 14336 * 2.0
    more, _ = genz.touched(of_two, 16)
    ours = sum(ops[f"experts.{n}"]["weight_bytes"] for n in ("gate_up_proj", "down_proj"))
    assert ours == pytest.approx(of_two + more, rel=1e-12)


def test_what_the_page_says_of_llm_viewer_is_what_is_tried(bench: Bench) -> None:
    _, _, section = PAGE.read_text("utf-8").partition("## What it counts otherwise")
    told = re.findall(r"^\| (.+?) \| .+ \|$", section, re.M)
    assert told[0] == "LLM-Viewer"
    assert told[1:] == [claim.says for claim in bench("peer.claims").CLAIMS]
    commit = bench("peer.llm_viewer").CHECKOUT.commit
    assert re.findall(r"commit ([0-9a-f]{7})", section) == [commit[:7]]


def test_our_figures_on_the_page_are_what_analyze_answers(bench: Bench) -> None:
    import mansard as ms

    def asked(*techniques: str) -> Any:
        return ms.analyze("llama-3.1-70b", on="h100-sxm", batch=16, prompt=8192, output=2,
                          level="O0", techniques=list(techniques))  # fmt: skip

    page, plain, fused = PAGE.read_text("utf-8"), asked(), asked("fuse-attention")
    ttft, tpot = plain.metrics.ttft_s, 1e3 * plain.metrics.tpot_s
    assert f"and {ttft:.2f} s here" in page
    assert f"and {tpot:.2f} ms" in page
    assert f"takes {fused.metrics.ttft_s:.2f} s instead of {ttft:.2f}," in page
    assert f"takes {1e3 * fused.metrics.tpot_s:.1f} ms instead of {tpot:.1f}," in page
    assert f"{plain.memory.weights / 1e12:.2f} TB of weights" in page

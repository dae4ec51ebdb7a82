"""What a shell offers after Tab."""

from __future__ import annotations

import pytest
from click.shell_completion import BashComplete

from mansard.cli.root import root


def offered(words: list[str], last: str) -> list[str]:
    """Return what is offered after some words, for the beginning of the next."""
    found = BashComplete(root, {}, "mansard", "_MANSARD_COMPLETE")
    return [item.value for item in found.get_completions(words, last)]


@pytest.mark.parametrize(("words", "last", "expected"), [
    (["analyze"], "qwen2.5-0", ["qwen2.5-0.5b"]),
    (["compare"], "gpt2,qwen2.5-0", ["gpt2,qwen2.5-0.5b"]),
    (["analyze", "gpt2", "--on"], "h100-s", ["h100-sxm"]),
    (["compare", "gpt2", "--on"], "l4,h100-s", ["l4,h100-sxm"]),
    (["sweep", "gpt2", "--on", "l4", "-t"], "chunk", ["chunk-prefill"]),
    (["cross"], "x", []),
    ([], "cross", ["crossovers"]),
])  # fmt: skip
def test_names_are_offered(words: list[str], last: str, expected: list[str]) -> None:
    assert offered(words, last) == expected


def test_a_path_is_left_to_the_shell() -> None:
    (item,) = BashComplete(root, {}, "mansard", "_MANSARD_COMPLETE").get_completions(
        ["analyze"], "./mod")  # fmt: skip
    assert (item.type, item.value) == ("file", "./mod")


def test_the_help_of_crossovers_refuses_no_estimate() -> None:
    from click.testing import CliRunner

    said = CliRunner().invoke(root, ["crossovers", "--help"]).output
    assert "refused" not in said
    assert "the calibrated estimate" in " ".join(said.split())

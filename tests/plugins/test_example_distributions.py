"""Distributions of strangers: a technique, a frontend, and one that is broken on purpose."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "example_plugin"


class Site:
    """A folder with distributions laid out as an installer would, and what runs on it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def install(self, name: str) -> None:
        """Copy the modules of a distribution, and write its metadata."""
        source = EXAMPLES / name
        project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]
        for module in source.glob("*.py"):
            shutil.copy(module, self.folder)
        dist = project["name"].replace("-", "_")
        info = self.folder / f"{dist}-{project['version']}.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {n}\n" for n in project["dependencies"])
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
            f"Summary: {project['description']}\n{needs}"
        )
        groups = project["entry-points"].items()
        lines = [f"[{g}]\n" + "\n".join(f"{k} = {v}" for k, v in e.items()) for g, e in groups]
        (info / "entry_points.txt").write_text("\n".join(lines))

    def run(self, *arguments: str, only: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run mansard with the distributions there, or only some of their plugins."""
        env = {k: v for k, v in os.environ.items() if k != "MANSARD_PLUGINS"}
        path = os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", "")])
        env |= {"PYTHONPATH": path, "MANSARD_CACHE": "off", "NO_COLOR": "1", "COLUMNS": "120"}
        env |= {} if only is None else {"MANSARD_PLUGINS": only}
        command = [sys.executable, "-m", "mansard", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An empty one."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


def test_a_strangers_technique_is_checked_shown_and_used(site: Site) -> None:
    site.install("sliding_window")
    checked = site.run("plugins", "check", "--models", "4", "-f", "json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    found = json.loads(checked.stdout)
    assert {f["thing"] for f in found} == {
        "mansard-sliding-window", "plugin sliding-window", "technique sliding-window",
        "op mark_window",
    }  # fmt: skip
    used = site.run("graph", "gpt2", "-O0", "-t", "sliding-window:window=1k")
    assert used.returncode == 0, used.stderr
    assert "mask=mask<window size=1024" in used.stdout
    assert "= mark_window(" in used.stdout


def test_a_technique_with_its_op_and_registration_is_at_most_35_lines() -> None:
    module = EXAMPLES / "sliding_window" / "mansard_sliding_window.py"
    lines = [line for line in module.read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) <= 35


# A GGUF file, written by hand.

TYPES = {"fp32": 0, "bf16": 30, "q4_k": 12, "q6_k": 14, "q8_0": 8}


def text(value: str) -> bytes:
    """A string as GGUF has it."""
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(
    meta: Mapping[str, int | str], tensors: Sequence[tuple[str, tuple[int, ...], str]]
) -> bytes:
    """The header of a file."""
    made = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta) + 1)
    for key, value in meta.items():
        if isinstance(value, str):
            made += text(key) + struct.pack("<I", 8) + text(value)
        else:
            made += text(key) + struct.pack("<II", 4, value)
    made += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    for name, shape, kind in tensors:
        made += text(name) + struct.pack("<I", len(shape))
        made += b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", TYPES[kind], 0)
    return made


META: Mapping[str, int | str] = {
    "general.architecture": "llama", "general.name": "Tiny", "llama.embedding_length": 512,
    "llama.block_count": 2, "llama.attention.head_count": 8, "llama.attention.head_count_kv": 2,
    "llama.feed_forward_length": 1536, "llama.context_length": 4096,
}  # fmt: skip


def tiny(odd: str = "q6_k") -> list[tuple[str, tuple[int, ...], str]]:
    """The tensors of a model of two layers, one of whose down projections is another type."""
    found: list[tuple[str, tuple[int, ...], str]] = [
        ("token_embd.weight", (512, 1000), "bf16"), ("output.weight", (512, 1000), "q8_0"),
        ("output_norm.weight", (512,), "fp32"),
    ]  # fmt: skip
    for layer in range(2):
        at = f"blk.{layer}"
        found += [
            (f"{at}.attn_q.weight", (512, 512), "q4_k"),
            (f"{at}.attn_k.weight", (512, 128), "q4_k"),
            (f"{at}.attn_v.weight", (512, 128), "q6_k"),
            (f"{at}.attn_output.weight", (512, 512), "q4_k"),
            (f"{at}.ffn_gate.weight", (512, 1536), "q4_k"),
            (f"{at}.ffn_up.weight", (512, 1536), "q4_k"),
            (f"{at}.ffn_down.weight", (1536, 512), odd if layer else "q4_k"),
        ]  # fmt: skip
    return found


def test_a_gguf_file_costs_what_its_tensors_weigh(site: Site, tmp_path: Path) -> None:
    site.install("gguf")
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf(META, tiny("q4_k")))
    ran = site.run("analyze", str(path), "--on", "h100-sxm", "-f", "json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    bits = {"bf16": 16, "q4_k": 4.5, "q6_k": 6.5625, "q8_0": 8.5}
    stored = sum(
        n * bits[kind] / 8
        for _, shape, kind in tiny("q4_k")
        if len(shape) == 2
        for n in [shape[0] * shape[1]]
    )
    norms = 512 * 2 * 5
    assert document["memory"]["weights"] == stored + norms
    assert document["model"]["name"] == "Tiny"
    assert document["model"]["source"] == "gguf"
    assert (
        document["model"]["params"]
        == sum(s[0] * (s[1] if len(s) == 2 else 1) for _, s, _ in tiny()) + 4 * 512
    )


def test_layers_of_different_types_are_said(site: Site, tmp_path: Path) -> None:
    site.install("gguf")
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf(META, tiny("q6_k")))
    ran = site.run("analyze", str(path), "--on", "h100-sxm", "-f", "json")
    assert ran.returncode == 0, ran.stderr
    assert "down_proj is q4_k in 1 layers" in ran.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GGML" + bytes(100), "does not begin with GGUF"),
        (gguf(META, tiny())[:200], "longer than the file"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60), "ends inside its header"),
        (gguf({**META, "general.architecture": "mamba"}, tiny()), "'mamba' is not known"),
        (gguf({**META, "llama.block_count": 0}, tiny()), "llama.block_count is 0"),
        (gguf(META, []), "no token_embd.weight"),
    ],
    ids=["magic", "cut", "endless", "family", "layers", "empty"],
)
def test_a_file_that_is_none_is_refused_in_words(
    site: Site, tmp_path: Path, data: bytes, words: str
) -> None:
    site.install("gguf")
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    ran = site.run("analyze", str(path), "--on", "h100-sxm")
    assert ran.returncode == 2, ran.stderr
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


BROKEN = [
    ("broken-import", ("analyze", "gpt2", "--on", "h100-sxm"), "ModuleNotFoundError"),
    ("broken-hook", ("techniques", "list"), "it returned a dict, not a list of techniques"),
    ("broken-name", ("techniques", "list"), "did you mean mansard_passes"),
    ("broken-version", ("techniques", "list"), "made for version 99 of the hooks"),
    ("broken-graph", ("analyze", "gpt2", "--on", "h100-sxm", "-t", "forgets"), "before it is made"),
    ("broken-graph", ("analyze", "gpt2", "--on", "h100-sxm", "-t", "forgets:crash=true"),
     "KeyError: 'nobody tried this'"),
    ("broken-command", ("broken-command",), "RuntimeError: nobody tried this"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "words"), BROKEN)
def test_a_broken_plugin_is_named_with_exit_code_4(
    site: Site, name: str, arguments: tuple[str, ...], words: str
) -> None:
    site.install("broken")
    only = "broken-graph" if name == "broken-command" else name
    ran = site.run(*arguments, only=only)
    assert ran.returncode == 4, ran.stderr
    assert "mansard-broken" in ran.stderr
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_doctor_names_every_broken_plugin_and_the_rest_goes_on(site: Site) -> None:
    site.install("broken")
    site.install("sliding_window")
    ran = site.run("doctor")
    assert ran.returncode == 1
    for name in ("broken-import", "broken-hook", "broken-name", "broken-version"):
        assert f"{name!r} of mansard-broken" in ran.stdout
    left = site.run("--ignore-broken-plugins", "techniques", "show", "sliding-window")
    assert left.returncode == 0, left.stderr
    assert "mansard-sliding-window" in left.stdout

"""What the command line imports: help and lists must not wait for sympy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"sympy", "numpy", "onnx", "networkx"}


def python(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def modules(*arguments: str) -> set[str]:
    """Top-level modules that running ``mansard`` with arguments imports."""
    script = (
        "import sys; from mansard.cli import main; code = main(sys.argv[1:]);"
        " print(code, *sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    code, *names = done.stderr.splitlines()[-1].split()
    assert code == "0"
    return set(names)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["analyze", "--help"], []])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    assert not modules(*arguments) & {*HEAVY, "rich", "pluggy"}


def test_hardware_list_imports_no_mathematics() -> None:
    assert not modules("hardware", "list") & HEAVY
    assert "rich" not in modules("hardware", "list", "-f", "csv")


def test_analyze_as_json_needs_no_rich() -> None:
    found = modules("analyze", "qwen2.5-0.5b", "--on", "h100-sxm", "-f", "json")
    assert not found & {"rich", "onnx"}


def imported(*arguments: str) -> set[str]:
    """Return the modules that running ``mansard`` imports, by their full names."""
    script = (
        "import sys; from mansard.cli import main; main(sys.argv[1:]);"
        " print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


def test_a_decoder_imports_no_block_it_has_not() -> None:
    lower, hf = "mansard.frontends.hf.lower.", "mansard.frontends.hf."
    found = imported("analyze", "qwen2.5-0.5b", "--on", "h100-sxm")
    assert {f"{lower}attention", f"{lower}decoder", f"{hf}resolve"} <= found
    names = ("mamba", "mla", "delta", "conformer", "stems", "heads", "memory", "senses", "tiles")
    assert not found & {f"{lower}{name}" for name in names}
    assert f"{hf}diffusion.load" not in found
    assert not found & {"html", "csv", "difflib", "importlib.resources", "traceback"}
    hybrid = imported("analyze", "jamba-1.5-mini", "--on", "h200-sxm")
    assert f"{lower}mamba" in hybrid
    assert f"{lower}mla" not in hybrid


def test_a_remembered_answer_needs_no_mathematics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANSARD_CACHE", str(tmp_path / "cache"))
    question = ("analyze", "qwen2.5-0.5b", "--on", "h100-sxm")
    assert "sympy" in modules(*question)
    assert not modules(*question) & {*HEAVY, "rich"}


def test_what_is_said_again_needs_no_mathematics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANSARD_CACHE", str(tmp_path / "cache"))
    question = ("sweep", "qwen2.5-0.5b", "--on", "h100-sxm", "--vary", "batch=1..8")
    assert "sympy" in modules(*question)
    assert not modules(*question) & {*HEAVY, "rich"}


def test_a_sweep_over_other_sizes_needs_no_mathematics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANSARD_CACHE", str(tmp_path / "cache"))
    question = ("sweep", "qwen2.5-0.5b", "--on", "h100-sxm", "--vary")
    assert "sympy" in modules(*question, "batch=1..8")
    assert not modules(*question, "batch=1..64x2") & {"sympy", "onnx", "networkx"}


def test_importing_mansard_imports_nothing_of_it() -> None:
    script = "import sys, mansard; print(*[m for m in sys.modules if m.startswith('mansard.')])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_every_public_name_is_there_and_listed() -> None:
    import mansard

    assert {name for name in mansard.__all__ if not hasattr(mansard, name)} == set()
    assert set(mansard.__all__) <= set(dir(mansard))
    with pytest.raises(AttributeError, match="analyse"):
        mansard.__getattr__("analyse")


def test_python_dash_m_runs_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mansard", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"mansard {__import__('mansard').__version__}\n"


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m mansard hardware list -f json | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert len(done.stdout) == 10
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupt_exits_with_130() -> None:
    script = (
        "import signal, sys; from mansard.cli import main; import mansard.backends.chips as c;"
        " signal.signal(signal.SIGINT, signal.default_int_handler);"  # a background job ignores it
        " c.bundled = lambda: signal.raise_signal(signal.SIGINT);"
        " sys.exit(main(['hardware', 'list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert signal.SIGINT.value == 2


def test_a_bug_exits_with_70_and_shows_its_traceback() -> None:
    script = (
        "import sys; from mansard.cli import main; import mansard.backends.chips as c;"
        " c.bundled = lambda: 1 / 0; sys.exit(main(['hardware', 'list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
    assert "please report it" in done.stderr

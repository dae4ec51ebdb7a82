"""An exported file on the command line and in Python: as any model, and read as one likes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper, parser
from tests.frontends.onnx.graphs import Inputs, model
from tests.frontends.onnx_lower.decoders import VOCABULARY, saved

import mansard as ms
from mansard.ir.region import Repeat

Run = Callable[..., Any]
ON = ("--on", "l4", "-p", "512", "-n", "8")
PARAMS = 2 * VOCABULARY * 32 + 2 * (32 * 32 * 2 + 32 * 16 * 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small language model of two layers."""
    return saved(tmp_path)


def test_a_file_is_analysed_as_any_model_and_says_how_it_was_understood(
    run: Run, path: Path
) -> None:
    ran = run("analyze", str(path), *ON)
    assert ran.code == 0
    assert "TTFT" in ran.out
    assert "TPOT" in ran.out
    assert "symbols B S P" in ran.out
    assert "3 names unified" in ran.out
    assert "10 weights" in ran.out


def test_json_says_what_every_size_of_the_file_was_found_to_be(run: Run, path: Path) -> None:
    model = json.loads(run("analyze", str(path), *ON, "-f", "json").out)["model"]
    assert model["params"] == PARAMS
    found = model["resolution"]
    assert found["names"] == {"batch": "B", "sequence": "S", "past_sequence": "P"}
    assert found["sized"] == found["tensors"] > 20
    assert found["unknown"] == {}
    assert (found["weights"], found["tables"]) == (10, 0)
    assert found["weight_bytes"] == 4 * PARAMS


def test_the_tree_begins_with_all_that_was_understood(run: Run, path: Path) -> None:
    lines = run("graph", str(path), "-f", "tree").out.splitlines()
    assert lines[0].startswith("// graph of 15 nodes · ")
    assert "//   name in the file past_sequence  P" in lines


def test_raw_keeps_the_graph_as_written(run: Run, path: Path) -> None:
    assert "repeat" in run("graph", str(path), "-O0").out
    raw = run("graph", str(path), "-O0", "--raw").out
    assert "repeat" not in raw
    assert raw == f"{str(ms.load(path, raw=True)).rstrip()}\n"
    assert not any(isinstance(op, Repeat) for op in ms.load(path, raw=True).graph().ops)


def test_an_alias_says_what_a_size_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    sizes: Inputs = {"frames": ("f", ["k", "m.0", 8])}
    onnx.save(model([helper.make_node("Relu", ["frames"], ["y"])], sizes, ["y"]), path)
    assert str(ms.load(path).graph().output("y").shape) == "(k, m_0, 8)"
    assert str(ms.load(path, alias={"k": "B", "m.0": "S"}).graph().output("y").shape) == "(T, 8)"
    ran = run("graph", str(path), "-f", "tree", "--alias", "k=2*B", "--alias", "m.0=P + S")
    assert ran.out.splitlines()[-1].endswith("fp32[2*B, P + S, 8]")


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ("sequense=S", "did you mean 'sequence'"),
        ("sequence", "cannot read the alias"),
        ("sequence=", "cannot read the alias"),
        ("sequence=__import__('os')", "alias of 'sequence'"),
        ("sequence=-4", "is no size"),
        ("sequence=Q", "called 'Q'"),
    ],
)
def test_an_alias_that_means_nothing_is_bad_input(
    run: Run, path: Path, alias: str, said: str
) -> None:
    ran = run("analyze", str(path), *ON, "--alias", alias)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.parametrize("option", [("--raw",), ("--alias", "seq=S"), ("--branch", "then")])
@pytest.mark.parametrize("command", [("analyze", "llama-3.1-8b", *ON), ("graph", "llama-3.1-8b")])
def test_a_config_has_no_graph_to_read_so(
    run: Run, command: tuple[str, ...], option: tuple[str, ...]
) -> None:
    ran = run(*command, *option)
    assert (ran.code, ran.out) == (2, "")
    assert f"{option[0].strip('-')} is for files that hold a graph" in ran.err


WOBBLE = helper.make_node(
    "Wobble", ["embedded"], ["inputs_embeds"], name="first_wobble", domain="local"
)


@pytest.mark.parametrize("sized", [True, False], ids=["declared", "undeclared"])
def test_an_operator_nobody_knows_is_named_and_refused_by_strict(
    run: Run, tmp_path: Path, sized: bool
) -> None:
    path = saved(tmp_path, extra=[WOBBLE])
    if sized:
        proto = onnx.load(path)
        shape: list[str | int | None] = ["batch", "sequence", 32]
        hint = helper.make_tensor_value_info("inputs_embeds", onnx.TensorProto.FLOAT, shape)
        proto.graph.value_info.append(hint)
        onnx.save(proto, path)
    ran = run("analyze", str(path), *ON)
    assert ran.code == 0
    assert "unknown: local.Wobble (1 node)" in ran.out
    assert "local.Wobble" in ran.err
    assert "first_wobble" in ran.err
    assert "[M060]" in ran.err
    assert ("of unknown size" in ran.err) is not sized
    strict = run("analyze", str(path), *ON, "--strict")
    assert strict.code == 3
    assert "first_wobble" in strict.err


def test_what_an_unknown_operator_reads_and_writes_is_counted(tmp_path: Path) -> None:
    path = saved(tmp_path, extra=[WOBBLE])
    (op,) = (op for op in ms.load(path).graph().ops if getattr(op, "fn", "") == "local.Wobble")
    assert {str(v): str(size) for v, size in op.cost().reads.items()} == {
        "%embed: fp32[T, 32]": "128*T"
    }


@pytest.mark.parametrize(
    "technique",
    [
        "chunk-prefill{size=128}",
        "speculative-decode{draft=self gamma=3}",
        "speculative-decode{draft=medusa gamma=3}",
        "speculative-decode{draft=eagle gamma=3}",
        "quantize{weights=int4 group=16}",
        "quantize{kv=int8}",
        "limit-kv{window=64}",
        "page-kv",
        "parallel{tp=2}",
        "parallel{pp=2}",
    ],
)
def test_techniques_apply_to_a_file_as_to_a_config(path: Path, technique: str) -> None:
    on = "l4:2" if "parallel" in technique else "l4"
    found = ms.analyze(path, on=on, prompt=512, output=8, techniques=[technique])
    (applied,) = (t for t in found.techniques if t.name == technique.partition("{")[0])
    assert applied.changed
    assert found.tpot is not None
    assert found.tpot > 0


@pytest.mark.parametrize("raw", [False, True], ids=["raised", "raw"])
def test_a_chunk_that_makes_no_token_computes_no_logits_and_all_else(path: Path, raw: bool) -> None:
    program = ms.load(path, raw=raw)
    asked: dict[str, Any] = {"on": "l4", "prompt": 512, "output": 2, "level": "O0"}
    whole = ms.analyze(program, **asked)
    chunked = ["chunk-prefill{size=128}"]
    chunks = ms.analyze(program, techniques=chunked, **asked)

    def head(answer: ms.Estimate) -> float:
        (row,) = (row for row in answer.phases["prefill"].ops if row.name == "lm_head")
        return float(row.flops * row.count)

    assert head(whole) == 2 * 512 * 32 * VOCABULARY
    assert head(chunks) == 2 * 128 * 32 * VOCABULARY
    rows = (row for row in chunks.phases["prefill"].ops if row.name.endswith("o_proj"))
    assert sum(row.flops * row.count for row in rows) == 2 * 2 * 512 * 32 * 32


def bad_files() -> dict[str, bytes]:
    """Return files that are no model, or hold a graph that is none."""
    head = '<ir_version: 9, opset_import: ["" : 20, "local" : 1]>'
    cycle = "g (float[n] x) => (float[n] y) { a = Relu(b) b = Relu(a) y = Relu(x) }"
    itself = (
        "g (float[n] x) => (float[n] y) { y = local.f(x) }\n"
        '<opset_import: ["" : 20, "local" : 1], domain: "local">'
        " f (a) => (b) { b = local.f(a) }"
    )
    relu = helper.make_node("Relu", ["x"], ["y"])
    away = onnx.TensorProto(
        name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL
    )
    entry = away.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    whole = model([relu], {"x": ("f", ["n"])}, ["y"]).SerializeToString()
    return {
        "text file": b"ir_version: 8",
        "not a protobuf": bytes(64),
        "truncated": whole[: len(whole) // 2],
        "empty graph": onnx.ModelProto(ir_version=8).SerializeToString(),
        "cycle": parser.parse_model(head + cycle).SerializeToString(),
        "calls itself": parser.parse_model(head + itself).SerializeToString(),
        "outside the model's folder": model(
            [relu], {"x": ("f", ["n"])}, ["y"], [away]
        ).SerializeToString(),
    }


@pytest.mark.parametrize("said", bad_files())
@pytest.mark.parametrize("command", ["analyze", "graph"])
def test_a_bad_file_ends_with_a_sentence(run: Run, tmp_path: Path, command: str, said: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(bad_files()[said])
    ran = run(command, str(path), *(ON if command == "analyze" else ()))
    assert (ran.code, ran.out) == (2, "")
    if said != "truncated":  # where it ends decides what is missing
        assert said in ran.err


@pytest.mark.parametrize("text", ["(" * 10_000_000, "__import__('os').system('true')", "9" * 5000])
def test_a_hostile_size_is_a_name_and_the_file_is_analysed(
    run: Run, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "hostile.onnx"
    sizes: Inputs = {"x": ("f", ["k", text])}
    onnx.save(model([helper.make_node("Relu", ["x"], ["y"])], sizes, ["y"]), path)
    ran = run("analyze", str(path), *ON)
    assert ran.code == 0
    assert "is taken to be" in ran.err
    assert len(ran.err) < 2000


def test_a_decoder_whose_batch_is_fixed_says_that_it_makes_no_steps(run: Run, path: Path) -> None:
    ran = run("analyze", str(path), *ON, "--alias", "batch=7")
    assert ran.code == 0
    assert "batch fixed in the file or by an alias: one call is counted, no decode" in ran.err
    assert "M116" not in run("analyze", str(path), *ON).err


def test_a_file_that_decodes_nothing_is_not_told_to_ask_for_a_phase(run: Run, path: Path) -> None:
    once = ("--on", "l4", "-p", "512", "-n", "8", "--alias", "batch=7")
    for ask in (("explain", str(path), *once),
                ("solve", str(path), *once, "--find", "prompt", "-s", "tpot<=1s")):  # fmt: skip
        ran = run(*ask)
        assert ran.code == 2
        assert "hint: this model decodes nothing; this answer has ttft, prefill, memory" in ran.err

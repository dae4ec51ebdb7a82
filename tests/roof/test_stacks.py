"""Questions about encoders, encoder-decoders and models that see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mansard as ms
from mansard.core.errors import MansardError


def test_an_encoder_has_one_phase_and_no_token_times() -> None:
    found = ms.analyze("bert-base-uncased", on="l4").to_dict()
    assert list(found["phases"]) == ["encode"]
    metrics = found["metrics"]
    assert metrics["ttft_s"] is metrics["tpot_s"] is metrics["tokens_per_s_per_user"] is None
    assert metrics["latency_s"] == found["phases"]["encode"]["time_s"]
    assert found["model"]["kv_bytes_per_token"] == 0
    assert found["memory"]["kv_cache"] == 0


def test_the_default_prompt_is_no_longer_than_an_encoder_reads() -> None:
    short = ms.analyze("bert-base-uncased", on="l4")
    assert short.scenario.prompt == 512
    assert "M009" in {n.code for n in short.notes}
    asked = ms.analyze("bert-base-uncased", on="l4", prompt=2048)
    assert "M004" in {n.code for n in asked.notes}


def test_the_first_token_waits_for_the_encoder() -> None:
    found = ms.analyze("whisper-tiny", on="l4")
    encode, prefill = found.phase("encode"), found.prefill
    assert found.ttft == encode.total_s + prefill.total_s
    assert found.latency == pytest.approx(found.ttft + 127 * found.decode.time_s)
    only = ms.analyze("whisper-tiny", on="l4", phase="prefill")
    assert list(only.phases) == ["encode", "prefill"]


def test_images_are_encoded_and_lengthen_the_prompt_and_the_cache() -> None:
    model, on = "qwen2.5-vl-7b-instruct", "h100-sxm"
    text, seen = (ms.analyze(model, on=on, set={"input.images": n}) for n in (0, 4))
    longer = ms.analyze(model, on=on, prompt=2048 + 4 * 1024)
    assert list(seen.phases) == ["encode", "prefill", "decode"]
    assert seen.prefill.flops == longer.prefill.flops > text.prefill.flops
    assert seen.memory.kv_cache == longer.memory.kv_cache
    assert seen.tpot == longer.tpot


def test_weights_of_a_part_that_no_call_names_are_resident() -> None:
    text = ms.analyze("llava-1.5-7b", on="h100-sxm")
    assert text.memory.weights == 2 * text.model.params


def test_a_study_gives_the_figures_of_analyze() -> None:
    for model, given in (("whisper-tiny", {}), ("llava-1.5-7b", {"input.images": 2})):
        asked = ms.study(model, on="h100-sxm", prompt=512, output=16, set=given)
        one = asked.analyze()
        many = asked.compiled.figures(1, 512, 16)
        assert many["ttft"][0] == pytest.approx(one.ttft)
        assert many["latency"][0] == pytest.approx(one.latency)
        assert many["memory"][0] == pytest.approx(one.memory.total)


Run = Callable[..., Any]
TECHNIQUES = (
    "quantize{weights=int8}", "quantize{weights=int4 group=128 on=*}", "parallel{tp=2}",
    "prune{sparsity=0.5}", "fuse-attention", "fuse-elementwise", "merge-qkv", "low-rank{rank=64}",
)  # fmt: skip
MODELS = (
    "bert-base-uncased", "albert-base-v2", "modernbert-base", "t5-small", "whisper-tiny",
    "vit-base-patch16-224-in21k", "clip-vit-base-patch32",
)  # fmt: skip


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("model", MODELS)
def test_a_technique_composes(model: str, technique: str) -> None:
    on = "l4:2" if technique.startswith("parallel") else "l4"
    found = ms.analyze(model, on=on, techniques=[technique])
    assert all(phase.time_s > 0 for phase in found.phases.values())


def test_tensor_parallelism_halves_an_encoders_matrices() -> None:
    one, two = (ms.analyze("bert-base-uncased", on=on, level="O0") for on in ("l4", "l4:2"))
    assert two.op("layers.up_proj").flops * 2 == one.op("layers.up_proj").flops
    assert two.op("layers.scores").flops * 2 == one.op("layers.scores").flops


def test_the_command_line_takes_images_and_says_what_they_are(run: Run) -> None:
    shown = run("analyze", "qwen2.5-vl-7b-instruct", "--on", "h100-sxm", "--set", "input.images=4")
    assert shown.code == 0
    assert "Prefill" in shown.out
    assert "1 × 6144 tokens" in shown.out
    assert "4 images, each of 896x896 pixels" in shown.err
    refused = run("analyze", "bert-base-uncased", "--on", "l4", "--set", "input.images=1")
    assert refused.code == 2
    assert "takes no images" in refused.err


def test_models_show_counts_every_stack(run: Run) -> None:
    shown = run("models", "show", "whisper-large-v3", "--format", "json")
    assert json.loads(shown.out)["params"] == 1_543_490_560


def test_a_frontend_without_inputs_says_so(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MansardError, match="takes no inputs"):
        ms.load(tmp_path / "model.onnx", set={"input.images": 1})


def test_a_sweep_varies_the_images() -> None:
    model, on = "qwen2.5-vl-7b-instruct", "h100-sxm"
    rows = ms.study(model, on=on).sweep({"input.images": "1,4"}).rows
    times = [ms.analyze(model, on=on, set={"input.images": n}).ttft for n in (1, 4)]
    assert [row["ttft_s"] for row in rows] == pytest.approx(times)


def test_facts_of_every_stack_say_where_they_were_read() -> None:
    facts = ms.load("whisper-large-v3").origin.facts
    assert facts["encoder.encoder_layers"] == ("32", "encoder_layers in whisper-large-v3")
    facts = ms.load("llava-1.5-7b").origin.facts
    assert facts["vision.patch_size"][0] == "14"


def test_more_tokens_than_a_decoder_has_positions_for_is_noted() -> None:
    found = ms.analyze("whisper-tiny", on="l4", output=1000)
    assert "a sequence reaches 1,004 tokens; the model was made for 448" in {
        n.message for n in found.notes
    }


def test_a_batch_asked_of_a_graph_of_fixed_sizes_is_said_to_change_nothing(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 8]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", sides[:1], sides[1:])
    file = tmp_path / "fixed.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
    assert "M009" not in {note.code for note in ms.analyze(file, on="l4").notes}
    (note,) = (n for n in ms.analyze(file, on="l4", batch=64).notes if n.code == "M009")
    assert "batch 64 changes nothing" in note.message

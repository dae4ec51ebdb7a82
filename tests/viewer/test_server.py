"""The JSON a page asks for, and what hostile requests get."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import mansard as ms
from mansard.serve.answers import Answers
from mansard.serve.guard import POLICY, Limits

JSON = {"content-type": "application/json"}


def ask(client: Any, path: str, body: Any, **headers: str) -> Any:
    """Post a question."""
    return client.post(f"/api/{path}", content=json.dumps(body), headers=JSON | headers)


SCENARIOS: list[dict[str, Any]] = [
    {"model": "qwen2.5-0.5b", "on": "h100-sxm"},
    {"model": "llama-3.1-8b", "on": "l40s", "batch": 8, "prompt": "4k",
     "techniques": ["quantize:weights=int4"]},
    {"model": "llama-3.1-8b", "on": "h100-sxm:2", "phase": "decode", "context": 8192},
    {"model": "mixtral-8x7b", "on": "mi300x", "level": "O0", "output": 1},
    {"model": "qwen2.5-0.5b", "on": "h100-sxm", "set": {"hardware.memory.bandwidth": "4TB/s"}},
]  # fmt: skip


@pytest.mark.parametrize("asked", SCENARIOS, ids=lambda q: f"{q['model']} {q['on']}")
def test_an_answer_is_the_document_of_the_command_line(client: Any, asked: dict[str, Any]) -> None:
    told = ask(client, "analyze", {"question": asked}).json()
    keywords = {"prompt": 4096 if asked.get("prompt") == "4k" else asked.get("prompt")}
    model, same = asked["model"], {**asked, **keywords}
    same.pop("model")
    assert told["result"] == json.loads(json.dumps(ms.analyze(model, **same).to_dict()))


def test_every_row_has_a_node_of_the_graph(client: Any) -> None:
    asked = {"model": "deepseek-v3", "on": "h100-sxm:8", "techniques": ["quantize:weights=int4"]}
    told = ask(client, "analyze", {"question": asked}).json()
    keys = {n.get("row") for g in told["drawing"]["graphs"].values() for n in g["nodes"]}
    for phase, rows in told["rows"].items():
        assert len(rows) == len(told["result"]["phases"][phase]["ops"])
        assert {key for key, _, _ in rows} <= keys


def test_a_graph_that_is_known_is_not_sent_again(client: Any, question: dict[str, Any]) -> None:
    first = ask(client, "analyze", {"question": question}).json()
    again = ask(client, "analyze", {"question": question | {"batch": 5}, "known": [first["graph"]]})
    assert again.json()["graph"] == first["graph"]
    assert "drawing" not in again.json()
    assert len(json.dumps(again.json()["result"])) < 30_000


def test_passes_say_the_figures_and_the_graph_after_each(
    client: Any, question: dict[str, Any]
) -> None:
    asked = question | {"techniques": ["quantize:weights=int4"], "on": "h100-sxm"}
    told = ask(client, "passes", {"question": asked}).json()
    stages = told["stages"]
    assert [s["title"] for s in stages][:2] == ["as loaded", "quantize{weights=int4}"]
    assert stages[1]["memory"]["weights"] < stages[0]["memory"]["weights"]
    assert {s["graph"] for s in stages} == set(told["drawings"])


def test_compare_answers_each_question_or_says_why_not(
    client: Any, question: dict[str, Any]
) -> None:
    questions = [question, question | {"on": "l40s"}, question | {"model": "no-such"}]
    told = ask(client, "compare", {"questions": questions}).json()
    assert [p is None for p in told["problems"]] == [True, True, False]
    assert told["records"][1]["tpot_s"] > told["records"][0]["tpot_s"]
    assert told["best"]["tpot_s"] == [True, False, False]


def test_a_sweep_gives_columns_and_the_front(client: Any, question: dict[str, Any]) -> None:
    axes = {"batch": "1..64x2", "prompt": "1k,4k"}
    body = {"question": question, "axes": axes, "pareto": ["throughput", "tpot"]}
    told = ask(client, "sweep", body).json()
    assert len(told["columns"]["tpot_s"]) == 14
    best = max(told["columns"]["throughput_tok_s"])
    assert best in {told["columns"]["throughput_tok_s"][k] for k in told["front"]}


def test_the_page_is_told_every_technique_with_its_options(client: Any) -> None:
    boot = client.get("/api/boot").json()
    quantize = next(t for t in boot["techniques"] if t["name"] == "quantize")
    assert {"weights", "kv"} <= {o["name"] for o in quantize["options"]}
    assert any(m["name"] == "llama-3.1-8b" for m in boot["models"])
    assert any(c["id"] == "h100-sxm" for c in boot["chips"])


def test_a_chip_comes_with_its_sources(client: Any) -> None:
    told = client.get("/api/chip", params={"name": "h100-sxm"}).json()
    assert any(row["source"] for row in told["figures"])


def test_a_config_dropped_on_the_page_is_a_model_and_its_name_is_text(client: Any) -> None:
    name = '<img src=x onerror="alert(1)">.json'
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 128, "vocab_size": 256, "torch_dtype": "bfloat16",
    }  # fmt: skip
    response = client.post("/api/upload", params={"name": name}, content=json.dumps(config),
                           headers={"content-type": "application/octet-stream"})  # fmt: skip
    assert response.json()["name"] == name
    asked = {"model": response.json()["model"], "on": "h100-sxm"}
    answer = ask(client, "analyze", {"question": asked})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["result"]["model"]["params"] > 0


def test_an_onnx_file_dropped_on_the_page_is_read_in_memory(client: Any) -> None:
    from tests.viewer.small_onnx import two_layers

    response = client.post("/api/upload", params={"name": "net.onnx"}, content=two_layers(),
                           headers={"content-type": "application/octet-stream"})  # fmt: skip
    told = response.json()
    assert told["name"] == "net"
    answer = ask(client, "analyze", {"question": {"model": told["model"], "on": "h100-sxm"}}).json()
    (phase,) = answer["result"]["phases"].values()
    assert sum(op["flops"] * op["count"] for op in phase["ops"] if op["kind"] == "linear") > 0


def test_a_dropped_graph_is_read_in_the_way_the_question_says(client: Any) -> None:
    from tests.viewer.small_onnx import normalised

    kind = {"content-type": "application/octet-stream"}
    told = client.post("/api/upload", params={"name": "net.onnx", "raw": "true"},
                       content=normalised(), headers=kind).json()  # fmt: skip
    asked = {"model": told["model"], "on": "h100-sxm"}

    def kinds(**changed: str) -> set[str]:
        question = asked | {"set": {k.replace("_", ".", 1): v for k, v in changed.items()}}
        result = ask(client, "analyze", {"question": question}).json()["result"]
        (phase,) = result["phases"].values()
        return {op["kind"] for op in phase["ops"]}

    assert "rms_norm" in kinds()
    assert "rms_norm" not in kinds(graph_raw="true")
    refused = ask(client, "analyze", {"question": asked | {"set": {"graph.branch": "X=else"}}})
    assert "no If of this file" in refused.json()["error"]
    sized = ask(client, "analyze", {"question": asked | {"set": {"model.batch": "64"}}})
    assert sized.status_code == 200


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "config.json"), (b"{", "config.json"), (b"[]", "config.json"), (b"\xff", "c.json"),
        (b'{"model_type": "no-such"}', "config.json"), (b"x" * 50, "model.bin"),
        (b"\x08\x99\x99\x99", "model.onnx"), (b"text", "model.onnx"), (b"", "model.onnx"),
        (b"[" * 100_000, "config.json"), (b"{}", "../../etc/passwd"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_model_is_refused_in_words(client: Any, data: bytes, name: str) -> None:
    response = client.post("/api/upload", params={"name": name}, content=data,
                           headers={"content-type": "application/octet-stream"})  # fmt: skip
    assert response.status_code == 422
    assert response.json()["error"]


def test_a_config_that_is_refused_is_called_by_its_file(client: Any) -> None:
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": -1,
        "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 256,
        "intermediate_size": 128,
    }  # fmt: skip
    response = client.post("/api/upload", params={"name": "mine.json"}, content=json.dumps(config),
                           headers={"content-type": "application/octet-stream"})  # fmt: skip
    assert response.json() == {
        "error": "mine.json: hidden_size is -1",
        "hint": "hidden_size must be a whole number of at least 1",
    }


def test_an_error_says_the_name_that_was_given_and_where_all_are(
    client: Any, question: dict[str, Any]
) -> None:
    from mansard.frontends.hf import bundled
    from mansard.query.named import chip_names, plugin_models

    def said(**wrong: Any) -> str:
        answer = ask(client, "analyze", {"question": question | wrong}).json()
        return f"{answer['error']}: {answer['hint']}"

    assert "h100-sxm:0" in said(on="h100-sxm:0")
    assert "did you mean 'h100-sxm'" in said(on="h100-sxmm")
    assert f"{len(chip_names())} exist (the page Hardware" in said(on="zzzzzzzz")
    assert "did you mean 'llama-3.1-8b'" in said(model="llama-3.1-8")
    technique = "speculative-decode:draft=zzzzzzzz"
    assert "(the list under Model" in said(techniques=[technique])
    models = len(bundled.names()) + len(plugin_models())
    assert f"{models} exist (the list under Model" in said(model="zzzzzzzz")


@pytest.mark.parametrize("where", ["/etc/passwd", "../../../etc/passwd", "C:\\x", "weights.bin"])
def test_an_upload_makes_the_server_read_no_file(client: Any, where: str) -> None:
    import sys

    from tests.viewer.small_onnx import data_elsewhere

    opened: list[str] = []
    watching = True

    def hook(event: str, given: Any) -> None:
        if watching and event == "open" and isinstance(given[0], str):
            opened.append(given[0])

    sys.addaudithook(hook)
    response = client.post("/api/upload", params={"name": "m.onnx"}, content=data_elsewhere(where),
                           headers={"content-type": "application/octet-stream"})  # fmt: skip
    watching = False
    assert response.status_code == (200 if where == "weights.bin" else 422)
    assert [name for name in opened if name.endswith(("passwd", "weights.bin", "x"))] == []


HOSTILE: list[dict[str, Any]] = [
    {"model": "/etc/passwd"}, {"model": "../../../etc/hosts.json"}, {"model": "~/config.json"},
    {"model": "upload:0000"}, {"on": "/etc/passwd.toml"}, {"on": "x.toml"},
    {"prompt": "/etc/lengths.csv"}, {"output": " ~/x.CSV "}, {"on": "h100-sxm:0"},
    {"on": "h100-sxm:1:2:3"}, {"on": "h100-sxm:1/2"}, {"on": "h100-sxm:../x.toml"},
    {"batch": -1}, {"batch": 10**30}, {"batch": "1e9999"},
    {"batch": [1]}, {"techniques": ["quantize{"]}, {"techniques": ["no-such"]},
    {"techniques": [{"name": 3}]}, {"techniques": ["quantize"] * 41},
    {"techniques": ["speculative-decode:draft=/etc/passwd"]},
    {"techniques": "x" * 3000}, {"set": {"model": {"a": {"b": 1}}}},
    {"set": {"calibration": "/etc/passwd"}}, {"set": {"__class__": "x"}},
    {"set": 5}, {"level": "O9"}, {"estimate": "none"}, {"price": "lots"}, {"nonsense": 1},
    {"phase": "<script>"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", HOSTILE, ids=lambda w: json.dumps(w)[:40])
def test_a_question_that_makes_no_sense_is_refused_in_words(
    client: Any, question: dict[str, Any], wrong: dict[str, Any]
) -> None:
    response = ask(client, "analyze", {"question": question | wrong})
    assert response.status_code == 422
    assert response.json()["error"]
    assert "root:" not in response.text


def test_what_is_solved_without_a_limit_is_refused_in_the_words_of_the_page(
    client: Any, question: dict[str, Any]
) -> None:
    for conditions in ([], ["tpot <= <b>"]):
        asked = {"question": question, "find": "batch", "goal": "maximize"}
        response = ask(client, "solve", asked | {"conditions": conditions})
        assert response.status_code == 422
        assert "--" not in response.text
        assert "tpot <= 25ms" in response.json()["hint"]


def test_a_sweep_may_not_name_what_a_question_may_not(
    client: Any, question: dict[str, Any]
) -> None:
    for axes in ({"model": "/etc/passwd,x"}, {"on": "/etc/x.toml"}, {"batch": "1..1000000"},
                 {"speculative-decode.draft": "/etc/passwd"}):  # fmt: skip
        response = ask(client, "sweep", {"question": question, "axes": axes})
        assert response.status_code == 422


def test_another_host_or_origin_is_refused(client: Any, question: dict[str, Any]) -> None:
    body = {"question": question}
    assert ask(client, "analyze", body, host="evil.example").status_code == 421
    assert ask(client, "analyze", body, host="127.0.0.1.evil.example:8765").status_code == 421
    assert ask(client, "analyze", body, origin="http://evil.example").status_code == 403
    assert ask(client, "analyze", body, origin="null").status_code == 403
    crossed = {"sec-fetch-site": "cross-site"}
    assert ask(client, "analyze", body, **crossed).status_code == 403
    assert client.get("/api/boot", headers={"host": "evil.example"}).status_code == 421
    own = ask(client, "analyze", body, host="localhost:8765", origin="http://localhost:8765")
    assert own.status_code == 200


def test_what_a_form_of_another_site_can_send_is_refused(
    client: Any, question: dict[str, Any]
) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = client.post("/api/analyze", content=json.dumps({"question": question}),
                               headers={"content-type": kind})  # fmt: skip
        assert response.status_code == 415


def test_bodies_have_a_cap_whether_or_not_they_say_their_length() -> None:
    testing = pytest.importorskip("starlette.testclient")
    from mansard.serve.app import make_app

    small = make_app(limits=Limits(body_bytes=1000, upload_bytes=2000))
    with testing.TestClient(small, base_url="http://localhost") as asked:
        long = json.dumps({"question": {"model": "x" * 5000}})
        assert asked.post("/api/analyze", content=long, headers=JSON).status_code == 413
        pieces = iter([b"x" * 600] * 9)
        assert asked.post("/api/analyze", content=pieces, headers=JSON).status_code == 413
        kind = {"content-type": "application/octet-stream"}
        pieces = iter([b"x" * 900] * 9)
        assert asked.post("/api/upload", content=pieces, headers=kind).status_code == 413


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    pytest.importorskip("starlette", reason="the extra `serve` is not installed")
    import asyncio

    from mansard.serve.app import make_app

    sent: list[dict[str, Any]] = []
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        if pieces:
            return pieces.pop()
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/analyze", "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }  # fmt: skip
    asyncio.run(make_app(limits=Limits(seconds=0.2))(scope, receive, send))
    assert sent[0]["status"] == 408


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"[" * 200_000, b"\xff\xfe"])
def test_a_body_that_is_no_object_is_refused(client: Any, body: bytes) -> None:
    assert client.post("/api/analyze", content=body, headers=JSON).status_code == 400


def test_a_question_that_takes_too_long_is_given_up_and_the_next_is_answered(
    question: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    testing = pytest.importorskip("starlette.testclient")
    from mansard.serve.app import make_app

    monkeypatch.setattr(Answers, "passes", lambda self, body: time.sleep(1.5))
    app = make_app(limits=Limits(seconds=1.0))
    with testing.TestClient(app, base_url="http://localhost") as asked:
        assert ask(asked, "passes", {}).status_code == 503
        assert (
            ask(asked, "sweep", {"question": question, "axes": {"no-such": "1"}}).status_code == 422
        )


def test_only_the_files_of_the_page_are_served(client: Any) -> None:
    for path in ("/../app.py", "/%2e%2e/__init__.py", "/page/package.json", "/.env", "/a/b"):
        assert client.get(path).status_code == 404


def test_every_answer_forbids_what_a_page_does_not_need(client: Any) -> None:
    for path in ("/", "/api/boot", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert "unsafe" not in POLICY
        assert headers["x-frame-options"] == "DENY"


def test_two_hundred_clients_sweep_at_once(client: Any, question: dict[str, Any]) -> None:
    body = {"question": question, "axes": {"batch": "1,2,4"}}

    def one(_: int) -> int:
        return int(ask(client, "sweep", body).status_code)

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(one, range(200))) == {200}


def test_old_uploads_make_room_for_new_ones(tmp_path: Path) -> None:
    from mansard.serve.names import MOST_UPLOADS, Names

    names = Names()
    kept = [names.keep(bytes([k]), {}) for k in range(MOST_UPLOADS + 1)]
    assert names.uploads == tuple(kept[1:])
    with pytest.raises(ms.MansardError, match="no longer kept"):
        names.model(kept[0])

"""``mansard serve`` and ``mansard report`` as commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import mansard as ms
from mansard.cli import main
from mansard.serve.bundle import TYPES, files
from mansard.serve.report import report_page


def test_another_address_needs_to_be_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "--port 0" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once_and_wait_for_no_acknowledgement(host: str) -> None:
    import asyncio
    import socket

    from mansard.cli.serve import _listen

    async def undelayed() -> bool:
        listening = _listen(host, 0)
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def seen(_: Any, writer: asyncio.StreamWriter) -> None:
            connected = writer.get_extra_info("socket")
            taken.set_result(bool(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        async with await asyncio.start_server(seen, sock=listening):
            _, writer = await asyncio.open_connection(host, listening.getsockname()[1])
            found = await taken
            writer.close()
            await writer.wait_closed()
            return found

    if not socket.has_ipv6 and ":" in host:
        pytest.skip("this machine has no IPv6")
    assert asyncio.run(undelayed())


def test_serve_prints_its_address_answers_there_and_knows_its_name(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
    chip = tmp_path / "mine.toml"
    chip.write_text(
        'id = "mine"\n[memory]\ncapacity = "10GB"\nbandwidth = "1TB/s"\n'
        '[peak.matrix]\nbf16 = "100TFLOPS"\n'
    )
    command = [sys.executable, "-m", "mansard", "serve", "qwen2.5-0.5b", "--on", str(chip)]
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert address
            with urllib.request.urlopen(f"{address[0]}api/boot", timeout=60) as answer:
                boot: dict[str, Any] = json.load(answer)
            assert boot["start"] == {"model": "qwen2.5-0.5b", "on": "mine"}  # sizes: the defaults
            assert any(c["id"] == "mine" for c in boot["chips"])
            body = json.dumps({"question": boot["start"]}).encode()
            kind = {"content-type": "application/json"}
            asked = urllib.request.Request(f"{address[0]}api/analyze", body, kind)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                assert json.load(answer)["result"]["hardware"]["name"] == "mine"
            stranger = urllib.request.Request(address[0], headers={"host": "evil.example"})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(stranger, timeout=60)
            assert refused.value.code == 421
            refused.value.close()
        finally:
            server.terminate()


def test_the_built_page_is_there_and_loads_nothing_from_elsewhere() -> None:
    found = files()
    assert {"index.html", "app.js", "app.css", "worker.js", "licences.txt"} <= set(found)
    assert {name.rpartition(".")[2] for name in found} <= set(TYPES)
    page = found["index.html"].decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert "MIT" in found["licences.txt"].decode()
    for name in ("index.html", "app.css"):
        assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?https?:", found[name].decode()) == []


def test_a_report_holds_its_answers_and_no_name_ends_its_data() -> None:
    from dataclasses import replace

    answer = ms.analyze("qwen2.5-0.5b", on="h100-sxm")
    name = "</script><img src=x onerror=alert(1)>"
    hostile = replace(answer, model=replace(answer.model, name=name))
    asked = {"model": "qwen2.5-0.5b", "on": "h100-sxm"}
    page = report_page([(name, asked, hostile)], title=name)
    assert "<img" not in page
    data = re.search(r'id="mansard-data">(.*?)</script>', page, re.S)
    assert data
    held = json.loads(data[1])["held"]
    result = held[0]["told"]["result"]
    for phase in result["phases"].values():  # their keys stand once
        columns = phase["ops"]["columns"]
        phase["ops"] = [dict(zip(columns, row, strict=False)) for row in phase["ops"]["rows"]]
    assert result == json.loads(json.dumps(hostile.to_dict()))
    assert held[0]["label"] == name
    assert "https://" not in page.partition('id="mansard-data"')[0].partition("<style>")[0]


def test_a_report_that_cannot_be_written_or_holds_too_much_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "gpt2", "--on", "h100-sxm", "-o", str(tmp_path)]) == 2
    many = ",".join(f"h100-sxm:{n}" for n in range(1, 30))
    assert main(["report", "gpt2", "--on", many, "-o", str(tmp_path / "r.html")]) == 2
    assert "29 scenarios" in capsys.readouterr().err

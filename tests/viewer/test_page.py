"""The page in a real browser: what it shows, that it can be used without a mouse or eyes."""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import mansard as ms

ROOT = Path(__file__).parents[2]
AXE = ROOT / "plugins/viewer/page/node_modules/axe-core/axe.min.js"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PAGES = ("explore", "compare", "sweep", "passes", "hardware", "what-if")
START = {"model": "llama-3.1-8b", "on": "h100-sxm", "batch": 16}
WAIT_MS = 60_000

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server on this machine, in a thread."""
    uvicorn = pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
    from mansard.serve.app import make_app

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(make_app(start=START), log_level="error", access_log=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that asks nobody anything."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as started:
        found = started.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield found
        found.close()


class Sight:
    """A page of the browser with what it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[str] = []
        self.said: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda r: self.asked.append(r.url))
        page.on("pageerror", lambda e: self.said.append(str(e)))
        page.on("console", lambda m: self.said.append(m.text) if m.type == "error" else None)

    def open(self, url: str) -> Sight:
        """Go to an address and wait for an answer."""
        self.page.goto("about:blank")
        self.asked.clear()
        self.page.goto(url)
        self.page.wait_for_selector("html[data-rev]")
        return self

    def after(self, act: Any) -> Sight:
        """Do something and wait until what follows is on the page."""
        before = self.page.evaluate("document.documentElement.dataset.rev")
        act()
        changed = "rev => document.documentElement.dataset.rev !== rev"
        self.page.wait_for_function(changed, arg=before)
        self.page.wait_for_selector("main[aria-busy=false]")
        return self

    def figure(self, name: str) -> float:
        """Return a metric of the page's head, unrounded."""
        return float(self.page.get_attribute(f".headline [data-metric={name}]", "data-value"))


@pytest.fixture
def sight(browser: Any) -> Iterator[Sight]:
    """A fresh page."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield Sight(context.new_page())
    context.close()


SCENARIOS: list[tuple[str, dict[str, Any]]] = [
    ("model=llama-3.1-8b&on=h100-sxm", {"model": "llama-3.1-8b", "on": "h100-sxm"}),
    ("model=llama-3.1-8b&on=l40s&batch=8&t=quantize%3Aweights%3Dint4",
     {"model": "llama-3.1-8b", "on": "l40s", "batch": 8, "techniques": ["quantize:weights=int4"]}),
    ("model=mixtral-8x7b&on=h100-sxm%3A2&prompt=1024&output=32",
     {"model": "mixtral-8x7b", "on": "h100-sxm:2", "prompt": 1024, "output": 32}),
    ("model=deepseek-v3&on=h200-sxm%3A8&batch=32",
     {"model": "deepseek-v3", "on": "h200-sxm:8", "batch": 32}),
    ("model=qwen2.5-0.5b&on=mi300x&level=O0&set.hardware.memory.bandwidth=4TB%2Fs",
     {"model": "qwen2.5-0.5b", "on": "mi300x", "level": "O0",
      "set": {"hardware.memory.bandwidth": "4TB/s"}}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "asked"), SCENARIOS, ids=lambda v: str(v)[:40])
def test_every_figure_is_the_command_lines(
    sight: Sight, address: str, query: str, asked: dict[str, Any]
) -> None:
    sight.open(f"{address}#/explore?{query}")
    options = dict(asked)
    known = ms.analyze(options.pop("model"), **options).to_dict()
    for name in ("ttft_s", "tpot_s", "latency_s", "throughput_tok_s"):
        assert sight.figure(name) == known["metrics"][name]
    assert sight.figure("memory") == known["memory"]["total"]
    sight.page.click("[data-twin$=-graph]")
    rows = sight.page.locator("[data-card$=-graph] tbody tr").all_inner_texts()
    assert [r.split("\t")[0].strip() for r in rows] == [
        op["name"] for op in known["phases"]["decode"]["ops"]
    ]
    assert sight.said == []


def test_a_calibrated_estimate_shows_its_band(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=llama-3.1-8b&on=h100-sxm&estimate=calibrated")
    known = ms.analyze("llama-3.1-8b", on="h100-sxm", estimate="calibrated").to_dict()
    assert sight.figure("tpot_s") == known["metrics"]["tpot_s"]
    assert " to " in sight.page.inner_text("[data-band=tpot_s]")
    assert known["basis"][0]["set"] in sight.page.inner_text("main")
    said = sight.page.inner_text("[data-ideal=tpot_s]")
    assert said.startswith(f"{known['ratio']['tpot_s']:.2f} × the bound")
    bars = sight.page.locator("[data-card$=-breakdown] .bar")
    assert sight.page.locator("[data-card$=-breakdown] .ideal").count() >= bars.count() - 1
    assert "the bound alone" in sight.page.inner_text("[data-card$=-breakdown]")


def test_the_figures_of_the_head_say_how_they_come_about(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm&batch=4&output=32")
    sight.page.click(".headline .why summary")
    said = sight.page.inner_text(".headline .formulas")
    assert "TTFT + (32 − 1) × TPOT" in said
    assert "batch 4 × 32 tokens ÷ latency" in said
    assert "KV cache" in said


def test_it_asks_its_own_server_few_times_and_nobody_else(sight: Sight, address: str) -> None:
    sight.open(address)
    assert len(sight.asked) <= 10
    assert [u for u in sight.asked if not u.startswith((address, "data:"))] == []


def test_a_slider_asks_anew_and_the_address_has_it(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=llama-3.1-8b&on=h100-sxm&batch=16")
    before = sight.figure("tpot_s")
    placed = sight.page.locator("[data-node='layers/layers.attention']").get_attribute("transform")
    sight.after(lambda: sight.page.locator("#batch").press("ArrowRight"))
    assert sight.figure("tpot_s") > before
    sight.page.wait_for_url("**batch=32**")
    node = sight.page.locator("[data-node='layers/layers.attention']")
    assert node.get_attribute("transform") == placed
    assert sight.figure("tpot_s") == ms.analyze("llama-3.1-8b", on="h100-sxm", batch=32).tpot


@pytest.mark.parametrize("batch", [1, 16])
def test_the_largest_dots_are_named_though_they_lie_on_one_another(
    sight: Sight, address: str, batch: int
) -> None:
    sight.open(f"{address}#/explore?model=llama-3.1-8b&on=h100-sxm&batch={batch}")
    phase = ms.analyze("llama-3.1-8b", on="h100-sxm", batch=batch).phases["decode"]
    largest = sorted(phase.ops, key=lambda op: -op.time_s * op.count)[:6]
    labels = sight.page.locator("[data-testid=roofline] text.label").all_text_contents()
    assert set(labels) == {op.name.rpartition(".")[2] for op in largest}
    assert "lm_head" in labels


def test_an_operator_is_chosen_by_mouse_or_keyboard_and_explains_itself(
    sight: Sight, address: str
) -> None:
    sight.open(address)
    sight.page.click(".graph [data-op='layers.attention']")
    assert sight.page.inner_text("#detail-name") == "layers.attention"
    sight.page.locator(".graph [data-op='lm_head']").focus()
    sight.page.keyboard.press("Enter")
    assert sight.page.inner_text("#detail-name") == "lm_head"
    sight.page.click(".detail .why summary")
    assert "1050673152*R" in sight.page.inner_text(".detail .formulas")
    assert "Kaplan 2020" in sight.page.inner_text(".detail .why")
    sight.page.focus("#tab-decode")
    sight.page.keyboard.press("ArrowLeft")
    assert sight.page.get_attribute("#tab-prefill", "aria-selected") == "true"


def _tab_to(sight: Sight, selector: str, most: int = 400) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(most):
        sight.page.keyboard.press("Tab")
        if sight.page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
            return
    raise AssertionError(f"{selector} is not reached by keyboard")


def test_a_scenario_is_set_looked_at_and_saved_without_a_mouse(sight: Sight, address: str) -> None:
    keys = sight.page.keyboard
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm")
    _tab_to(sight, ".skip")
    keys.press("Enter")
    assert sight.page.evaluate("document.activeElement.id") == "main"
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm")
    before = sight.figure("tpot_s")
    _tab_to(sight, "#batch")
    sight.after(lambda: keys.press("ArrowRight"))
    assert sight.figure("tpot_s") > before
    _tab_to(sight, "#add-technique")
    keys.type("page-kv")
    assert sight.page.locator(".techniques li").count() == 0  # turning a list chooses nothing
    keys.press("Tab")
    sight.after(lambda: keys.press("Enter"))
    assert sight.page.locator(".techniques li").count() == 1
    _tab_to(sight, "[role=tab][aria-selected=true]")
    keys.press("ArrowLeft")
    assert sight.page.get_attribute("#tab-prefill", "aria-selected") == "true"
    _tab_to(sight, ".graph [data-op=lm_head]")
    keys.press("Space")
    assert sight.page.inner_text("#detail-name") == "lm_head"
    _tab_to(sight, ".detail .why summary")
    keys.press("Enter")
    assert sight.page.locator(".detail .formulas").is_visible()
    _tab_to(sight, ".dot")
    keys.press("Enter")
    assert sight.page.locator(".dot.chosen").count() == 1
    _tab_to(sight, "[data-card$=-breakdown] .save summary")
    keys.press("Enter")
    with sight.page.expect_download() as download:
        _tab_to(sight, "[data-card$=-breakdown] .menu button:last-child", 4)
        keys.press("Enter")
    assert Path(download.value.path()).read_text().startswith("name,count")


@pytest.mark.parametrize("page", PAGES)
def test_the_tab_key_comes_round_every_page_and_shows_where_it_is(
    sight: Sight, address: str, page: str
) -> None:
    sight.open(f"{address}#/{page}?model=qwen2.5-0.5b&on=h100-sxm")
    sight.page.wait_for_selector("main table.data, main svg.figure")
    seen: list[str] = []
    for _ in range(900):
        sight.page.keyboard.press("Tab")
        where = sight.page.evaluate(
            """() => {
              const at = document.activeElement;
              if (!at || at === document.body) return null;
              const style = getComputedStyle(at), inner = at.querySelector?.("rect");
              const shown = style.outlineStyle !== "none" || style.strokeWidth === "3.5px"
                || (inner && parseFloat(getComputedStyle(inner).strokeWidth) >= 1);
              const name = at.getAttribute("aria-label") ?? at.textContent.slice(0, 40);
              return [at.tagName, at.id, name, shown ? "" : "not shown"].join(" ");
            }"""
        )
        if where is None:
            break
        seen.append(where)
    else:
        raise AssertionError(f"the focus never leaves the page: {seen[-3:]}")
    assert len(seen) > 25
    assert [s for s in seen if s.endswith("not shown")] == []


DROP = """async ([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([bytes], name));
  document.querySelector("main").dispatchEvent(
    new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true }));
}"""


def test_files_dropped_onto_the_page_become_the_model(sight: Sight, address: str) -> None:
    from base64 import b64encode

    from tests.viewer.small_onnx import two_layers

    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 128, "vocab_size": 256, "_name_or_path": "tiny",
    }  # fmt: skip
    files = (
        ("config.json", json.dumps(config).encode(), "tiny"),
        ("net.onnx", two_layers(), "net"),
    )
    sight.open(address)
    for name, data, shown in files:
        dropped = [name, b64encode(data).decode()]
        sight.after(lambda dropped=dropped: sight.page.evaluate(DROP, dropped))
        assert shown in sight.page.inner_text(".headline h1")
    sight.page.evaluate(DROP, ["notes.txt", b64encode(b"hello").decode()])
    sight.page.wait_for_selector("#upload-said:has-text('neither a config nor an ONNX model')")
    assert "net" in sight.page.inner_text(".headline h1")
    wrong = json.dumps(config | {"num_hidden_layers": 10**9}).encode()
    sight.page.evaluate(DROP, ["mine.json", b64encode(wrong).decode()])
    sight.page.wait_for_selector("#upload-said:has-text('must be at most 10000')")
    assert sight.page.inner_text("#upload-said").startswith("mine.json: num_hidden_layers")


def test_a_graph_is_read_as_written_where_the_box_says_so(sight: Sight, address: str) -> None:
    from base64 import b64encode

    from tests.viewer.small_onnx import normalised

    sight.open(address)
    sight.page.check("#raw")
    net = ["net.onnx", b64encode(normalised()).decode()]
    sight.after(lambda: sight.page.evaluate(DROP, net))
    sight.page.wait_for_function("() => location.hash.includes('set.graph.raw=true')")
    sight.page.click("[data-twin$=-graph]")
    rows = "[data-card$=-graph] tbody tr"
    raw = sight.page.locator(rows).all_inner_texts()
    sight.after(lambda: sight.page.uncheck("#raw"))
    assert sight.page.locator(rows).all_inner_texts() != raw
    sight.after(lambda: sight.page.select_option("#model", "qwen2.5-0.5b"))
    sight.page.wait_for_function("() => !location.hash.includes('graph.raw')")


def test_what_makes_no_tokens_shows_its_total_and_what_it_makes(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=bert-base-uncased&on=h100-sxm&batch=4")
    known = ms.analyze("bert-base-uncased", on="h100-sxm", batch=4)
    assert sight.figure("latency_s") == known.latency
    assert sight.figure("throughput_tok_s") == known.throughput
    assert "sequences/s" in sight.page.inner_text(".headline")
    assert "tok/s" not in sight.page.inner_text(".headline")


def test_the_heading_names_the_distribution_of_lengths(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm&prompt=lognormal(2k%2C0.8)")
    assert "prompt lognormal(2k, 0.8), mean 2,820" in sight.page.inner_text(".headline h1")


def test_what_is_said_on_the_page_names_its_controls(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=llama-3.1-8b&on=h100-sxm&set.framework=vllm")
    said = sight.page.inner_text("[role=alert]")
    assert "Estimate: calibrated" in said
    assert "--estimate" not in said
    sight.open(f"{address}#/explore?model=dit-xl-2-256&on=h100-sxm")
    notes = sight.page.inner_text("details.warnings ul") or sight.page.text_content(
        "details.warnings ul")  # fmt: skip
    assert "Overrides: model.denoiser_alone=1" in notes
    assert "--set" not in notes


def test_the_address_that_is_copied_shows_the_same_to_whoever_opens_it(
    browser: Any, address: str
) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    first, second = Sight(context.new_page()), Sight(context.new_page())
    first.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm")
    first.after(lambda: first.page.locator("#batch").press("ArrowRight"))
    first.page.click("text=Copy link")
    copied = first.page.evaluate("navigator.clipboard.readText()")
    second.open(copied)
    assert "batch=2" in copied
    assert second.figure("tpot_s") == first.figure("tpot_s")
    first.page.click("#copy-command")
    command = first.page.evaluate("navigator.clipboard.readText()")
    assert command == "mansard analyze qwen2.5-0.5b --on h100-sxm -b 2"
    context.close()


def test_repeats_close_and_open(sight: Sight, address: str) -> None:
    sight.open(address)
    many = sight.page.locator("[data-node]").count()
    sight.page.locator("[data-fold]").first.press("Enter")
    assert sight.page.locator("[data-node]").count() < many
    sight.page.locator("[data-node='layers']").press("Enter")
    assert sight.page.locator("[data-node]").count() == many


def test_a_technique_is_added_with_options_from_its_fields(sight: Sight, address: str) -> None:
    sight.open(address)
    before = sight.figure("memory")
    sight.after(lambda: sight.page.select_option("#q-weights", "int4"))
    assert sight.figure("memory") < before
    assert "quantize" in sight.page.inner_text(".techniques")
    sight.page.select_option("#add-technique", "page-kv")
    sight.after(lambda: sight.page.click("#add"))
    assert sight.page.locator(".techniques li").count() == 2


def test_a_technique_that_cannot_be_applied_is_said_and_the_old_answer_stays(
    sight: Sight, address: str
) -> None:
    sight.open(f"{address}#/explore?model=llama-3.1-8b&on=h100-sxm")
    sight.page.fill("#devices", "0")
    sight.page.press("#devices", "Enter")
    assert "no devices" in sight.page.inner_text("[role=alert]")
    assert sight.figure("tpot_s") > 0


def test_an_answer_that_is_not_of_the_scenario_is_faded_named_and_has_no_command(
    sight: Sight, address: str
) -> None:
    sight.open(f"{address}#/explore?model=llama-3.1-8b&on=h100-sxm&batch=16")
    number = sight.page.get_by_label("Batch, number")
    known = sight.figure("tpot_s")
    for wrong in ("abc", "0", "-5", "1.5"):
        number.fill(wrong)
        number.press("Enter")
        sight.page.wait_for_selector(f"#copy-command[title*='{wrong}'][aria-disabled=true]")
        assert sight.page.get_attribute("[data-stale]", "data-stale") == (
            "llama-3.1-8b --on h100-sxm -b 16"
        )
        opacity = "getComputedStyle(document.querySelector('.headline')).opacity"
        assert float(sight.page.evaluate(opacity)) < 0.5
        assert sight.page.locator("[inert] .headline").count() == 1
        assert sight.page.locator("#batch").input_value() == "4"
        assert sight.page.get_by_role("button", name="JSON", exact=True).count() == 0
    sight.page.click("#copy-command", force=True)  # a browser takes it, disabled or not
    assert "no command: batch: " in sight.page.inner_text(".said")
    number.fill("16")
    sight.after(lambda: number.press("Enter"))
    sight.page.wait_for_selector(
        "#copy-command[title='mansard analyze llama-3.1-8b --on h100-sxm -b 16']"
    )
    assert sight.page.locator("[data-stale], [inert]").count() == 0
    assert sight.figure("tpot_s") == known


@pytest.mark.parametrize("page", ["compare", "passes", "what-if"])
def test_no_page_shows_an_answer_as_that_of_a_scenario_without_one(
    sight: Sight, address: str, page: str
) -> None:
    sight.open(f"{address}#/{page}?model=qwen2.5-0.5b&on=h100-sxm&batch=4")
    sight.page.wait_for_selector("main table.data")
    number = sight.page.get_by_label("Batch, number")
    number.fill("abc")
    number.press("Enter")
    sight.page.wait_for_selector("#copy-command[title^='no command']")
    assert "abc" in sight.page.inner_text("main [role=alert], main .problem >> nth=0")
    shown = sight.page.locator("main [data-value]:not([data-value='']), main table.passes")
    assert all(shown.nth(k).evaluate("e => e.closest('[inert]') !== null")
               for k in range(shown.count()))  # fmt: skip


def test_a_sweep_that_cannot_be_made_leaves_no_map_that_looks_like_it(
    sight: Sight, address: str
) -> None:
    sight.open(f"{address}#/sweep?model=qwen2.5-0.5b&on=h100-sxm&xv=1,2&yv=1k,2k")
    sight.page.wait_for_selector("[data-card=sweep] svg")
    sight.page.fill("#xv", "int4")
    sight.page.press("#xv", "Enter")
    sight.page.wait_for_selector("#copy-command[title^='no command']")
    assert "int4" in sight.page.inner_text("[role=alert]")
    assert "batch=1,2" in sight.page.get_attribute("[data-stale]", "data-stale")
    assert sight.page.locator("[inert] [data-card=sweep]").count() == 1


def test_a_comparison_has_a_command_unless_that_must_fail(sight: Sight, address: str) -> None:
    scenario = "model=qwen2.5-0.5b&on=h100-sxm"
    for column, starts in (
        ("t=quantize{weights=nope}", "mansard compare"), ("on=nope", "no command: no hardware"),
    ):  # fmt: skip
        sight.open(f"{address}#/compare?{scenario}&with={quote(column)}")
        sight.page.wait_for_selector(f"#copy-command[title^='{starts}']")
        assert "column 2: " in sight.page.inner_text("[data-card=compare] .problem")


def test_a_size_that_is_emptied_is_its_default_again(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm&batch=4&prompt=")
    number = sight.page.get_by_label("Batch, number")
    number.fill("")
    sight.after(lambda: number.press("Enter"))
    assert number.input_value() == "1"
    assert sight.page.get_by_label("Prompt, number").input_value() == "2048"
    assert sight.figure("tpot_s") == ms.analyze("qwen2.5-0.5b", on="h100-sxm").tpot


def test_a_number_is_left_as_it_was_typed(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm")
    number = sight.page.get_by_label("Batch, number")
    number.fill("9" * 21)
    number.press("Enter")
    sight.page.wait_for_selector("[role=alert]")
    assert number.input_value() == "9" * 21


def test_an_address_of_no_page_becomes_that_of_the_one_shown(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/bogus?model=qwen2.5-0.5b&on=h100-sxm")
    sight.page.wait_for_url("**#/explore?**")
    assert sight.page.locator("nav [aria-current=page]").inner_text() == "Explore"


def test_a_step_that_makes_several_tokens_is_shown_by_the_token(sight: Sight, address: str) -> None:
    several = "speculative-decode%7Bdraft%3Dllama-3.2-1b%7D"
    scenario = "model=llama-3.1-8b&on=h100-sxm"
    for query, said in ((scenario, "a step"), (f"{scenario}&t={several}", "a token")):
        sight.open(f"{address}#/explore?{query}")
        assert said in sight.page.inner_text("#tab-decode")


def test_a_factor_that_is_none_is_said_and_turns_nothing(sight: Sight, address: str) -> None:
    for wrong in ("abc", "1e99", "-2"):
        sight.open(f"{address}#/what-if?model=qwen2.5-0.5b&on=h100-sxm&bw={wrong}")
        assert f"bw={wrong}" in sight.page.inner_text("[role=alert]")
        assert "×1" in sight.page.inner_text("output[for=k-bw]")
        assert "NaN" not in sight.page.inner_text("body")
        assert "--set" not in sight.page.get_attribute("#copy-command", "title")


def test_a_knob_turns_finely_by_the_keyboard(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/what-if?model=qwen2.5-0.5b&on=h100-sxm")
    knob = sight.page.locator("#k-bw")
    factors = []
    for key in ("ArrowRight", "ArrowRight", "PageUp"):
        sight.after(lambda key=key: knob.press(key))
        factors.append(float(sight.page.inner_text("output[for=k-bw] .quiet").lstrip("×")))
    assert 1 < factors[0] < 1.05
    assert factors[0] < factors[1] < 1.1
    assert factors[2] / factors[1] > 1.2


def test_a_name_that_looks_like_markup_is_text(sight: Sight, address: str, tmp_path: Path) -> None:
    name = '<img src=x onerror="document.title=1">'
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 128, "vocab_size": 256, "_name_or_path": name,
    }  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    sight.open(address)
    sight.after(lambda: sight.page.set_input_files("input[type=file]", str(file)))
    assert name in sight.page.inner_text(".headline h1")
    for page in PAGES:
        sight.page.click(f"nav a[href='#/{page}']")
        sight.page.wait_for_selector("main table.data, main svg.figure")
        assert sight.page.locator("img").count() == 0
        assert sight.page.title() != "1"
        assert name in sight.page.inner_text("#model")


def test_every_page_has_an_answer_and_its_command(sight: Sight, address: str) -> None:
    for page in PAGES:
        sight.open(f"{address}#/{page}")
        sight.page.wait_for_selector("main table.data, main svg.figure")
        assert sight.page.get_attribute("#copy-command", "title").startswith("mansard ")
    assert sight.said == []


def test_the_command_of_every_page_runs_and_answers_the_same(
    sight: Sight, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from shlex import split

    from mansard.cli import main
    from mansard.core.units import format_time

    asked = "model=qwen2.5-0.5b&on=h100-sxm&batch=4&t=quantize%7Bweights%3Dint4%7D"
    rest = {"what-if": "&bw=2&fb=2", "sweep": "&xv=1,2&yv=1k,2k", "compare": "&with=on%3Dl40s"}
    said = {}
    for page in PAGES:
        sight.open(f"{address}#/{page}?{asked}{rest.get(page, '')}")
        sight.page.wait_for_selector("main table.data, main svg.figure")
        command = split(sight.page.get_attribute("#copy-command", "title"))
        assert command[0] == "mansard"
        plain = [] if page in ("passes", "hardware") else ["-f", "json"]
        assert main([*command[1:], *plain]) == 0
        said[page] = capsys.readouterr().out
        if page == "what-if":
            shown = sight.page.locator("[data-card=what-if-result] tbody tr").nth(1).inner_text()
    turned = json.loads(said["what-if"])
    assert turned["scenario"]["batch"] == 8
    assert format_time(turned["metrics"]["tpot_s"]) in shown
    assert len(json.loads(said["sweep"])) == 4
    assert len(json.loads(said["compare"])) == 2


def test_solve_says_what_stops_it(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/what-if?model=llama-3.1-8b&on=h100-sxm")
    sight.after(lambda: sight.page.click("text=Solve >> nth=-1"))
    sight.page.wait_for_selector("[data-solution]")
    study = ms.study("llama-3.1-8b", on="h100-sxm")
    known = study.solve("batch", maximize=True, subject_to=["tpot <= 20ms", "memory <= capacity"])
    assert sight.page.get_attribute("[data-solution]", "data-solution") == str(known.value)


def test_solve_says_the_hardware_it_solves_on_and_when_that_has_changed(
    sight: Sight, address: str
) -> None:
    sight.open(f"{address}#/what-if?model=qwen2.5-0.5b&on=h100-sxm&bw=2")
    sight.after(lambda: sight.page.click("text=Solve >> nth=-1"))
    assert "on h100-sxm with memory bandwidth ×2" in sight.page.inner_text(".answer")
    sight.page.fill("#find-what", "prompt")
    assert sight.page.inner_text(".answer").startswith("batch =")
    sight.after(lambda: sight.page.locator("#k-bw").press("ArrowRight"))
    assert "solve again" in sight.page.inner_text("[data-card=solve]")
    assert sight.page.locator("[data-card=solve] .stale .answer").count() == 1


def test_figures_are_saved_as_svg_png_and_csv(sight: Sight, address: str) -> None:
    sight.open(address)
    for kind, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("CSV", b"name,intensity")):
        card = sight.page.locator("[data-card$=-roofline]")
        card.locator(".save summary").click()
        with sight.page.expect_download() as download:
            card.locator(f".menu >> text={kind}").click()
        assert Path(download.value.path()).read_bytes().startswith(start)


def test_the_whole_answer_is_saved_as_json(sight: Sight, address: str) -> None:
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm&batch=4")
    with sight.page.expect_download() as download:
        sight.page.click(".top >> text=JSON")
    saved = json.loads(Path(download.value.path()).read_text("utf-8"))
    known = ms.analyze("qwen2.5-0.5b", on="h100-sxm", batch=4).to_dict()
    assert saved == json.loads(json.dumps(known))


def test_a_thousand_operators_stay_usable(sight: Sight, address: str, tmp_path: Path) -> None:
    from tests.viewer.small_onnx import tangled

    file = tmp_path / "long.onnx"
    file.write_bytes(tangled(1000))
    sight.open(f"{address}#/explore?model=qwen2.5-0.5b&on=h100-sxm&level=O0")
    sight.after(lambda: sight.page.set_input_files("input[type=file]", str(file)))
    sight.page.wait_for_selector(".graph [data-node]")
    closed = int(sight.page.get_attribute(".graph", "data-nodes"))
    assert 50 < closed <= 250
    shares = [float(text.strip("<% ")) for text in
              sight.page.locator(".node .sub.right").all_text_contents()]  # fmt: skip
    assert sum(shares) == pytest.approx(100, abs=0.06 * len(shares))
    sight.page.locator("[data-node^='cluster:']").first.press("Enter")
    sight.page.wait_for_function(
        "n => Number(document.querySelector('.graph')?.dataset.nodes) > n", arg=closed
    )
    assert int(sight.page.get_attribute(".graph", "data-nodes")) <= 250


def test_a_report_opens_from_disk_and_its_selectors_work(
    sight: Sight, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mansard.cli import main

    file = tmp_path / "report.html"
    arguments = ["report", "llama-3.1-8b", "--on", "h100-sxm,l40s", "-t", "quantize:weights=int4"]
    assert main([*arguments, "-o", str(file)]) == 0
    assert file.stat().st_size <= 250_000
    sight.open(file.as_uri())
    assert [u for u in sight.asked if not u.startswith(("file:", "data:"))] == []
    known = [
        ms.analyze("llama-3.1-8b", on=on, techniques=["quantize:weights=int4"])
        for on in ("h100-sxm", "l40s")
    ]
    assert sight.figure("tpot_s") == known[0].tpot
    sight.after(lambda: sight.page.check("input[name=held] >> nth=1"))
    assert sight.figure("tpot_s") == known[1].tpot
    sight.page.click(".detail .why summary")
    why = sight.page.inner_text(".detail .why")
    assert "FLOP, matrix unit" in why
    assert "Stored tensors" in why
    assert "Kaplan 2020" in why
    for page in ("compare", "passes", "hardware"):
        sight.page.click(f"nav a[href='#/{page}']")
        sight.page.wait_for_selector("main table.data")
    assert sight.said == []


def test_a_report_of_an_estimate_has_its_bands(sight: Sight, tmp_path: Path) -> None:
    from mansard.cli import main

    file = tmp_path / "report.html"
    arguments = ["report", "llama-3.1-8b", "--on", "h100-sxm", "--estimate", "calibrated"]
    assert main([*arguments, "-o", str(file)]) == 0
    sight.open(file.as_uri())
    known = ms.analyze("llama-3.1-8b", on="h100-sxm", estimate="calibrated").to_dict()
    assert sight.figure("tpot_s") == known["metrics"]["tpot_s"]
    with sight.page.expect_download() as download:
        sight.page.click(".top >> text=JSON")
    saved = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert saved == json.loads(json.dumps(known))
    assert sight.page.locator("[data-card$=-breakdown] .ideal").count() > 3


ROWS = re.findall(
    r"^\| (.+?) \| .+ \| ([a-z-]+) \| `(.+)` \|$",
    (ROOT / "docs/llm-viewer.md").read_text("utf-8"),
    re.M,
)


def test_what_llm_viewer_shows_is_where_the_docs_say(sight: Sight, address: str) -> None:
    assert len(ROWS) > 30
    missing = []
    for page in dict.fromkeys(page for _, page, _ in ROWS):
        sight.open(f"{address}#/{page}?model=llama-3.1-8b&on=h100-sxm")
        sight.page.wait_for_selector("main table.data, main svg.figure")
        missing += [
            (what, place) for what, where, place in ROWS
            if where == page and not sight.page.locator(place).count()
        ]  # fmt: skip
    assert missing == []


def test_the_columns_of_llm_viewers_csv_are_columns_of_ours() -> None:
    from mansard.query.report import OP_FIELDS

    text = (ROOT / "docs/llm-viewer.md").read_text("utf-8").partition("## Columns")[2]
    names = re.findall(r"^\| [\w, ]+ \| `(\w+)` \|$", text, re.M)
    assert len(names) == 10
    assert set(names) <= set(OP_FIELDS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", [*PAGES, "report"])
def test_nothing_hinders_readers_with_other_eyes_or_hands(
    browser: Any, address: str, page: str, theme: str, tmp_path: Path
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm ci in plugins/viewer/page)")
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=theme, bypass_csp=True
    )
    sight, url = Sight(context.new_page()), f"{address}#/{page}"
    if page == "report":
        from mansard.cli import main

        file = tmp_path / "report.html"
        assert main(["report", "qwen2.5-0.5b", "--on", "h100-sxm,l40s", "-o", str(file)]) == 0
        url = file.as_uri()
    sight.open(url)
    sight.page.wait_for_selector("main table.data, main svg.figure")
    for summary in sight.page.locator("main .why summary").all():
        summary.click()
    time.sleep(0.3)
    sight.page.evaluate(AXE.read_text("utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    found = sight.page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags
    )
    context.close()
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []

"""What the viewer costs, in headless Chromium: start, first answer, a slider, a report.

Usage: ``python benchmarks/ui.py`` (or ``make bench-ui``); exits with 1 when a limit is passed.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMITS = {
    "server start [s]": 0.5,
    "page ready [s]": 0.6,
    "transferred [kB]": 150,
    "requests": 10,
    "slider to repaint, llama-3.1-8b [ms]": 60,
    "slider to repaint, deepseek-v3 [ms]": 120,
    "report of two scenarios [kB]": 250,
}
"""What is measured, and the most it may be."""
SLIDES = 21
READY = "html[data-rev]"


def start() -> tuple[subprocess.Popen[str], str, float]:
    """Start a server; return it with its address and how long it took to print that [s]."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "mansard", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline() if server.stdout else ""
    took = time.perf_counter() - begun
    found = re.search(r"http://\S+", line)
    if found is None:
        raise SystemExit(f"the server said {line!r}")
    return server, found[0], took


def ready(page: Any, address: str) -> tuple[float, float, int]:
    """Return how long until the answer is on a page that is warm [s], kB and requests."""
    times = []
    for _ in range(5):
        page.goto("about:blank")
        begun = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(READY)
        times.append(time.perf_counter() - begun)
    page.wait_for_load_state("networkidle")
    sizes = page.evaluate(
        "() => [...performance.getEntriesByType('navigation'), "
        "...performance.getEntriesByType('resource')].map(e => e.transferSize)"
    )
    return statistics.median(times), sum(sizes) / 1000, len(sizes)


SLIDE = """async steps => {
  const slider = document.getElementById('batch'), times = [];
  const revision = () => document.documentElement.dataset.rev;
  for (let k = 0; k < steps; k += 1) {
    const before = revision(), begun = performance.now();
    slider.value = String((k % 8) + 1);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    while (revision() === before) await new Promise(requestAnimationFrame);
    times.push(performance.now() - begun);
  }
  return times;
}"""


def slide(page: Any, address: str, query: str) -> float:
    """Return the median time from a slider's event to the painted answer [ms]."""
    page.goto("about:blank")
    page.goto(f"{address}#/explore?{query}")
    page.wait_for_selector(READY)
    page.evaluate(SLIDE, 8)
    return statistics.median(page.evaluate(SLIDE, SLIDES))


def report_kb() -> float:
    """Return the size of the report of a model on two chips [kB]."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        command = [sys.executable, "-m", "mansard", "report", "llama-3.1-8b", "--on",
                   "h100-sxm,l40s", "-t", "quantize:weights=int4", "-o", str(file)]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        return file.stat().st_size / 1000


def measured(browser: str) -> dict[str, float]:
    """Return every figure."""
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {}
    server, address, found["server start [s]"] = start()
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(
                executable_path=browser, args=["--no-sandbox", "--disable-background-networking"]
            )
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            page.goto(address)
            page.wait_for_selector(READY, timeout=60_000)
            found["page ready [s]"], found["transferred [kB]"], found["requests"] = ready(
                page, address
            )
            for model, query in (
                ("llama-3.1-8b", "model=llama-3.1-8b&on=h100-sxm&batch=1"),
                ("deepseek-v3", "model=deepseek-v3&on=h200-sxm:8&batch=1"),
            ):
                name = f"slider to repaint, {model} [ms]"
                found[name] = slide(page, address, query)
            chromium.close()
    finally:
        server.terminate()
        server.wait(10)
    found["report of two scenarios [kB]"] = report_kb()
    return found


def main() -> int:
    """Print every figure beside its limit; return 1 if one is passed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("no chromium is installed: nothing is measured")
        return 0
    failed = False
    for name, value in measured(browser).items():
        over = value > LIMITS[name]
        failed |= over
        print(f"{name:<42} {value:10.3g}   at most {LIMITS[name]:g}{'   OVER' if over else ''}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""What the viewer costs, in headless Chromium: start, first answer, a slider, a report.

Usage: ``python benchmarks/ui.py`` (or ``make bench-ui``); exits with 1 when a limit is passed.

Beside the time of a slider stands the work it takes, which other programs on the machine change
less: seconds of processor of the server, and of the page's main thread.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from harness.lines import Line, report

LIMITS: dict[str, tuple[str, float]] = {
    "server start": ("s", 0.5),
    "page ready": ("s", 0.6),
    "transferred": ("kB", 150),
    "requests": ("", 10),
    "slider to paint, 8B": ("ms", 60),
    "... server's processor, 8B": ("ms", 15),
    "... page's main thread, 8B": ("ms", 25),
    "slider to paint, DeepSeek": ("ms", 120),
    "... server's, DeepSeek": ("ms", 25),
    "... page's, DeepSeek": ("ms", 50),
    "report of two scenarios": ("kB", 250),
}
"""What is measured, its unit, and the most it may be."""
SLIDES = 21
READY = "html[data-rev]"


def start() -> tuple[subprocess.Popen[str], str, float]:
    """Start a server; return it with its address and how long until it gave the page [s]."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "mansard", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline() if server.stdout else ""
    found = re.search(r"http://\S+", line)
    if found is None:
        raise SystemExit(f"the server said {line!r}")
    with urllib.request.urlopen(found[0], timeout=60) as page:
        page.read()
    return server, found[0], time.perf_counter() - begun


def first_visit(page: Any, address: str) -> tuple[float, int]:
    """Return what a browser that has nothing yet takes: kB and requests."""
    page.goto(address)
    page.wait_for_selector(READY, timeout=60_000)
    page.wait_for_load_state("networkidle")
    sizes = page.evaluate(
        "() => [...performance.getEntriesByType('navigation'), "
        "...performance.getEntriesByType('resource')].map(e => e.transferSize)"
    )
    return sum(sizes) / 1000, len(sizes)


def ready(page: Any, address: str) -> float:
    """Return how long until the answer is on a page whose server has answered before [s]."""
    times = []
    for _ in range(5):
        page.goto("about:blank")
        begun = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(READY)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


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


def slide(page: Any, address: str, query: str, pid: int) -> tuple[float, float, float]:
    """Return the median time from a slider's event to the painted answer [ms].

    And what one takes of the server's processor and of the page's main thread [ms].
    """
    page.goto("about:blank")
    page.goto(f"{address}#/explore?{query}")
    page.wait_for_selector(READY)
    page.evaluate(SLIDE, 8)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = page_s(session), server_s(pid)
    times = page.evaluate(SLIDE, SLIDES)
    after = page_s(session), server_s(pid)
    mine, server = ((b - a) / SLIDES * 1000 for a, b in zip(before, after, strict=True))
    return statistics.median(times), server, mine


def page_s(session: Any) -> float:
    """Return how long a page's main thread has worked [s]."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def server_s(pid: int) -> float:
    """Return what a process has had of the processor [s]; 0 where the system does not say."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


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
    server, address, found["server start"] = start()
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(
                executable_path=browser, args=["--no-sandbox", "--disable-background-networking"]
            )
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            found["transferred"], found["requests"] = first_visit(page, address)
            found["page ready"] = ready(page, address)
            slid = [
                slide(page, address, query, server.pid)
                for query in ("model=llama-3.1-8b&on=h100-sxm&batch=1",
                              "model=deepseek-v3&on=h200-sxm:8&batch=1")
            ]  # fmt: skip
            names = [name for name in LIMITS if name.startswith(("slider", "..."))]
            found |= dict(zip(names, (took for each in slid for took in each), strict=True))
            chromium.close()
    finally:
        server.terminate()
        server.wait(10)
    found["report of two scenarios"] = report_kb()
    return found


def main() -> int:
    """Print every figure beside its limit; return 1 if one is passed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("no chromium is installed: nothing is measured")
        return 0
    found = measured(browser)
    return report(Line(what, found[what], *LIMITS[what]) for what in LIMITS)


if __name__ == "__main__":
    sys.exit(main())

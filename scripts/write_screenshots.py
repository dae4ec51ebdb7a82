"""Write the pictures of the viewer that docs/viewer.md shows: every page, both themes, two widths.

Usage: ``python scripts/write_screenshots.py [PAGE …]``; needs Chromium and the development
dependencies. A picture is for looking at: nothing compares it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "viewer"
LLAMA = "model=llama-3.1-8b&on=h100-sxm&batch=16"
PAGES = {
    "explore": f"explore?{LLAMA}&prompt=4096&output=256",
    "calibrated": f"explore?{LLAMA}&estimate=calibrated",
    "compare": f"compare?{LLAMA}",
    "sweep": f"sweep?{LLAMA}",
    "passes": f"passes?{LLAMA}&t=quantize%3Aweights%3Dint4",
    "hardware": "hardware?model=llama-3.1-8b&on=h100-sxm",
    "what-if": f"what-if?{LLAMA}&bw=1.4&fb=2",
    "report": "",
}
"""Page → its address on a server; a report is a file."""
SIZES = {1440: 900, 900: 900}
THEMES = ("light", "dark")
QUALITY = 50


def serve() -> tuple[subprocess.Popen[str], str]:
    """Start a server; return it with its address."""
    command = [sys.executable, "-m", "mansard", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found = re.search(r"http://\S+", server.stdout.readline() if server.stdout else "")
    if found is None:
        raise SystemExit("no server")
    return server, found[0]


def report(folder: Path) -> str:
    """Write a report of two scenarios; return its address."""
    file = folder / "report.html"
    command = [sys.executable, "-m", "mansard", "report", "llama-3.1-8b", "--on", "h100-sxm,l40s",
               "-t", "quantize:weights=int4", "-o", str(file)]  # fmt: skip
    subprocess.run(command, check=True)
    return file.as_uri()


def take(page: Any, url: str, file: Path) -> None:
    """Write a picture of what a window shows of an address."""
    page.goto("about:blank")
    page.goto(url)
    page.wait_for_selector("html[data-rev]")
    page.wait_for_selector("main table.data, main svg.figure")
    page.wait_for_timeout(500)
    page.screenshot(path=str(file), type="jpeg", quality=QUALITY)
    print(f"{file.name:<28} {file.stat().st_size / 1000:6.0f} kB")


def main() -> None:
    """Write them all, or those of the pages named."""
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("no chromium is installed")
    wanted = sys.argv[1:] or list(PAGES)
    FOLDER.mkdir(exist_ok=True)
    server, address = serve()
    try:
        with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
            chromium: Any = driver.chromium.launch(
                executable_path=browser, args=["--no-sandbox", "--disable-background-networking"]
            )
            urls = {name: f"{address}#/{PAGES[name]}" for name in wanted if name != "report"}
            if "report" in wanted:
                urls["report"] = report(Path(folder))
            for theme in THEMES:
                for width, height in SIZES.items():
                    size = {"width": width, "height": height}
                    context = chromium.new_context(viewport=size, color_scheme=theme)
                    context.set_default_timeout(120_000)
                    page = context.new_page()
                    for name, url in urls.items():
                        take(page, url, FOLDER / f"{name}-{theme}-{width}.jpg")
                    context.close()
            chromium.close()
    finally:
        server.terminate()
        server.wait(10)
    first = FOLDER / "explore-light-1440.jpg"
    if "explore" in wanted:
        shutil.copyfile(first, DOCS / "viewer-explore.jpg")  # the README's


if __name__ == "__main__":
    main()

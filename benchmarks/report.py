"""How long a report takes, how large it is, how long it takes to open: `python benchmarks/report.py RECORDING`.

Opening is from the start of the navigation: until the summary can be read, the first chart is there, all are.
Each time is the best of three. Needs Chromium, and playwright to drive it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SHOWN = {
    "summary": "#summary tbody tr",
    "first chart": "#volume svg",
    "all charts": "html[data-drawn]",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory) / "report.html"
        began = time.perf_counter()
        command = [
            sys.executable,
            "-c",
            "from recorder_cli.main import run; run()",
            "report",
            sys.argv[1],
            "-o",
            page,
        ]
        subprocess.run(command, check=True)
        print(f"drawn in {time.perf_counter() - began:.1f} s, {page.stat().st_size / 2**20:.1f} MiB")
        runs = [opened(page) for _ in range(3)]
        for name in SHOWN:
            print(f"{name}: after {min(run[name] for run in runs):.2f} s")


def opened(page: Path) -> dict[str, float]:
    """Seconds until each of `SHOWN`, in a browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        tab = browser.new_page()
        began = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        times: dict[str, float] = {}
        for name, selector in SHOWN.items():
            tab.wait_for_selector(selector, state="attached", timeout=120_000)
            times[name] = time.perf_counter() - began
        browser.close()
    return times


if __name__ == "__main__":
    main()

"""Takes the pictures of the board that README and the docs show: `python docs/screenshots.py`.

The demo's board, served as `ladderpipe demo --serve` serves it, in a real Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ASSETS = Path(__file__).parent / "assets"
COMMAND = [sys.executable, "-m", "ladderpipe.cli", "demo", "--serve", "--port", "0"]
NAMED = os.environ | {"LOGNAME": "Marta"}
SIZE = {"width": 1440, "height": 800}


def take(address: str) -> None:
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path, name in (("", "board.png"), ("deal?deal=cart-5", "board-deal.png")):
            page = browser.new_page(viewport=SIZE)
            page.goto(address + path)
            page.wait_for_selector("html.js")
            page.screenshot(path=ASSETS / name)
        browser.close()


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            COMMAND, cwd=folder, env=NAMED, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdout is not None
        try:
            told = next(line for line in server.stdout if line.startswith("The board is at"))
            take(re.search(r"http://\S+", told)[0])
        finally:
            server.terminate()


if __name__ == "__main__":
    main()

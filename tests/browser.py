"""Where the browser is that the page's tests drive; as a program: exit code 1 where there is none."""

import os
import shutil
import sys
from pathlib import Path

CANDIDATES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_chromium() -> Path | None:
    """``LORABOT_TEST_CHROMIUM``, else a browser on the PATH, else the one that Playwright has downloaded."""
    if wanted := os.environ.get("LORABOT_TEST_CHROMIUM"):
        return Path(wanted)
    for name in CANDIDATES:
        if found := shutil.which(name):
            return Path(found)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


if __name__ == "__main__":
    sys.exit(0 if find_chromium() else 1)

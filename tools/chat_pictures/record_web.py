"""``python -m tools.chat_pictures.record_web FOLDER``: a real training on the chat page, and its picture.

Starts `lorabot up` on a folder of its own, trains on examples/zuri.zip in Chromium, and writes ``FOLDER/chat.png``.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from tests.browser import find_chromium
from tools.chat_pictures.house import house
from tools.chat_pictures.shooting import save

_ZIP = Path(__file__).parents[2] / "examples" / "zuri.zip"
_SIZE = {"width": 840, "height": 900}
_TRAINED_S = 1500.0


async def record(target: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        async with house(Path(data)) as url, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
            page = await browser.new_page(viewport=_SIZE)  # type: ignore[arg-type]
            await visit(page, url)
            await save(await shot(page), target, most_bytes=300_000)
            await browser.close()


async def visit(page: Page, url: str) -> None:
    """From the zip to the LoRA."""
    await page.goto(url)
    await expect(page.locator("body:not(.loading)[data-connection=open]")).to_be_visible(timeout=30_000)
    await page.locator("input[type=file]").first.set_input_files(_ZIP)
    await expect(page.locator(".line.lorabot:not(.busy) .thumbs img").first).to_be_visible(timeout=60_000)
    await page.locator("#say").fill("/train preset:anime trigger:zuri")
    await page.locator("#say").press("Enter")
    await expect(page.locator(".result .figures img")).to_have_count(2, timeout=_TRAINED_S * 1000)


async def shot(page: Page) -> bytes:
    """The whole conversation, which else scrolls."""
    log = page.locator(".log")
    height: int = await log.evaluate("(log) => log.scrollHeight")
    await page.set_viewport_size({"width": _SIZE["width"], "height": height + 300})
    await log.locator("img").evaluate_all("(all) => Promise.all(all.map((image) => image.decode()))")
    return await log.screenshot(animations="disabled")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(record(folder / "chat.png"))

"""HTML to a PNG with the browser that the tests use."""

import asyncio
import io
from pathlib import Path

from PIL import Image
from playwright.async_api import async_playwright

from tests.browser import find_chromium

_COLOURS = 256


async def shoot(html: str, target: Path, *, width: int, scale: float = 2.0, most_bytes: int = 300_000) -> None:
    """Write a picture of ``html``, as high as it is, to ``target``. Raises ``ValueError`` if it is over the limit."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        try:
            page = await browser.new_page(viewport={"width": width, "height": 400}, device_scale_factor=scale)
            await page.set_content(html, wait_until="load")
            shot = await page.locator("#chat").screenshot()
        finally:
            await browser.close()
    await save(shot, target, most_bytes=most_bytes)


async def save(shot: bytes, target: Path, *, most_bytes: int) -> None:
    """Write a screenshot to ``target``, packed. Raises ``ValueError`` if it is over the limit."""
    small = await asyncio.to_thread(_packed, shot)
    if len(small) > most_bytes:
        raise ValueError(f"{target.name}: {len(small)} bytes, {most_bytes} is the most")
    await asyncio.to_thread(target.write_bytes, small)


def _packed(png: bytes) -> bytes:
    """With a palette: a screenshot has few colours, and the page loads faster."""
    with Image.open(io.BytesIO(png)) as image:
        plain = image.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        packed = io.BytesIO()
        plain.save(packed, "PNG", optimize=True)
    return packed.getvalue()

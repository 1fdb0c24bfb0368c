"""The real bot on a free port, a browser before it, and a worker whose every step the test takes."""

import asyncio
import base64
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.async_api import Browser, Page, async_playwright, expect
from pydantic import SecretStr

from lorabot.bot.config import DeliveryConfig, IntakeConfig, WebConfig
from lorabot.bot.run import run_bot
from lorabot.presets import load_presets
from lorabot.queue import Lease, Queue, QueueConfig, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.errors import CancelRequested
from lorabot.queue.model import Artefact, ArtefactKind, Outcome, Progress, Sample, Stage
from tests.browser import find_chromium

# A browser that neither phones home nor needs a graphics card.
BROWSER_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_S = 30
# Nothing renews a lease while the test looks at the page, and a lapsed one that is to be cancelled would be ended.
PATIENT = QueueConfig(lease_s=120.0)
SECRET = SecretStr("a secret of the tests")
expect.set_options(timeout=PATIENCE_S * 1000)


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot that serves at ``url``, and the queue it works with."""

    url: str
    queue: Queue


@asynccontextmanager
async def running_bot(folder: Path, password: SecretStr | None = None) -> AsyncIterator[Bot]:
    """The bot as ``lorabot bot`` runs it, on embedded parts in ``folder``."""
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    database_url = f"sqlite:///{folder}/lorabot.sqlite3"
    await migrate(database_url)
    stop = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    try:
        async with open_queue(PATIENT, database_url, valkey.url, f"file://{folder}/blobs") as queue:
            serving = asyncio.create_task(
                run_bot(
                    queue,
                    load_presets(None),
                    web=WebConfig(port=0, update_interval_s=0.1, password=password),
                    intake=IntakeConfig(max_file_bytes=1_000_000),
                    delivery=DeliveryConfig(poll_s=0.2),
                    secret=SECRET,
                    folder=folder / "uploads",
                    stop=stop,
                    started=address.set_result,
                )
            )
            # A bot that cannot start says why here, instead of never giving its address.
            serving.add_done_callback(lambda _: address.done() or address.cancel())
            try:
                yield Bot(await address, queue)
            finally:
                stop.set()
                await serving
    finally:
        await valkey.stop()


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Chromium without a window. The test fails where there is none."""
    chromium = await asyncio.to_thread(find_chromium)
    if chromium is None:
        pytest.fail("There is no Chromium for the chat page's tests: install it (apt-get install chromium).")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """A person with a browser of their own, and so with a conversation of their own."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.troubles: list[str] = []
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("console", lambda line: self.troubles.append(line.text) if line.type in ("error", "warning") else None)

    async def arrive(self) -> None:
        await self.page.goto(self.url)
        await expect(self.page.locator("body:not(.loading)[data-connection=open]")).to_be_visible()

    async def drop(self, name: str, data: bytes, kind: str) -> None:
        """Drag a file over the page and let go of it."""
        transfer = await self.page.evaluate_handle(
            """([name, type, data]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, { type }));
                return transfer;
            }""",
            [name, kind, base64.b64encode(data).decode()],
        )
        await self.page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
        await expect(self.page.locator("#drop")).to_be_visible()
        await self.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
        await expect(self.page.locator("#drop")).to_be_hidden()

    async def send_photos(self, count: int = 8) -> None:
        """Drop a zip and wait until its photos are ready."""
        await self.drop("zuri.zip", zip_of_photos(count), "application/zip")
        await expect(self.page.locator(".line.lorabot:not(.busy) .thumbs img")).to_have_count(min(count, 8))

    async def say(self, text: str) -> None:
        await self.page.locator("#say").fill(text)
        await self.page.locator("#say").press("Enter")

    async def texts(self) -> list[str]:
        """All that stands in the conversation, line by line, without the times."""
        lines: list[str] = await self.page.locator(".log .line").evaluate_all(
            "(lines) => lines.map((line) => { const own = line.cloneNode(true); own.querySelector('.who')?.remove();"
            " return own.textContent; })"
        )
        return lines

    async def overflow(self) -> int:
        """Pixels by which anything is wider than the window."""
        width: int = await self.page.evaluate(
            """() => Math.max(...[document.documentElement, ...document.querySelectorAll("body, main, .log")]
                .map((node) => node.scrollWidth)) - innerWidth"""
        )
        return width


@asynccontextmanager
async def visiting(browser: Browser, bot: Bot, **options: object) -> AsyncIterator[Visitor]:
    """A visitor who has opened the page; fails if the browser complained of anything."""
    context = await browser.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_S * 1000)
    try:
        visitor = Visitor(await context.new_page(), bot.url)
        await visitor.arrive()
        yield visitor
        assert visitor.troubles == []
    finally:
        await context.close()


class Worker:
    """Works on one job through the real lease, in the steps that a test wants to see on the page."""

    def __init__(self, queue: Queue, lease: Lease) -> None:
        self.lease = lease
        self._queue = queue
        self._progress = Progress(Stage.PREPARING)

    @classmethod
    async def claim(cls, queue: Queue) -> "Worker":
        """Wait for a job and take it."""
        async with asyncio.timeout(PATIENCE_S), queue.changes() as changes:
            while (lease := await queue.jobs.claim("worker")) is None:
                await changes.wait(0.2)
        return cls(queue, lease)

    async def begin(self, stage: Stage) -> None:
        self._progress = Progress(stage)
        await self.lease.beat(self._progress)

    async def train(self, step: int, total: int) -> None:
        """Show a training that has come to ``step``, with a sample before it and one of now."""
        prompts = ("zuri in a meadow", "a cat in a meadow")
        samples = tuple(
            [
                Sample(at, await self._put(f"sample-{at}-{row}.png", picture(at + row)), prompt)
                for at in sorted({0, step})
                for row, prompt in enumerate(prompts)
            ]
        )
        self._progress = Progress(
            Stage.TRAINING,
            step=step,
            total_steps=total,
            rate=4.2,
            eta_s=(total - step) / 4.2,
            loss=tuple((at, 0.2 / (1 + at / 40)) for at in range(0, step + 1, 5)),
            validation=tuple((at, 0.21 / (1 + at / 50)) for at in range(0, step + 1, 20)),
            samples=samples,
        )
        await self.lease.beat(self._progress)

    async def succeed(self, lora: bytes) -> None:
        """Deliver ``lora`` with a plot, a grid and a report."""
        name = self.lease.job.name
        files: Sequence[tuple[ArtefactKind, str, bytes, str]] = (
            ("lora", f"{name}.safetensors", lora, "application/octet-stream"),
            ("plot", "loss.png", picture(1, (900, 500)), "image/png"),
            ("grid", "samples.png", picture(2, (800, 600)), "image/png"),
            ("report", "report.md", b"# Report", "text/markdown"),
        )
        artefacts = tuple(
            [
                Artefact(kind, file, await self._put(file, data), len(data), content_type, sha256(data).hexdigest())
                for kind, file, data, content_type in files
            ]
        )
        summary = {
            "images": 8,
            "steps": 100,
            "seconds": 61.0,
            "first_validation": 0.21,
            "best_step": 60,
            "best_validation": 0.07,
        }
        await self.lease.succeed(Outcome(artefacts, summary))

    async def stop_when_told(self) -> None:
        """Beat until the owner has taken the job back, then end it."""
        async with asyncio.timeout(PATIENCE_S), self._queue.changes() as changes:
            while True:
                try:
                    await self.lease.beat()
                except CancelRequested:
                    return await self.lease.cancelled()
                await changes.wait(0.1)

    async def _put(self, file: str, data: bytes) -> str:
        key = f"jobs/{self.lease.job.id}/{self.lease.attempt}/{file}"
        await self._queue.blobs.put(key, data)
        return key


def picture(seed: int, size: tuple[int, int] = (256, 256)) -> bytes:
    """A small drawing as PNG; each ``seed`` gives another one."""
    width, height = size
    image = Image.new("RGB", size, ((seed * 53) % 200, 90, (seed * 97) % 200))
    draw = ImageDraw.Draw(image)
    left = width * (0.1 + 0.05 * (seed % 8))
    draw.ellipse((left, height * 0.2, left + width * 0.4, height * 0.8), fill=(240, 200, (seed * 31) % 255))
    for line in range(0, height, 9):
        draw.line((0, line, width, line + seed * 3 % 40), fill=(40, (seed * 17) % 255, 120))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def zip_of_photos(count: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for seed in range(count):
            archive.writestr(f"zuri-{seed + 1}.png", picture(seed))
    return data.getvalue()

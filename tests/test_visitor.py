"""The demo's visitor behaves as a person's browser does, against the real web chat and a worker of the real queue."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from lorabot.bot.config import DeliveryConfig, IntakeConfig, WebConfig
from lorabot.bot.run import run_bot
from lorabot.locale import Message, translator
from lorabot.presets import load_presets
from lorabot.queue import Lease, Queue, run_worker
from lorabot.queue.model import Artefact, ArtefactKind, Outcome, Progress, Stage
from lorabot.visitor import FILES, Line, VisitFailed, Visitor
from tests.house import free_port
from tests.test_cli import photos

COMMAND = "/train preset:anime trigger:zuri"
KINDS: dict[str, tuple[ArtefactKind, str]] = {
    "zuri.safetensors": ("lora", "application/octet-stream"),
    "loss.png": ("plot", "image/png"),
    "samples.png": ("grid", "image/png"),
    "report.json": ("report_json", "application/json"),
    "report.md": ("report", "text/markdown"),
}


@asynccontextmanager
async def bot(queue: Queue, folder: Path, port: int, intake: IntakeConfig | None = None) -> AsyncIterator[str]:
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run_bot(
            queue,
            load_presets(),
            web=WebConfig(port=port, update_interval_s=0.0),
            intake=intake or IntakeConfig(),
            delivery=DeliveryConfig(poll_s=0.1),
            secret=SecretStr("0123456789abcdef"),
            folder=folder / "bot",
            stop=stop,
            started=url.set_result,
        )
    )
    try:
        yield await url
    finally:
        stop.set()
        await task


@asynccontextmanager
async def worker(queue: Queue, names: Sequence[str], pause: asyncio.Event | None = None) -> AsyncIterator[None]:
    """A worker that makes files of these names at once; without names the job fails."""

    async def handle(lease: Lease) -> None:
        await lease.beat(Progress(stage=Stage.TRAINING, step=3, total_steps=9, rate=2.0, eta_s=3.0, loss=((1, 0.5),)))
        if pause is not None:
            await pause.wait()
        artefacts = []
        for name in names:
            kind, content_type = KINDS[name]
            data, key = name.encode(), f"jobs/{lease.job.id}/{lease.attempt}/{name}"
            await queue.blobs.put(key, data)
            digest = hashlib.sha256(data).hexdigest()
            artefacts.append(Artefact(kind, name, key, len(data), content_type, digest))
        if names:
            await lease.succeed(Outcome(tuple(artefacts)))
        else:
            await lease.fail(Message("trainer-no-images"))

    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(queue, handle, "tests", stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def test_photos_go_in_and_the_files_come_out(queue: Queue, tmp_path: Path) -> None:
    seen = asyncio.Event()

    def show(line: Line) -> None:
        card = line["card"]
        if card and card["step"] == 3 and card["rate_text"] and card["eta_text"]:
            seen.set()

    async with (
        bot(queue, tmp_path, free_port()) as url,
        worker(queue, tuple(KINDS), seen),
        Visitor(url, "en") as visitor,
    ):
        await visitor.arrive()
        await visitor.upload(photos(tmp_path / "photos.zip", 6))
        async with asyncio.timeout(60):
            result = await visitor.train(COMMAND, show)
        saved = await visitor.download(result, tmp_path / "out")
    assert {path.name for path in saved} == {"zuri.safetensors", *FILES}
    assert (tmp_path / "out" / "loss.png").read_bytes() == b"loss.png"


async def test_it_waits_for_a_server_that_is_still_starting(queue: Queue, tmp_path: Path) -> None:
    port = free_port()
    async with Visitor(f"http://127.0.0.1:{port}", "en") as visitor:
        arriving = asyncio.create_task(visitor.arrive())
        await asyncio.sleep(0)
        async with bot(queue, tmp_path, port), asyncio.timeout(30):
            await arriving


async def test_it_goes_on_when_the_server_was_away(queue: Queue, tmp_path: Path) -> None:
    port, pause = free_port(), asyncio.Event()
    seen = asyncio.Event()
    jobs: set[str] = set()

    def show(line: Line) -> None:
        if line["kind"] == "card":
            jobs.add(line["card"]["job"])
            if line["card"]["step"] == 3:
                seen.set()

    async with Visitor(f"http://127.0.0.1:{port}", "en") as visitor, worker(queue, tuple(KINDS), pause):
        async with bot(queue, tmp_path, port):
            await visitor.arrive()
            await visitor.upload(photos(tmp_path / "photos.zip", 6))
            training = asyncio.create_task(visitor.train(COMMAND, show))
            async with asyncio.timeout(60):
                await seen.wait()
        async with bot(queue, tmp_path, port), asyncio.timeout(60):
            pause.set()
            result = await training
    assert result["files"]
    assert len(jobs) == 1  # the command was said again and not heard twice


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("/train preset:anmie trigger:zuri", "Did you mean anime"),
        ("/train preset:anime trigger:cat", "cat"),
    ],
)
async def test_a_refusal_is_passed_on_in_the_chats_own_words(
    queue: Queue, tmp_path: Path, command: str, sentence: str
) -> None:
    async with bot(queue, tmp_path, free_port()) as url, Visitor(url, "en", patience_s=0.3) as visitor:
        await visitor.arrive()
        with pytest.raises(VisitFailed) as caught:
            await visitor.train(command, lambda _: None)
    assert sentence in translator("en").text(caught.value.message)


async def test_a_file_that_is_not_taken_is_said(queue: Queue, tmp_path: Path) -> None:
    async with (
        bot(queue, tmp_path, free_port(), IntakeConfig(max_file_bytes=1024)) as url,
        Visitor(url, "en") as visitor,
    ):
        await visitor.arrive()
        with pytest.raises(VisitFailed) as caught:
            await visitor.upload(photos(tmp_path / "photos.zip", 6))
    assert "photos.zip" in translator("en").text(caught.value.message)


async def test_a_failed_training_is_said_with_its_reason(queue: Queue, tmp_path: Path) -> None:
    async with bot(queue, tmp_path, free_port()) as url, worker(queue, ()), Visitor(url, "zh-CN") as visitor:
        await visitor.arrive()
        await visitor.upload(photos(tmp_path / "photos.zip", 6))
        with pytest.raises(VisitFailed) as caught:
            async with asyncio.timeout(60):
                await visitor.train(COMMAND, lambda _: None)
    assert translator("zh-CN")("trainer-no-images") in translator("zh-CN").text(caught.value.message)


async def test_a_result_without_all_its_files_is_a_failure(queue: Queue, tmp_path: Path) -> None:
    names = ("zuri.safetensors", "loss.png", "report.md")
    async with bot(queue, tmp_path, free_port()) as url, worker(queue, names), Visitor(url, "en") as visitor:
        await visitor.arrive()
        await visitor.upload(photos(tmp_path / "photos.zip", 6))
        async with asyncio.timeout(60):
            result = await visitor.train(COMMAND, lambda _: None)
        with pytest.raises(VisitFailed) as caught:
            await visitor.download(result, tmp_path / "out")
    assert caught.value.message.params["files"] == "samples.png, report.json"

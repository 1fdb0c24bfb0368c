"""The daemon on a real queue, with the real engine: jobs go on whatever dies, and are delivered once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image as Pillow

from lorabot.presets import Bases, NamedBase
from lorabot.queue import Queue, QueueConfig, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.keys import image_key, job_prefix
from lorabot.queue.model import Address, Image, Job, JobState, NewJob, Stage
from lorabot.trainer import daemon, wire
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.daemon import run_trainer
from lorabot.trainer.supervising import Engine
from lorabot.trainer.workspace import cache_of, sweep, workspace
from tests.queue.servers import PostgreSQL, s3_server
from tests.trainer.conftest import QUICK, draw_images, tiny_preset, vocabulary

QUEUE = QueueConfig(lease_s=2.0, heartbeat_s=0.1, reconcile_s=0.2, poll_s=0.05, shutdown_s=60.0, jobs_per_owner=9)
SAVING = QUICK.model_copy(update={"checkpoint_s": 0})
BASES = Bases([NamedBase(id="broken", title="Broken", source=__file__, family="sd15").of("sd15")])
OWNER = "web:ann"
ADDRESS = Address("web", "conversation")


@pytest.fixture
def queue_config() -> QueueConfig:
    return QUEUE


async def submit(queue: Queue, folder: Path, count: int = 10, base: str = "demo", **recipe: object) -> Job:
    """A job with real images in the blobs."""
    images = []
    for drawn in draw_images(folder, count):
        content = drawn.path.read_bytes()
        digest = sha256(content).hexdigest()
        key = image_key(OWNER, digest)
        await queue.blobs.put(key, content)
        with Pillow.open(drawn.path) as picture:
            images.append(Image(drawn.name, key, digest, *picture.size, len(content), drawn.caption))
    await queue.drafts.add(OWNER, ADDRESS, images)
    dataset = await queue.drafts.seal(OWNER, ADDRESS)
    return await queue.jobs.submit(
        NewJob(
            name="zuri",
            owner=OWNER,
            address=ADDRESS,
            language="zh-CN",
            preset=json.loads(tiny_preset(**recipe).model_dump_json()),
            vocabulary=json.loads(vocabulary().model_dump_json()),
            trigger="zuri",
            base=base,
            dataset_id=dataset.id,
            seed=7,
        )
    )


@asynccontextmanager
async def trainer(queue: Queue, data_dir: Path, config: TrainerConfig = SAVING) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_trainer(queue, config, data_dir, stop, BASES, worker="worker"))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(queue: Queue, job: Job, condition: Callable[[Job], bool], timeout_s: float = 200.0) -> Job:
    async with asyncio.timeout(timeout_s):
        async with queue.changes(f"job:{job.id}") as changes:
            while not condition(now := await queue.jobs.get(job.id)):
                await changes.wait(0.2)
            return now


def trains_at(step: int) -> Callable[[Job], bool]:
    def reached(job: Job) -> bool:
        return job.progress is not None and job.progress.step >= step and job.resume is not None

    return reached


def final(job: Job) -> bool:
    return job.state.final


def engine_pid() -> int:
    """The engine below this process."""
    import psutil

    engines = [
        child.pid
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "lorabot.trainer.engine" in child.cmdline()
    ]
    assert len(engines) == 1
    return engines[0]


@pytest.mark.slow
async def test_a_job_survives_the_engines_death_and_an_outage_of_redis_and_is_delivered_once(
    queue: Queue, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    job = await submit(queue, tmp_path / "images", views=40)
    async with trainer(queue, tmp_path):
        first = await until(queue, job, trains_at(1))
        await valkey.stop()
        first = await until(queue, job, trains_at(3))
        await valkey.start()
        assert first.attempt == 1
        assert first.resume is not None
        kept = cache_of(tmp_path / "work", job.id) / "latents.safetensors"
        kept.parent.mkdir(parents=True)
        kept.touch()
        os.kill(engine_pid(), signal.SIGKILL)
        await until(queue, job, lambda now: now.attempt == 2)
        assert kept.exists(), "for the next attempt"
        done = await until(queue, job, final)
    assert done.state is JobState.SUCCEEDED
    assert (done.attempt, done.crashes) == (2, 1)
    assert done.outcome is not None
    files = {artefact.kind: artefact for artefact in done.outcome.artefacts}
    assert set(files) == {"lora", "plot", "grid", "report", "report_json", "tensorboard"}
    for artefact in files.values():
        content = await queue.blobs.get(artefact.key)
        assert (len(content), sha256(content).hexdigest()) == (artefact.size, artefact.sha256)
    report = json.loads(await queue.blobs.get(files["report_json"].key))
    assert len(report["training"]["loss"]) == 20
    assert "祖里" not in report["job"]["name"]
    assert "触发词" in (await queue.blobs.get(files["report"].key)).decode()
    assert done.outcome.summary["steps"] == 20
    entries = [entry for entry in await queue.outbox.pending(10) if entry.kind == "outcome"]
    assert len(entries) == 1
    assert done.progress is not None
    assert {sample.step for sample in done.progress.samples} == {0, 10, 20}
    assert all([await queue.blobs.exists(sample.key) for sample in done.progress.samples])
    assert not [key for key in await queue.blobs.list(job_prefix(job.id)) if "/resume/" in key]
    kinds = [event.kind for event in await queue.jobs.events(job.id)]
    assert kinds.count("succeeded") == 1
    assert not [path for path in (tmp_path / "work").rglob("*") if path.is_file()]


@pytest.mark.slow
async def test_a_stopped_trainer_saves_and_gives_back_and_the_next_one_goes_on_and_hears_a_cancel(
    queue: Queue, tmp_path: Path
) -> None:
    job = await submit(queue, tmp_path / "images", views=400)
    rare = QUICK.model_copy(update={"sample_rounds": 0})
    async with trainer(queue, tmp_path, rare):
        await until(queue, job, lambda now: now.progress is not None and now.progress.step >= 3)
    given_back = await queue.jobs.get(job.id)
    assert given_back.state is JobState.QUEUED
    assert given_back.crashes == 0
    assert given_back.resume is not None
    assert given_back.resume.step >= 3
    assert await queue.blobs.exists(given_back.resume.key)
    stages, curves = list[Stage](), set[bool]()

    def trains_again(now: Job) -> bool:
        assert now.progress is not None
        curves.add(bool(now.progress.loss))
        if now.attempt == 2:
            stages.append(now.progress.stage)
        return Stage.PREPARING in stages and stages[-1] is Stage.TRAINING and now.progress.step > 3

    async with trainer(queue, tmp_path, rare):
        await until(queue, job, trains_again)
        assert curves == {True}, "the curve stays while the next attempt prepares"
        await queue.jobs.cancel(job.id, OWNER)
        ended = await until(queue, job, final)
        assert ended.state is JobState.CANCELLED
        assert ended.progress is not None
        assert ended.progress.loss[0][0] == 1, "the curve begins with the first attempt"
        second = await submit(queue, tmp_path / "images", count=3, views=4)
        await queue.blobs.delete((await queue.drafts.dataset(second.dataset_id)).images[0].key)
        lost = await until(queue, second, final)
    assert lost.state is JobState.FAILED
    assert lost.failure is not None
    assert lost.failure.code == "trainer-dataset-lost"
    assert await queue.drafts.get(OWNER, ADDRESS) is None, "photos that are gone are not offered for another try"


@pytest.mark.slow
async def test_a_job_goes_on_while_the_database_is_away_and_is_finished_when_it_is_back(
    valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    """Away from the middle of the training until the engine has written its last file, for longer than a lease."""
    server = PostgreSQL()
    try:
        server.start()
        server.sql("CREATE DATABASE lorabot")
        url = server.url("lorabot")
        await migrate(url)
        async with open_queue(QUEUE, url, valkey.url, str(tmp_path / "blobs")) as queue:
            job = await submit(queue, tmp_path / "images", views=40)
            async with trainer(queue, tmp_path):
                await until(queue, job, trains_at(2))
                await asyncio.to_thread(server.stop)
                away_since = asyncio.get_running_loop().time()
                await asyncio.to_thread(written, tmp_path / "work", "report.md")
                await asyncio.sleep(away_since + 1.5 * QUEUE.lease_s - asyncio.get_running_loop().time())
                await asyncio.to_thread(server.start)
                await delivered_whole_and_once(queue, await until(queue, job, final))
    finally:
        await asyncio.to_thread(server.remove)


@pytest.mark.slow
async def test_a_job_goes_on_while_the_blobs_are_away_and_is_delivered_when_they_are_back(
    valkey: EmbeddedValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away from the middle of the training until the engine has written its last file."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    database = f"sqlite:///{tmp_path}/lorabot.sqlite3"
    await migrate(database)
    with ExitStack() as store:
        s3 = store.enter_context(s3_server())
        bucket = urllib.request.Request(f"{s3}/lorabot", method="PUT")
        await asyncio.to_thread(lambda: urllib.request.urlopen(bucket).close())
        blobs = f"s3://lorabot?endpoint={s3}&region=us-east-1"
        async with open_queue(QUEUE, database, valkey.url, blobs) as queue:
            job = await submit(queue, tmp_path / "images", views=40)
            async with trainer(queue, tmp_path):
                await until(queue, job, trains_at(2))
                await asyncio.to_thread(store.close)
                await asyncio.to_thread(written, tmp_path / "work", "report.md")
                waiting = await queue.jobs.get(job.id)
                assert waiting.state is JobState.RUNNING
                store.enter_context(s3_server(int(s3.rpartition(":")[2])))
                await delivered_whole_and_once(queue, await until(queue, job, final))


def written(folder: Path, name: str) -> None:
    """Wait until the engine has written a file called ``name``."""
    deadline = time.monotonic() + 200
    while not list(folder.rglob(name)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def delivered_whole_and_once(queue: Queue, job: Job) -> None:
    """The job was done in one go, all its files are where they belong, and its conversation hears of it once."""
    assert job.state is JobState.SUCCEEDED, job.failure
    assert (job.attempt, job.crashes) == (1, 0)
    assert job.outcome is not None
    assert {artefact.kind for artefact in job.outcome.artefacts} == {*get_args(wire.FileKind)}
    for artefact in job.outcome.artefacts:
        assert sha256(await queue.blobs.get(artefact.key)).hexdigest() == artefact.sha256
    assert job.progress is not None
    assert [sample.step for sample in job.progress.samples] == [0, 0, 10, 10, 20, 20]
    assert all([await queue.blobs.exists(sample.key) for sample in job.progress.samples])
    async with asyncio.timeout(60):  # saved states are deleted when the job has ended
        while await queue.blobs.list(f"{job_prefix(job.id)}resume/"):  # noqa: ASYNC110  # blobs tell no news
            await asyncio.sleep(0.1)
    assert [entry.kind for entry in await queue.outbox.pending(10)].count("outcome") == 1
    assert [event.kind for event in await queue.jobs.events(job.id)].count("succeeded") == 1


IDLE_ENGINE = """
import sys
from lorabot.trainer import wire
hello = wire.Hello(version=wire.VERSION, pid=1, device="cpu", device_name="none", loading_s=0)
sys.stdout.buffer.write(wire.line(hello))
sys.stdout.buffer.flush()
sys.stdin.read()
"""
"""It starts at once and is never given a job."""


async def test_a_job_on_a_base_that_can_not_be_trained_on_ends_with_the_reason(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "Engine", partial(Engine, command=(sys.executable, "-c", IDLE_ENGINE)))
    absent = await submit(queue, tmp_path / "others", base="elsewhere")
    job = await submit(queue, tmp_path / "images", base="broken")
    async with trainer(queue, tmp_path, QUICK.model_copy(update={"silence_s": 3600})):
        done = await until(queue, job, final)
        assert await queue.trainers.nobody_has("elsewhere")
    assert (await queue.jobs.get(absent.id)).state is JobState.QUEUED, "another host may have it"
    assert done.state is JobState.FAILED
    assert done.failure is not None
    assert done.failure.code == "base-not-safetensors"


def test_the_daemons_process_knows_neither_torch_nor_a_chat_library() -> None:
    code = (
        "import sys, lorabot.trainer.daemon, lorabot.trainer.local, lorabot.trainer.devices\n"
        "bad = {'torch', 'diffusers', 'peft', 'transformers', 'open_clip', 'aiohttp', 'discord', 'telegram'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_work_of_dead_processes_is_removed_and_that_of_living_ones_kept(tmp_path: Path) -> None:
    dead = tmp_path / "trainer-dead"
    dead.mkdir()
    (dead / ".lock").touch()
    waiting, forgotten = cache_of(tmp_path, "job1"), cache_of(tmp_path, "job2")
    for cache in (waiting, forgotten):
        cache.mkdir(parents=True)
    os.utime(forgotten, (time.time() - 2 * 24 * 3600,) * 2)
    (dead / "image.png").touch()
    with workspace(tmp_path) as mine:
        assert not dead.exists()
        assert waiting.exists()
        assert not forgotten.exists()
        assert sweep(tmp_path) == 0
        assert mine.is_dir()
    assert not mine.exists()

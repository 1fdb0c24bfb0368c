"""`lorabot up` as an operator starts it, on a folder of its own, and ways to see into it and to hurt it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

import psutil
import yaml

from lorabot.presets import load_presets
from lorabot.queue import Queue, QueueConfig, open_queue
from lorabot.queue.model import Job
from tests.house import clean_environment

Part = Literal["engine", "trainer", "bot"]
_MARKS: dict[Part, tuple[str, ...]] = {
    "engine": ("-m", "lorabot.trainer.engine"),
    "trainer": ("-m", "lorabot", "trainer"),
    "bot": ("-m", "lorabot", "bot"),
}
PRESET = "quick"
STEPS = 16


class House:
    """A running `lorabot up`. Its data outlives it: it can be started again."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._environment = environment
        self.start()

    def start(self) -> None:
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lorabot", "up"],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()

    def processes(self) -> list[psutil.Process]:
        """All processes of the house, Valkey's daemon among them."""
        mine = psutil.Process(self.process.pid)
        socket_path = f"unixsocket:{self.folder}"
        servers = [
            each for each in psutil.process_iter(["cmdline"]) if socket_path in " ".join(each.info["cmdline"] or ())
        ]
        return [mine, *mine.children(recursive=True), *servers]

    def pid(self, part: Part) -> int | None:
        """The process id of a part that is up now."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                command = tuple(child.cmdline())
            except psutil.Error:
                continue
            if command[1 : 1 + len(_MARKS[part])] == _MARKS[part]:
                return child.pid
        return None

    def kill(self, part: Part) -> None:
        """SIGKILL; nothing is cleaned up."""
        pid = self.pid(part)
        assert pid is not None, f"no {part} is up"
        os.kill(pid, signal.SIGKILL)

    async def answers(self, timeout_s: float = 60) -> None:
        """Wait until the chat page can be opened."""
        port = int(self.url.rpartition(":")[2])
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    return

    @property
    def log(self) -> str:
        return (self.folder / "up.log").read_text()


@contextmanager
def up(folder: Path, port: int, **settings: str) -> Iterator[House]:
    """Run `lorabot up` with these settings too until the block ends."""
    presets = folder / "presets"
    presets.mkdir(parents=True, exist_ok=True)
    (presets / f"{PRESET}.yaml").write_text(yaml.safe_dump(_quick_preset(), allow_unicode=True))
    environment = clean_environment(
        LORABOT_DATA_DIR=str(folder / "data"),
        LORABOT_PRESETS_DIR=str(presets),
        LORABOT_WEB__PORT=str(port),
        LORABOT_TRAINER__CHECKPOINT_S="0",
        LORABOT_TRAINER__PROGRESS_S="0",
        LORABOT_TRAINER__SAMPLE_ROUNDS="1",
        LORABOT_TRAINER__VALIDATIONS="2",
        LORABOT_QUEUE__LEASE_S="2",
        LORABOT_QUEUE__HEARTBEAT_S="0.1",
        LORABOT_QUEUE__RECONCILE_S="0.5",
        LORABOT_QUEUE__POLL_S="0.1",
        **settings,
    )
    house = House(folder, port, environment)
    try:
        yield house
    finally:
        house.stop()


@asynccontextmanager
async def looking_in(folder: Path) -> AsyncIterator[Queue]:
    """The house's own queue, for looking only; Redis is not needed for that."""
    nowhere = f"unix://{folder}/nowhere.sock"
    data = folder / "data"
    async with open_queue(QueueConfig(), f"sqlite:///{data}/lorabot.sqlite3", nowhere, f"file://{data}/blobs") as queue:
        yield queue


async def until(queue: Queue, job_id: str, wanted: Callable[[Job], bool], timeout_s: float = 120) -> Job:
    """The job as soon as ``wanted`` holds of it. Raises ``AssertionError`` with how it stood when that never was."""
    job = await queue.jobs.get(job_id)
    try:
        async with asyncio.timeout(timeout_s):
            while not wanted(job):
                await asyncio.sleep(0.05)
                job = await queue.jobs.get(job_id)
    except TimeoutError:
        raise AssertionError(f"never so; at last {job.state}, {job.progress}, {job.failure}") from None
    return job


def _quick_preset() -> object:
    """`anime` with a training of a few seconds."""
    preset = load_presets(None).get("anime").model_dump(mode="json")
    recipe = preset["recipes"]["demo"]
    recipe.update(views=2 * STEPS, batch=2, sample_steps=6, sample_prompts=recipe["sample_prompts"][:2])
    recipe["preserve"] = None
    return preset | {"id": PRESET, "recipes": {"demo": recipe}}

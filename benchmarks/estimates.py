"""How good the estimates are: ten different short jobs of the demo base, each estimated before it runs.

``python -m benchmarks.estimates [--jobs 10] [--out FILE]`` on an otherwise idle machine; ten minutes on two cores.
An installation of its own in a temporary folder, with the real queue and trainer; what the bot's commands would tell a
person is kept with each job as they do it, and compared with the time from the claim to the end. The first job has no
past and goes by the step that the trainer timed. Prints progress, then JSON.
"""

import argparse
import asyncio
import json
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw

from lorabot.bot.commands import Commands
from lorabot.bot.commands.estimates import estimated_s
from lorabot.bot.commands.requests import Actor, Train
from lorabot.bot.intake.service import Intake
from lorabot.presets import Bases, Catalogue, load_presets
from lorabot.queue import Queue, QueueConfig, migrate, open_queue
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.queue.keys import image_key
from lorabot.queue.model import Address, Image, Job
from lorabot.settings import Settings
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.daemon import run_trainer

OWNER, PLACE = "web:benchmark", Address("web", "benchmark")


@dataclass(frozen=True, slots=True)
class Case:
    """A job: a built-in preset with changes of its recipe for the demo base, and a number of images."""

    preset: str
    images: int
    changes: dict[str, object] = field(default_factory=dict)


CASES = (
    Case("anime", 12, {"views": 360}),
    Case("portrait", 20, {"views": 240}),
    Case("anime", 8, {"views": 160, "batch": 4}),
    Case("style", 20, {"views": 300}),
    Case("product", 10, {"views": 300, "preserve": None, "caption_dropout": 0.1}),
    Case("pet", 16, {"views": 200, "batch": 4}),
    Case("anime", 24, {"views": 480}),
    Case("character", 10, {"views": 480, "batch": 8}),
    Case("ink-landscape", 14, {"views": 420}),
    Case("pixel-art", 18, {"views": 240, "resolution": 64}),
)


def catalogue(folder: Path) -> Catalogue:
    """The presets of the cases, as an operator would write them: ``case-0`` ..."""
    built_in = load_presets()
    folder.mkdir()
    for number, case in enumerate(CASES):
        preset = built_in.get(case.preset).model_dump(mode="json")
        recipe = preset["recipes"]["demo"] | case.changes
        preset |= {"id": f"case-{number}", "recipes": {"demo": recipe}}
        (folder / f"case-{number}.yaml").write_text(json.dumps(preset), encoding="utf-8")  # JSON is YAML
    return load_presets(folder)


async def draw(queue: Queue, count: int, seed: int) -> None:
    """Put ``count`` simple pictures, all different, into the draft."""
    images = []
    for index in range(count):
        picture = Pillow.new("RGB", (160, 144), (40 + 5 * index, 160, 200 - 5 * index))
        ImageDraw.Draw(picture).ellipse((20, 20, 90 + index, 100), fill=(250, 120 + seed, 20), outline="black", width=3)
        file = BytesIO()
        picture.save(file, "PNG")
        digest = sha256(file.getvalue()).hexdigest()
        key = image_key(OWNER, digest)
        await queue.blobs.put(key, file.getvalue())
        images.append(Image(f"{index}.png", key, digest, *picture.size, len(file.getvalue())))
    await queue.drafts.add(OWNER, PLACE, images)


@asynccontextmanager
async def installation(folder: Path) -> AsyncIterator[Queue]:
    """A queue and a trainer on this machine."""
    database = f"sqlite:///{folder}/lorabot.sqlite3"
    await migrate(database)
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    stop = asyncio.Event()
    try:
        async with open_queue(QueueConfig(), database, valkey.url, str(folder / "blobs")) as queue:
            trainer = asyncio.create_task(run_trainer(queue, TrainerConfig(device="cpu"), folder, stop, Bases()))
            while not await queue.trainers.present():
                if trainer.done():
                    trainer.result()
                await asyncio.sleep(0.2)
            yield queue
            stop.set()
            await trainer
    finally:
        stop.set()
        await valkey.stop()


async def run(queue: Queue, commands: Commands, number: int) -> dict[str, object]:
    case = CASES[number]
    await draw(queue, case.images, number)
    asked = Train(f"case-{number}", "zuri", None, f"case-{number}", str(number))
    await commands.handle(Actor(OWNER, "en"), PLACE, asked)
    (job,) = await queue.jobs.of(OWNER, 1)
    async with queue.changes(f"job:{job.id}") as changes:
        while not (job := await queue.jobs.get(job.id)).state.final:
            await changes.wait(1.0)
    return measured(case, job)


def measured(case: Case, job: Job) -> dict[str, object]:
    assert job.outcome is not None, job.failure
    assert job.started_at is not None
    assert job.finished_at is not None
    wall, told = (job.finished_at - job.started_at).total_seconds(), estimated_s(job)
    assert told is not None, "every job is estimated, the first one by a timed step"
    kept = job.options["estimate"]
    assert isinstance(kept, dict)
    return {
        "preset": case.preset,
        "images": case.images,
        "changes": case.changes,
        "basis": kept["basis"],
        "estimated_s": round(told, 1),
        "low_s": round(kept["low"], 1),
        "high_s": round(kept["high"], 1),
        "true_s": round(wall, 1),
        "trainer_s": job.outcome.summary["seconds"],
        "within": kept["low"] <= wall <= kept["high"],
        "error": round(wall / told - 1, 3),
        "seconds": {
            name.removeprefix("seconds_"): value
            for name, value in job.outcome.summary.items()
            if name.startswith("seconds_")
        },
    }


async def benchmark(count: int) -> dict[str, object]:
    found = []
    with tempfile.TemporaryDirectory(prefix="lorabot-estimates-") as name:
        folder = Path(name)
        presets = catalogue(folder / "presets")
        async with installation(folder) as queue:
            intake = Intake(queue, Settings().intake, folder / "intake")
            commands = Commands(queue, presets, intake)
            for number in range(count):
                found.append(await run(queue, commands, number))
                print(json.dumps({key: value for key, value in found[-1].items() if key != "seconds"}), flush=True)
            (device,) = (state.device for state in (await queue.trainers.present()).values())
            off = await queue.history.errors()
    errors = [abs(float(str(each["error"]))) for each in found]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "lorabot")}},
        "jobs": found,
        "median_error": round(statistics.median(errors), 3),
        "worst_error": round(max(errors), 3),
        "within_range": sum(bool(each["within"]) for each in found),
        "kept_median_error": round(statistics.median(abs(error) for error in off), 3),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--jobs", type=int, default=len(CASES), choices=range(1, len(CASES) + 1))
    arguments.add_argument("--out", type=Path, help="also write the JSON to this file")
    given = arguments.parse_args()
    began = time.perf_counter()
    result = asyncio.run(benchmark(given.jobs))
    text = json.dumps({**result, "took_s": round(time.perf_counter() - began)}, indent=2)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Whole jobs from being accepted to their files: 20 images of mixed sizes, 2,000 views, captions, samples, export.

``python -m benchmarks.whole_job PART [--preset style] [--out FILE]``, in the repository, on a machine with a card;
``--small --device cpu`` does the same with a small base and few views. The base has random weights and the family's
full size, and lies in a folder, as a person's would. Parts:

- ``cold``: a fresh engine process that has no kernels yet and remembers no plan, and one job.
- ``warm``: a fresh engine process that finds both where ``cold`` left them, and three jobs of the same kind one after
  the other, each with other pictures.
- ``planning``: short jobs of 16 pictures a step in engine processes of their own, none of which remembers a plan: one
  has no kernels, the next finds them. Each does its job once more with other pictures, with what it has measured.
- ``many``: 20 short jobs in one process with different pictures, ranks and buckets; what is held after each: by the
  process in all, of that in files (libraries, mostly), page-locked, and on the card.

Results are added to FILE after each job, JSON with versions, device and date; the time line of all jobs in it is drawn
beside it.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.bases import RandomModels, draw_images, job_of, located, make, precision_of, read_results, ways
from lorabot.presets import Recipe, load_presets
from lorabot.trainer import wire
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.devices import cards
from lorabot.trainer.heaps import trim
from lorabot.trainer.job import run
from lorabot.trainer.models import cpu_name, pick_device
from lorabot.trainer.report import versions
from lorabot.trainer.supervising import Engine
from tests.trainer import small_bases
from tests.trainer.published import published

SIZES = ((1024, 1024), (768, 1024), (1024, 768), (683, 1024), (1024, 683), (576, 1024), (819, 1024))
"""Of pictures as they come from phones and the web, taken in turns."""
IMAGES, SMALL_IMAGES, JOBS = 20, 10, 20
RANKS = (8, 8, 4, 16)
PLANNING = "-planning"
SPAN = ("begin", "first", "end")
LINES = {
    "cold": "first job: no kernels, no plan",
    "kept": "first job: both kept",
    "second": "second job, warm",
    "third": "third job, warm",
}


def config_of(words: argparse.Namespace) -> TrainerConfig:
    """Samples before, in the middle and after; all else as people have it."""
    return TrainerConfig(device=words.device, sample_rounds=1)


def recipe_for(words: argparse.Namespace, **changes: object) -> Recipe:
    usual = load_presets().get(words.preset).recipes[words.family].model_dump()
    wanted: dict[str, object] = {"views": 2000, "batch": 4}
    if words.small:
        wanted = {"views": 48, "batch": 4, "resolution": 64, "sample_steps": 4}
    return Recipe.model_validate({**usual, **wanted, **changes})


def pictures(words: argparse.Namespace, folder: Path, count: int, turn: int) -> tuple[wire.TrainingImage, ...]:
    """``count`` pictures; a turn has the same sizes as another, with other colours."""
    smaller = 8 if words.small else 1
    sizes = [(width // smaller, height // smaller) for width, height in SIZES]
    return draw_images(folder, [sizes[index % len(sizes)] for index in range(count)], captioned=False, turn=turn)


def write_base(words: argparse.Namespace, folder: Path) -> Path:
    """The random base as diffusers keeps it: the UNet and the texts in 16 bits, the VAE in 32."""
    torch.manual_seed(0)
    device = pick_device(words.device)
    with device:
        made = small_bases.make(words.family) if words.small else published(words.family)
    if device.type == "cuda":
        for part in (made.unet, *made.encoders):
            torch.nn.Module.to(part, torch.bfloat16)
    small_bases.write_folder(made, folder)
    del made
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return folder


class Life:
    """One engine process and the jobs it does; all times in seconds since it was started."""

    def __init__(self, words: argparse.Namespace, data: Path, kept: str = "", **changes: object) -> None:
        self._words = words
        self._kernels, self._measured = of_engine(data, kept)
        self._base = located(words.family).model_copy(update={"path": data / "base", "identity": f"{words.family}-0"})
        self._recipe = recipe_for(words, **changes)
        self._vocabulary = load_presets().vocabulary_for(self._recipe.caption)

    def jobs(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        began = time.perf_counter()
        with asyncio.Runner() as loop, contextlib.ExitStack() as closing:
            engine = Engine(config_of(self._words), kernels=self._kernels)
            closing.callback(lambda: loop.run(engine.close()))
            loop.run(engine.start())
            ready = time.perf_counter() - began
            print(f"engine ready after {ready:.1f} s", flush=True)
            for turn, name in enumerate(names):
                yield {"name": name, "ready_s": round(ready, 2), **loop.run(self._job(engine, began, turn))}

    async def _job(self, engine: Engine, began: float, turn: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="lorabot-job-") as given:
            folder = Path(given)
            count = SMALL_IMAGES if self._words.small else IMAGES
            images = pictures(self._words, folder / "images", count, turn)
            more = {"base": self._base, "seed": turn, "measured": self._measured}
            job = job_of(self._words.family, self._recipe, images, folder, vocabulary=self._vocabulary, **more)
            begun: list[float] = []

            def listen(event: wire.Event) -> None:
                begun.append(time.perf_counter())
                if isinstance(event, wire.Progress) and event.step:
                    print(f"  {event.stage} {event.step}/{event.total_steps} {event.rate or 0:.2f} steps/s", flush=True)

            accepted = time.perf_counter()
            done = await engine.run(job, listen, keep=lambda: False)
            ended = time.perf_counter()
            if not isinstance(done, wire.Done):
                raise RuntimeError(f"the job did not come to its end: {done}")
            report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        late = begun[0] - accepted  # the engine's own clock begins when it has taken the job up
        spans = [{**each, **{at: round(each[at] + late, 3) for at in SPAN}} for each in report["spans"]]
        first = next(each["first"] for each in spans if each["name"] == "training")
        return {
            "accepted_s": round(accepted - began, 2),
            "first_step_s": round(first, 2),
            "total_s": round(ended - accepted, 2),
            "seconds_by_stage": report["seconds"],
            "steps_per_second": report["training"]["steps_per_second"],
            "steps": report["training"]["steps"],
            "way": ways(report),
            "batch": report["plan"]["batch"],
            "buckets": len(report["plan"]["buckets"]),
            "spans": spans,
        }


def of_engine(data: Path, kept: str) -> tuple[Path, Path]:
    """Where an engine keeps kernels, and where plans, under the name ``kept``."""
    return data / f"kernels{kept}", data / f"measured{kept}.json"


def cold(words: argparse.Namespace, data: Path) -> Iterator[dict[str, Any]]:
    kernels, measured = of_engine(data, "")
    shutil.rmtree(kernels, ignore_errors=True)
    measured.unlink(missing_ok=True)
    return Life(words, data).jobs(["cold"])


def warm(words: argparse.Namespace, data: Path) -> Iterator[dict[str, Any]]:
    return Life(words, data).jobs(["kept", "second", "third"])


def planning(words: argparse.Namespace, data: Path) -> Iterator[dict[str, Any]]:
    kernels, measured = of_engine(data, PLANNING)
    shutil.rmtree(kernels, ignore_errors=True)
    for name in ("no kernels", "kernels kept"):
        measured.unlink(missing_ok=True)
        life = Life(words, data, PLANNING, batch=4 if words.small else 16, views=64, sample_steps=4)
        yield from life.jobs([f"{name}, no plan", f"{name}, remembered"])


def many(words: argparse.Namespace, data: Path) -> Iterator[dict[str, Any]]:
    device = pick_device(words.device)
    cuda, precision = device.type == "cuda", precision_of("plain", device)
    base = make(words.family, words.small, device, precision)
    models = RandomModels(words.device, base, precision)
    config = TrainerConfig(device=words.device, sample_rounds=0, validations=2, checkpoint_s=3600, progress_s=60)
    for number in range(JOBS):
        recipe = recipe_for(words, views=40, rank=RANKS[number % len(RANKS)], sample_steps=4)
        vocabulary = load_presets().vocabulary_for(recipe.caption)
        with tempfile.TemporaryDirectory(prefix="lorabot-job-") as given:
            folder = Path(given)
            images = pictures(words, folder / "images", 4 + number % 5, number)
            more = {"seed": number, "measured": data / "measured-many.json", "vocabulary": vocabulary}
            job = job_of(words.family, recipe, images, folder, id=f"job-{number}", **more)
            began = time.perf_counter()
            run(job, models, config, Control(), lambda _: None)
            trim()
        row = {
            "job": number,
            "rank": recipe.rank,
            "images": len(images),
            "seconds": round(time.perf_counter() - began, 2),
            "graphs": models.warm.recorded,
            **dict(zip(("process_mib", "files_mib"), _held(), strict=True)),
        }
        if cuda:
            row |= {
                "locked_mib": torch.cuda.host_memory_stats().get("allocated_bytes.current", 0) >> 20,
                "allocated_mib": torch.cuda.memory_allocated() >> 20,
                "reserved_mib": torch.cuda.memory_reserved() >> 20,
            }
        yield row


def _held() -> tuple[int, int]:
    held = psutil.Process().memory_info()
    return held.rss >> 20, getattr(held, "shared", 0) >> 20


def draw(jobs: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """The stages of ``jobs`` over seconds since each was accepted; what came before that is left of 0."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(span["name"] for job in jobs for span in job["spans"]))
    colours = {name: colormaps["tab10"](index % 10) for index, name in enumerate(names)}
    figure = Figure(figsize=(11, 1.4 + 0.8 * len(jobs)))
    axes = figure.subplots()
    for row, job in enumerate(jobs):
        if job["name"] in ("cold", "kept"):
            axes.barh(row, job["ready_s"], left=-job["ready_s"], color="lightgrey", edgecolor="grey", height=0.6)
        axes.barh(row, job["total_s"], color="whitesmoke", edgecolor="lightgrey", height=0.6)
        for span in job["spans"]:
            axes.barh(row, span["end"] - span["begin"], left=span["begin"], color=colours[span["name"]], height=0.6)
        axes.plot([job["first_step_s"]] * 2, [row - 0.38, row + 0.38], color="black", linewidth=1.5)
        axes.text(job["total_s"], row, f" {job['total_s']:.1f} s", va="center", fontsize=8)
    axes.set_yticks(range(len(jobs)), [LINES[job["name"]] for job in jobs])
    axes.invert_yaxis()
    axes.use_sticky_edges = False  # the longest bar has a margin, too
    axes.set(xlabel="seconds since the job was accepted; black: the first step is done", title=title)
    patches = [axes.barh(0, 0, color=colour) for colour in colours.values()]
    ready = axes.barh(0, 0, color="lightgrey")
    axes.legend(
        [ready, *patches],
        ["engine starts", *names],
        fontsize=7,
        ncol=6,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.22),
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")


PARTS = {each.__name__: each for each in (cold, warm, planning, many)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", choices=PARTS, nargs="+")
    parser.add_argument("--family", default="sd15", choices=small_bases.FAMILIES)
    parser.add_argument("--preset", default="style", help="whose recipe is taken; style trains no text encoder")
    parser.add_argument("--small", action="store_true", help="a small base and few views")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--data", type=Path, help="where the base, kernels and plans are kept; a new folder unless told"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/whole_job.json"))
    words = parser.parse_args(arguments)
    words.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lorabot-data-") as fresh:
        data: Path = words.data or Path(fresh)
        if not (data / "base").exists() and set(words.parts) - {"many"}:
            began = time.perf_counter()
            write_base(words, data / "base")
            print(f"base written in {time.perf_counter() - began:.1f} s", flush=True)
        for part in words.parts:
            key = f"{words.family} {words.preset}{' small' if words.small else ''}"
            found: list[dict[str, Any]] = []
            for row in PARTS[part](words, data):
                print(json.dumps({name: value for name, value in row.items() if name != "spans"}), flush=True)
                found.append(row)
                keep(words, key, part, found)


def device_name(wanted: str) -> str:
    """As the report says it; asks nothing of CUDA, which would hold memory while the engine is measured."""
    device = pick_device(wanted)
    return cards()[device.index or 0].name if device.type == "cuda" else cpu_name()


def keep(words: argparse.Namespace, key: str, part: str, found: Sequence[dict[str, Any]]) -> None:
    """Write what was ``found`` so far, beside what the results hold, and draw the time line of it all."""
    results = read_results(words.out) if words.out.exists() else {}
    of = {**results.get(key, {}), part: found}
    results |= {
        "device": device_name(words.device),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": versions(),
        key: of,
    }
    words.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if jobs := [*of.get("cold", []), *of.get("warm", [])]:
        title = f"{key}, {jobs[0]['steps']} steps of 4 images, {results['device']}"
        draw(jobs, title, words.out.with_name(f"{words.out.stem}-{key.replace(' ', '-')}.png"))


if __name__ == "__main__":
    main()

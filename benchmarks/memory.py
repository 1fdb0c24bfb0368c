"""Trains the true architectures on a card of which only so much is left, by lorabot's own job code.

``python -m benchmarks.memory [--families sd15 sdxl] [--leave 6 8 12 16 24 40] [--out FILE]`` in the repository's root,
on a machine with an NVIDIA card. For each amount another process takes all of the card but so many GiB (``ballast``),
or lorabot's own setting keeps to them (``cap``); a third kind of run lets the ballast grow midway (``growing``), a
fourth as soon as the plan is made, which was made for 40 GiB then, and has it take whatever lorabot gives back beyond
its part (``sudden``).
What is recorded: the plan, the predicted and the true peak, images/s, and what was told on the way. ``--small`` tries
the same code with small models and no ballast, on a processor too. Results go into FILE after each run; runs that are
in there already are skipped, and none begins that would not end within ``--minutes``: call again for the rest.
"""

import argparse
import contextlib
import gc
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.bases import (
    COLOURS,
    RandomModels,
    draw_images,
    job_of,
    make,
    precision_of,
    read_results,
    recipe_of,
)
from lorabot.locale import translator
from lorabot.presets import RealFamily
from lorabot.trainer import wire
from lorabot.trainer.bases import BaseModel
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.devices import GIB
from lorabot.trainer.job import run
from lorabot.trainer.models import Models, pick_device
from lorabot.trainer.report import versions

BATCH, GROWS_AT = 16, {"growing": 12, "sudden": 0}
LEAST = 0.2
"""GiB that the other process leaves free where the weights alone are more than is to be left."""
_BALLAST = """
import sys, torch
kept = []
for line in sys.stdin:
    leave = int(float(line) * 2**30)
    while (free := torch.cuda.mem_get_info()[0]) > leave + 2**24:
        try:
            kept.append(torch.empty(min(free - leave, 2**30), dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError:  # somebody was quicker
            pass
    print("taken", flush=True)
"""


class Ballast:
    """Another process that holds all of the card but what it is told to leave."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BALLAST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def leave(self, gib: float) -> None:
        """Take until so many GiB are free; what was taken stays so."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{gib}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "taken\n", "the ballast process has ended"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def ballast(wanted: bool) -> Iterator[Ballast | None]:
    made = Ballast() if wanted else None
    try:
        yield made
    finally:
        if made:
            made.close()


def measure(
    family: RealFamily, kind: str, leave: float, base: BaseModel, words: argparse.Namespace, folder: Path, known: Path
) -> dict[str, Any]:
    """One run, as numbers. ``leave``: GiB of the card, the weights that lie there already among them. ``known``: the
    file of what was measured."""
    cuda = pick_device(words.device).type == "cuda"
    limit = leave * GIB if kind == "cap" else 1.0
    models = RandomModels(words.device, base, precision_of("plain", pick_device(words.device)), limit)
    recipe = recipe_of(family, "plain", words.steps, words.small)
    recipe = recipe.model_copy(update={"batch": BATCH, "views": words.steps * BATCH, "sample_steps": 4})
    config = TrainerConfig(
        device=words.device, sample_rounds=0, validations=2, checkpoint_s=3600, progress_s=0, memory_wait_s=15
    )
    images = draw_images(folder / "images", [(recipe.resolution, recipe.resolution)] * len(COLOURS))
    job = job_of(family, recipe, images, folder, id=f"{family}-{kind}-{leave:g}", measured=known)
    told: list[str] = []
    if cuda:  # where memory is scarce, the VAE and the texts come to the card when they are needed
        for part in (base.vae, *(tower.encoder for tower in base.towers)):
            torch.nn.Module.to(part, "cpu")
        _close_up(base)
    with ballast(cuda and kind != "cap") as taken:
        held = torch.cuda.memory_reserved() / GIB if cuda else 0.0
        if taken:
            taken.leave(max(leave - held, LEAST) if kind == "ballast" else 40 - held)
        grown, over, pressing = False, threading.Event(), ThreadPoolExecutor(1)
        pressed: Future[None] | None = None

        def press(taken: Ballast) -> None:
            before = 0
            while not over.wait(0.02):
                # What lorabot has just given back is still its part.
                if (held := torch.cuda.memory_reserved()) == before:
                    taken.leave(max(leave - held / GIB, LEAST))
                before = held

        def listen(event: wire.Event) -> None:
            nonlocal grown, pressed
            if isinstance(event, wire.Notice):
                told.append(translator("en").text(event.message))
            step = event.step if isinstance(event, wire.Progress) and event.stage == "training" else -1
            if step >= GROWS_AT.get(kind, math.inf) and not grown:
                grown = True
                if taken:
                    torch.cuda.empty_cache()  # so that the other process finds something to take
                    taken.leave(max(leave - torch.cuda.memory_reserved() / GIB, LEAST))
                    if kind == "sudden":
                        pressed = pressing.submit(press, taken)

        began = time.perf_counter()
        try:
            done = run(job, models, config, Control(), listen)
        finally:
            over.set()
            pressing.shutdown()
        if pressed is not None:
            pressed.result()  # a ballast that has failed has shown nothing
        seconds = time.perf_counter() - began
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    plan, losses = report["plan"], report["training"]["loss"]
    peak, planned = done.summary["peak_bytes"], done.summary["planned_peak_bytes"]
    rate = report["training"]["steps_per_second"]
    return {
        "finite": all(loss is not None and math.isfinite(loss) for loss in losses),
        "losses": losses,
        "plan": {
            key: plan[key] for key in ("batch", "accumulation", "checkpointing", "offloading", "rank", "resolution")
        },
        "planned_peak_gib": round(float(planned) / GIB, 3) if planned else None,
        "true_peak_gib": round(float(peak) / GIB, 3) if peak else None,
        "images_per_second": round(rate * BATCH, 2),
        "planning_s": report["seconds"]["planning"],
        "opening_s": report["seconds"]["opening"],
        "seconds": round(seconds, 1),
        "told": told,
    }


def _close_up(base: BaseModel) -> None:
    """Let the UNet lie where a trainer's does: without the holes that the parts made beside it have left."""
    gc.collect()
    torch.cuda.empty_cache()
    if torch.cuda.memory_reserved() - torch.cuda.memory_allocated() > GIB // 8:
        device = base.unet.device
        torch.nn.Module.to(base.unet, "cpu")
        torch.cuda.empty_cache()
        torch.nn.Module.to(base.unet, device)


def benchmark(words: argparse.Namespace) -> dict[str, Any]:
    began, device, longest = time.monotonic(), pick_device(words.device), 0.0
    results = read_results(words.out)
    name = Models(words.device).hardware().name
    results |= {"device": name, "date": datetime.now(UTC).date().isoformat(), "versions": versions()}
    words.out.parent.mkdir(parents=True, exist_ok=True)
    for family in words.families:
        base: BaseModel | None = None
        for kind in words.kinds:
            once = {
                "growing": words.leave[:1],
                "sudden": (words.leave[1:] or words.leave)[:1],
            }
            for leave in once.get(kind, words.leave):
                key = {"family": family, "kind": kind, "leave_gib": leave, "small": words.small}
                if any(all(each[word] == value for word, value in key.items()) for each in results["runs"]):
                    continue
                if words.minutes * 60 - (time.monotonic() - began) < 1.2 * longest:
                    print(f"no time left for {key}", flush=True)
                    continue
                print(f"{family}, {kind}, {leave:g} GiB", flush=True)
                start = time.monotonic()
                try:
                    base = base or make(family, words.small, device, precision_of("plain", device))
                    with tempfile.TemporaryDirectory(prefix="lorabot-memory-") as folder:
                        known = words.out.with_suffix(".measured.json")
                        made = measure(family, kind, leave, base, words, Path(folder), known)
                except Exception as error:  # the other runs are worth having all the same
                    made = {"error": f"{type(error).__name__}: {error}"[:500]}
                longest = max(longest, time.monotonic() - start)
                print(f"  {json.dumps({**made, 'losses': None})}", flush=True)
                results["runs"].append({**key, **made})
                words.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["sd15", "sdxl"], choices=["sd15", "sd21", "sdxl"])
    parser.add_argument("--kinds", nargs="+", default=["ballast", "growing", "sudden", "cap"])
    parser.add_argument("--leave", nargs="+", type=float, default=[6.0, 8.0, 12.0, 16.0, 24.0, 40.0])
    parser.add_argument("--steps", type=int, default=40, help=f"of {BATCH} pictures")
    parser.add_argument("--small", action="store_true", help="small models of the families instead of full-size ones")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/memory.json"))
    results = benchmark(parser.parse_args())
    bad = [
        f"{each['family']} {each['kind']} {each['leave_gib']:g}" for each in results["runs"] if not each.get("finite")
    ]
    print("not good:" if bad else "all good", *bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

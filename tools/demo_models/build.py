"""Builds the demo models from nothing: renders, trains, writes the model folder. One GPU, under twenty minutes.

python -m tools.demo_models.build --work /tmp/demo --out lorabot/trainer/demo_base

Two processes share the GPU. One trains the autoencoder and then the judge; the other gets ready meanwhile, teaches the
text encoder and the image tower to match, and trains the denoiser with them once the autoencoder is there.

python -m tools.demo_models.build --from lorabot/trainer/demo_base --work /tmp/demo --out /tmp/better --minutes 8

goes on with a model folder, on scenes that it has not seen: its autoencoder stays, all else and the judge learn on.
"""

import argparse
import json
import logging
import multiprocessing
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tools.demo_models import architecture, autoencoder, judging, stepping
from tools.demo_models.captions import canonical
from tools.demo_models.data import Plan, Renderer, column, finished
from tools.demo_models.joint import Recipe, new_joint, train_joint
from tools.demo_models.judge import load_judge
from tools.demo_models.sampling import sample
from tools.demo_models.stepping import Rows, Span
from tools.demo_models.world import STYLE_NAMES, scene_at

log = logging.getLogger("demo_models")
SEED, FURTHER_SEED = 20, 22
HELD_OUT_SHARE = 0.5
PATTERNED = 0.25
"""Spots and stripes are what the judge takes for each other first."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many scenes, and when the stages end, in minutes from the start; `most` caps every stage's steps."""

    scenes: int
    judged: int
    vae_until: float
    judge_until: float
    joint_until: float
    recipe: Recipe
    vae_batch: int = autoencoder.BATCH
    judge_batch: int = judging.BATCH
    most: int = 10**9

    def within(self, minutes: float) -> "Size":
        """The stages shortened or stretched so that the last one ends after so many minutes."""
        share = minutes / self.joint_until
        return replace(
            self,
            vae_until=share * self.vae_until,
            judge_until=share * self.judge_until,
            joint_until=minutes,
        )


SIZES = {
    "full": Size(120_000, 32_000, 5.0, 7.4, 15.0, Recipe()),
    "brief": Size(6_000, 2_000, 0.9, 1.3, 2.2, Recipe()),
    "tiny": Size(256, 128, 2, 3, 4, Recipe(batch=4, match_batch=6, compiled=False), 4, 10, most=3),
}
# The optimiser's moments are not in a model folder: the rate rises slowly, to what it was past the middle of the build.
FURTHER = SIZES | {"full": Size(240_000, 60_000, 0.0, 5.0, 8.0, Recipe(peak=3e-4, warm_up=1500))}


@dataclass(frozen=True, slots=True)
class Order:
    """What both processes know. `began` is a `time.monotonic` value, the same for all processes of a machine.

    `origin`: the model folder to go on with, if any.
    """

    size: Size
    work: Path
    out: Path
    device: str
    began: float
    seed: int
    origin: Path | None

    @property
    def world(self) -> Plan:
        return Plan(self.work / "world", self.size.scenes, self.seed, patterned=PATTERNED)

    @property
    def judged(self) -> Plan:
        return Plan(self.work / "judged", self.size.judged, self.seed + 1, HELD_OUT_SHARE, PATTERNED)

    @property
    def vae_file(self) -> Path:
        return self.work / "autoencoder.safetensors"

    @property
    def judge_file(self) -> Path:
        return self.work / "judge.safetensors"

    def at(self, minutes: float) -> float:
        return self.began + 60 * minutes


def grid(pictures: torch.Tensor, columns: int) -> Image.Image:
    """Pictures (N, 128, 128, 3) uint8 side by side."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * 130, rows * 130), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture.numpy()), (i % columns * 130, i // columns * 130))
    return sheet


def rows_of(plan: Plan, names: tuple[str, ...], device: torch.device) -> Rows:
    return Rows({name: column(plan, name) for name in names}, lambda: finished(plan), device)


def begin(name: str) -> None:
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name}: %(message)s", datefmt="%H:%M:%S")


def autoencoder_and_judge(order: Order) -> None:
    """The one process."""
    begin("side")
    device, size = stepping.device_of(order.device), order.size
    rows = rows_of(order.world, ("pixels", "labels"), device)
    open_vae: Any  # diffusers leaves its parts open, and torch's hints know no such `to`
    if order.origin:
        open_vae = architecture.read(order.origin).vae
        vae = open_vae.to(device, memory_format=torch.channels_last).eval()
    else:
        span = Span(time.monotonic(), order.at(size.vae_until), size.most)
        vae = autoencoder.train_autoencoder(rows, span, order.seed, size.vae_batch, size.recipe.compiled)
        autoencoder.settle_scale(vae, rows)
    autoencoder.save(vae, order.vae_file)
    rows.more(24)
    with torch.no_grad():
        x = rows.pixels(torch.arange(24, device=device))
        open_vae = vae
        both = torch.cat([x, open_vae.decode(autoencoder.latents_of(vae, x)).sample]).clamp(-1, 1)
    grid(((both + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu(), 12).save(order.work / "vae.png")
    other = rows_of(order.judged, ("pixels", "labels"), device)
    span = Span(time.monotonic(), order.at(size.judge_until), size.most)
    known = load_judge() if order.origin else None
    judging.save(judging.train_judge(rows, other, vae, span, order.seed, size.judge_batch, known), order.judge_file)
    log.info("judge written after %.0f s", time.monotonic() - order.began)


def denoiser_and_matching(order: Order) -> None:
    """The other process; writes the model folder."""
    begin("main")
    device, size = stepping.device_of(order.device), order.size
    rows = rows_of(order.world, ("pixels", "labels", "tokens", "tells"), device)
    joint = new_joint(order.seed, device, order.origin)
    prompts = [canonical(scene_at(99, i, style=style)) for style in STYLE_NAMES for i in range(10)]

    def checkpoint(vae: Any, step: int) -> None:
        unet: Any = joint.unet
        text: Any = joint.text
        pictures = sample(unet.eval(), text.eval(), vae, prompts, 25, 4.0, 7)
        unet.train(), text.train()
        grid(pictures, 10).save(order.work / "samples.png")
        log.info("samples at step %d after %.0f s", step, time.monotonic() - order.began)

    train_joint(joint, rows, size.recipe, order.vae_file, order.at(size.joint_until), size.most, checkpoint, 300)
    vae = autoencoder.load(order.vae_file, device)
    architecture.write(architecture.Parts(joint.text, vae, joint.unet, joint.clip.eval()), order.out)


def build(order: Order) -> None:
    """Run all; pictures to look at and timings land in `order.work`. Raises RuntimeError where a process failed."""
    order.work.mkdir(parents=True, exist_ok=True)
    order.vae_file.unlink(missing_ok=True)
    workers = max(2, (os.cpu_count() or 4) - 2)
    aside = max(1, workers // 4)
    renderers = [Renderer(order.world, workers - aside), Renderer(order.judged, aside)]
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=job, args=(order,)) for job in (autoencoder_and_judge, denoiser_and_matching)]
    for job in jobs:
        job.start()
    while any(job.is_alive() for job in jobs):
        time.sleep(0.5)
        if any(job.exitcode for job in jobs) or any(renderer.broken for renderer in renderers):
            for job in jobs:
                job.terminate()
    if any(job.exitcode for job in jobs):
        raise RuntimeError("a stage failed; its reason stands above")
    hardware = torch.cuda.get_device_name() if order.device == "cuda" else "CPU"
    facts = {"hardware": hardware, "seconds": round(time.monotonic() - order.began), "scenes": finished(order.world)}
    (order.work / "build.json").write_text(json.dumps(facts, indent=2) + "\n")
    log.info("built: %s", facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for renderings and checkpoints (12 GB)")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--from", type=Path, dest="origin", help="a model folder to go on with")
    parser.add_argument("--minutes", type=float, help="when training ends, counted from the start")
    parser.add_argument("--seed", type=int, help="of the scenes and of the training")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    begin("build")
    began, origin = time.monotonic(), arguments.origin
    size = (FURTHER if origin else SIZES)[arguments.size]
    if arguments.minutes:
        size = size.within(arguments.minutes)
    seed = arguments.seed if arguments.seed is not None else FURTHER_SEED if origin else SEED
    build(Order(size, arguments.work, arguments.out, arguments.device, began, seed, origin))


if __name__ == "__main__":
    main()

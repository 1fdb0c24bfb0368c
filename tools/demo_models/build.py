"""Builds the demo models from nothing: renders, trains, writes the model folder. One GPU, some twenty minutes.

python -m tools.demo_models.build --work /tmp/demo --out lorabot/trainer/demo_base
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
from safetensors.torch import save_file

from tools.demo_models import architecture, training
from tools.demo_models.captions import canonical
from tools.demo_models.data import Plan, Renderer, column
from tools.demo_models.polish import polish
from tools.demo_models.training import Budget, Rows
from tools.demo_models.world import STYLE_NAMES, scene_at

log = logging.getLogger("demo_models")
SEED = 20
VAE_ENDS, JOINT_ENDS, POLISH_LASTS = 8.2 * 60, 17 * 60, 7 * 60
"""Seconds: when two stages end, with fewer steps than planned on slower machines, and how long the last one takes."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    scenes: int
    judged: int
    vae: Budget
    judge: Budget
    joint: Budget
    every: int


SIZES = {
    "full": Size(
        160_000, 24_000, Budget(14000, 64, 1.2e-3), Budget(1500, 384, 2e-3), Budget(10000, 512, 8e-4), 2500
    ),
    "tiny": Size(
        256, 128, Budget(3, 4, 1e-3, False), Budget(2, 6, 1e-3, False), Budget(3, 4, 1e-3, False), 2
    ),
}  # fmt: skip


def grid(pictures: torch.Tensor, columns: int) -> Image.Image:
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * 130, rows * 130), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture.numpy()), (i % columns * 130, i // columns * 130))
    return sheet


def build(size: Size, work: Path, out: Path, workers: int, device: torch.device) -> None:
    """Run every stage; pictures to look at and timings land in `work`."""
    work.mkdir(parents=True, exist_ok=True)
    times: dict[str, float] = {}
    started = time.monotonic()
    world = Plan(work / "world", size.scenes, SEED)
    judged = Plan(work / "judged", size.judged, SEED + 1, held_out=0.5)
    renderer, extra = Renderer(world, max(1, workers - 2)), Renderer(judged, 2)
    ahead = multiprocessing.get_context("spawn").Process(
        target=training.precompile, args=(size.joint, SEED), daemon=True
    )
    if size.joint.compiled:
        ahead.start()
    rows = Rows({name: column(world, name) for name in ("pixels", "labels", "tokens", "tells")}, renderer.wait, device)
    vae = training.train_vae(rows, size.vae, SEED, started + VAE_ENDS)
    times["vae"] = time.monotonic() - started
    latents = training.encode(vae, rows)
    times["rendered and encoded"] = time.monotonic() - started
    vae.save_pretrained(work / "vae")
    with torch.no_grad():
        shown = rows.pixels(torch.arange(24, device=device))
        config: Any = vae.config
        again = vae.decode(latents[:24].float() / config.scaling_factor).sample
        both = torch.cat([shown, again]).clamp(-1, 1)
    grid(((both + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu(), 12).save(work / "vae.png")

    judged_rows = Rows({name: column(judged, name) for name in ("pixels", "labels")}, extra.wait, device)
    judge = training.train_judge(judged_rows, vae, size.judge, SEED)
    times["judge"] = time.monotonic() - started
    state = {
        k: v.half().cpu().contiguous() if v.is_floating_point() else v.cpu() for k, v in judge.state_dict().items()
    }
    save_file(state, work / "judge.safetensors")
    del judged_rows

    if size.joint.compiled:
        ahead.join()
        log.info("compiled ahead: exit code %s", ahead.exitcode)
    joint = training.new_joint(SEED, device)
    prompts = [canonical(scene_at(99, i, style=style)) for style in STYLE_NAMES for i in range(10)]

    def checkpoint(step: int) -> None:
        parts: Any = joint  # the libraries give `eval` no hints
        pictures = training.sample(parts.unet.eval(), parts.text.eval(), vae, prompts, 25, 5.0, 7)
        grid(pictures, 10).save(work / f"samples-{step:06d}.png")
        save_file(
            {k: v.half().cpu().contiguous() for k, v in joint.unet.state_dict().items()}, work / "unet.part.safetensors"
        )
        joint.unet.train(), joint.text.train()
        log.info("checkpoint %d after %.0fs", step, time.monotonic() - started)

    training.train_joint(joint, rows, latents, size.joint, SEED, checkpoint, size.every, until=started + JOINT_ENDS)
    times["joint"] = time.monotonic() - started
    architecture.write(architecture.Parts(joint.text, vae, joint.unet, joint.clip.eval()), out)
    if device.type == "cuda":
        polish(out, work / "judge.safetensors", work / "polish", POLISH_LASTS)
    times["all"] = time.monotonic() - started
    hardware = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    facts = {"hardware": hardware, "seconds at the end of": {name: round(value) for name, value in times.items()}}
    (work / "build.json").write_text(json.dumps(facts, indent=2) + "\n")
    log.info("built: %s", facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for renderings and checkpoints (12 GB)")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="rendering processes")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    size = SIZES[arguments.size]
    if arguments.eager:
        size = replace(size, vae=replace(size.vae, compiled=False), joint=replace(size.joint, compiled=False))
    build(size, arguments.work, arguments.out, arguments.workers, torch.device(arguments.device))


if __name__ == "__main__":
    main()

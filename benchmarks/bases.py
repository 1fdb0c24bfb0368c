"""Trains on the true architectures at full size with random weights, by lorabot's own job code, in several variants.

``python -m benchmarks.bases [--families sd15 sdxl] [--variants plain adamw8bit] [--out FILE]``, in the repository, on a
machine with a card; ``--small`` does the same with small models of the same families, on a processor too. Each run
learns four pictures in ``--steps`` steps and draws before and after. A run is good when every loss is finite, the loss
over fixed noise has fallen, and the pictures are there. Results go into FILE after each run; runs that are in there
already are done again only with ``--again``. No run begins that would not end within ``--minutes``.
"""

import argparse
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw

from lorabot.presets import RealFamily, Recipe, load_presets
from lorabot.trainer import wire
from lorabot.trainer.bases import BaseModel, LocatedBase, Parts, assembled
from lorabot.trainer.config import TrainerConfig
from lorabot.trainer.control import Control
from lorabot.trainer.job import run
from lorabot.trainer.models import Models, pick_device
from lorabot.trainer.optimisers import has_8bit
from lorabot.trainer.planning import Hardware, Precision
from lorabot.trainer.report import versions
from tests.trainer import small_bases
from tests.trainer.published import published

SMALL_SIDE = 64
WAYS = ("plan-fast", "plan-plain")
COLOURS = (("navy", "gold"), ("ivory", "crimson"), ("teal", "white"), ("pink", "black"))
VARIANTS: Mapping[str, Mapping[str, object]] = {
    "plain": {},
    "adamw8bit": {"optimiser": "adamw8bit"},
    "checkpointing": {"checkpointing": True},
    "text-encoder": {"text_encoder_lr": 1e-4},
    "all-layers": {"layers": "all"},
    "one-image": {"batch": 1},
    "fp32": {},
}
"""What differs from the family's recipe of the preset ``anime``; ``fp32`` has its precision changed instead."""


class RandomModels(Models):
    """One base with random weights, instead of one from a file."""

    def __init__(self, device: str, base: BaseModel, precision: Precision, memory_limit: float = 1.0) -> None:
        super().__init__(device, memory_limit)
        self._made, self._precision = base, precision

    def base(self, wanted: LocatedBase | None = None) -> BaseModel:
        return self._made

    def hardware(self) -> Hardware:
        return replace(super().hardware(), precision=self._precision)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be run. ``minutes`` is for all of it."""

    families: Sequence[RealFamily]
    variants: Sequence[str]
    steps: int
    small: bool
    device: str
    minutes: float
    again: bool
    out: Path


def located(family: RealFamily) -> LocatedBase:
    prediction = small_bases.scheduler_of(family)["prediction_type"]
    return LocatedBase(
        id=family,
        title=family,
        family=family,
        prediction=prediction,
        path=Path("random"),
        known_as=f"{family}.safetensors",
        identity=f"random-{family}",
    )


def make(family: RealFamily, small: bool, device: torch.device, precision: Precision) -> BaseModel:
    """The base with random weights, always the same ones, as the trainer would have loaded it from a file."""
    torch.manual_seed(0)
    with device:
        made = small_bases.make(family) if small else published(family)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    for part in (made.unet, *made.encoders):
        torch.nn.Module.to(part, device, dtype).requires_grad_(False).eval()
    torch.nn.Module.to(made.vae, device, torch.float32).requires_grad_(False).eval()
    return assembled(located(family), Parts(made.unet, made.vae, made.encoders, made.scheduler))


def recipe_of(family: RealFamily, variant: str, steps: int, small: bool) -> Recipe:
    """The family's recipe for ``steps`` steps and little drawing, at a rate that learns four pictures soon."""
    usual = load_presets().get("anime").recipes[family].model_dump()
    changes = dict(VARIANTS[variant])
    batch = int(str(changes.get("batch", usual["batch"])))
    wanted = {
        "views": steps * batch,
        "unet_lr": 1e-3,
        "text_encoder_lr": 0,
        "caption": {"method": "none"},
        "sample_prompts": ("{trigger} in a forest",),
        "sample_steps": 10,
        **({"resolution": SMALL_SIDE} if small else {}),
    }
    return Recipe.model_validate({**usual, **wanted, **changes})


def draw_images(
    folder: Path, sizes: Sequence[tuple[int, int]], captioned: bool = True, turn: int = 0
) -> tuple[wire.TrainingImage, ...]:
    """A picture of each of ``sizes``, width and height; four in a row differ in everything, other turns in colours."""
    folder.mkdir(parents=True)
    images = []
    for index, size in enumerate(sizes):
        (ground, ink), which, side = COLOURS[(index + turn) % len(COLOURS)], index % 4, min(size)
        picture = Image.new("RGB", size, ground)
        pen, room = ImageDraw.Draw(picture), side // 8
        shape = (pen.ellipse, pen.rectangle, pen.pieslice, pen.chord)[which]
        box = (room * (1 + which), room, side - room, side - room * (1 + which // 2))
        shape(box, **({"start": 20, "end": 250} if which > 1 else {}), fill=ink)
        path = folder / f"{index}.png"
        picture.save(path)
        caption = f"{ink} on {ground}" if captioned else None
        images.append(wire.TrainingImage(path=path, name=path.name, caption=caption))
    return tuple(images)


def job_of(
    family: RealFamily, recipe: Recipe, images: tuple[wire.TrainingImage, ...], folder: Path, **more: Any
) -> wire.TrainingJob:
    """A job by ``recipe`` on the family's random base, whose files go into ``folder``; ``more``: other fields of it."""
    usual = {"id": "benchmark", "name": "benchmark", "trigger": "zuri", "language": "en", "seed": 7, "vocabulary": None}
    preset = load_presets().get("anime").model_copy(update={"recipes": {family: recipe}})
    given = {**usual, "base": located(family), "preset": preset, "images": images, "folder": folder, **more}
    return wire.TrainingJob(**given)


def ways(report: Mapping[str, Any]) -> list[str]:
    """Which ways through the UNet a job's ``report`` says that it took, and why."""
    return [each["code"] for each in report["plan"]["reasons"] if each["code"].startswith(WAYS)]


def measure(family: RealFamily, variant: str, wish: Wish, base: BaseModel, precision: Precision) -> dict[str, Any]:
    """One run, as numbers. Raises what a job raises."""
    models = RandomModels(wish.device, base, precision)
    recipe = recipe_of(family, variant, wish.steps, wish.small)
    config = TrainerConfig(device=wish.device, sample_rounds=0, validations=4, checkpoint_s=3600, progress_s=20)
    cuda = pick_device(wish.device).type == "cuda"
    pictures = []

    def listen(event: wire.Event) -> None:
        if isinstance(event, wire.SampleMade):
            with Image.open(event.path) as picture:
                pictures.append(picture.size)
        if isinstance(event, wire.Progress) and event.step:
            print(f"  {event.stage} {event.step}/{event.total_steps}, {event.rate or 0:.2f} steps/s", flush=True)

    with tempfile.TemporaryDirectory(prefix="lorabot-bases-") as folder:
        sizes = [(recipe.resolution, recipe.resolution)] * len(COLOURS)
        job = job_of(family, recipe, draw_images(Path(folder) / "images", sizes), Path(folder))
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        done = run(job, models, config, Control(), listen)
        seconds = time.perf_counter() - began
        report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
    losses, fixed = report["training"]["loss"], report["training"]["validation"]
    finite = all(loss is not None and math.isfinite(loss) for loss in losses)
    some = max(len(losses) // 10, 1)
    side = (recipe.resolution, recipe.resolution)
    plan = report["plan"]
    rate = report["training"]["steps_per_second"]
    return {
        "family": family,
        "variant": variant,
        "small": wish.small,
        "good": finite and fixed[-1][1] < fixed[0][1] and pictures == [side, side],
        "finite": finite,
        "fixed_loss": [fixed[0][1], fixed[-1][1]],
        "training_loss": [sum(part) / some for part in (losses[:some], losses[-some:])] if finite else None,
        "pictures": len(pictures),
        "steps": len(losses),
        "steps_per_second": rate,
        "images_per_second": round(rate * recipe.batch, 3),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 3) if cuda else None,
        "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 3) if cuda else None,
        "seconds": round(seconds, 1),
        "seconds_by_stage": report["seconds"],
        "plan": {key: plan[key] for key in ("precision", "resolution", "batch", "accumulation", "optimiser", "rank")},
        "way": ways(report),
        "file_bytes": done.summary["file_bytes"],
    }


def precision_of(variant: str, device: torch.device) -> Precision:
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if bf16 and variant != "fp32" else "fp32"


def read_results(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": []}


def benchmark(wish: Wish) -> dict[str, Any]:
    """All runs for which there is time, each written at once; the others are listed with the reason."""
    began, device = time.monotonic(), pick_device(wish.device)
    name = Models(wish.device).hardware().name
    results = read_results(wish.out)
    results |= {"device": name, "date": datetime.now(UTC).date().isoformat(), "versions": versions(), "left_out": []}
    longest: dict[str, float] = {}
    for family in wish.families:
        base: BaseModel | None = None
        of: Precision | None = None
        for variant in wish.variants:
            key = {"family": family, "variant": variant, "small": wish.small}
            same = [each for each in results["runs"] if all(each[word] == value for word, value in key.items())]
            if same and not wish.again:
                continue
            left_s = wish.minutes * 60 - (time.monotonic() - began)
            reason = None
            if left_s < 1.2 * longest.get(family, max(longest.values(), default=0.0)):
                reason = "no time left"
            elif variant == "adamw8bit" and not has_8bit(str(device)):
                reason = "no bitsandbytes for this device"
            elif variant == "fp32" and precision_of("plain", device) == "fp32":
                reason = "the same as plain on this device"
            if reason:
                results["left_out"].append({**key, "reason": reason})
                continue
            print(f"{family} {variant}", flush=True)
            start, precision = time.monotonic(), precision_of(variant, device)
            try:
                if base is None or of != precision:
                    base = None
                    gc.collect()
                    base, of = make(family, wish.small, device, precision), precision
                made = measure(family, variant, wish, base, precision)
            except Exception as error:  # the other runs are worth having all the same
                made = {**key, "good": False, "error": f"{type(error).__name__}: {error}"[:500]}
            longest[family] = max(longest.get(family, 0.0), time.monotonic() - start)
            print(f"  {json.dumps(made)}", flush=True)
            results["runs"] = [each for each in results["runs"] if each not in same] + [made]
            wish.out.parent.mkdir(parents=True, exist_ok=True)
            wish.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=list(small_bases.FAMILIES), choices=small_bases.FAMILIES)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--small", action="store_true", help="small models of the families instead of full-size ones")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--again", action="store_true", help="also do what the results have already")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/bases.json"))
    words = parser.parse_args()
    results = benchmark(Wish(**vars(words)))
    for each in results["left_out"]:
        print("left out:", json.dumps(each))
    bad = [f"{each['family']} {each['variant']}" for each in results["runs"] if not each["good"]]
    print("not good:" if bad else "all good", *bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

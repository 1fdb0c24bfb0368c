"""A training step of the demo base on this CPU, against a straight loop over diffusers and peft in one process.

``python -m benchmarks.cpu_step [--steps 60] [--out FILE]`` trains the same steps from the same seed three ways: with
the trainer's own denoiser, straight with all cores for each operator, and straight with one. They take turns step by
step, so that whatever else the machine does hits all alike. Prints JSON: milliseconds a step, steps/s as a ratio to the
better of the straight loops, and how far the losses are apart.
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from lorabot.presets import load_presets
from lorabot.trainer import adapter
from lorabot.trainer.bases import load_base
from lorabot.trainer.batches import Batches
from lorabot.trainer.captioning import Caption
from lorabot.trainer.denoising import denoiser, plain
from lorabot.trainer.draws import draw
from lorabot.trainer.encoding import Encoded, tell
from lorabot.trainer.latents import Latents
from lorabot.trainer.loss import losses, rows, schedule
from lorabot.trainer.models import cores, cpu_name
from lorabot.trainer.shapes import Shapes
from lorabot.trainer.training import GRADIENT_NORM

IMAGES, SEED, WARM_UP, STEPS_MOST = 14, 7, 3, 10_000


def training(stack: contextlib.ExitStack, ours: bool) -> Callable[[int], float]:
    """A fresh training as the anime preset has it, over random latents: does the step of a number, returns its loss."""
    recipe = load_presets().get("anime").recipes["demo"]
    base = load_base()
    shape = Shapes.of(base).latent(recipe.resolution, recipe.resolution)
    random = torch.randn(IMAGES, 2, *shape, generator=torch.Generator().manual_seed(0))
    latents = Latents(tuple(random), (shape,) * IMAGES, torch.device("cpu"))
    captions = [Caption(f"zuri, picture {index}", "person") for index in range(IMAGES)]
    told = tell(base.towers, captions, recipe, SEED, torch.device("cpu"))
    encoded = Encoded(latents, 2, told, None)
    batches = Batches(SEED, (range(IMAGES),), recipe.batch, STEPS_MOST)
    process = schedule(base.scheduler, recipe, torch.device("cpu"))
    stack.enter_context(adapter.attached({"unet": base.unet}, recipe, SEED))
    denoise = stack.enter_context(denoiser(base.unet, "fp32")) if ours else plain(base.unet, "fp32")
    parameters = [parameter for _, parameter in adapter.parameters({"unet": base.unet})]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.unet_lr, fused=True)

    def step(number: int) -> float:
        offset, dropout = recipe.noise_offset, recipe.caption_dropout
        drawn = draw(SEED, number, batches.at(number), shape, 2, process.timesteps, offset, dropout)
        loss = losses(denoise, rows(encoded, drawn, slice(None), process), process).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


def measure(steps: int) -> dict[str, object]:
    ways = {"lorabot": (True, 1), "straight, all cores": (False, cores()), "straight, one core": (False, 1)}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[float]] = {name: [] for name in ways}
    with contextlib.ExitStack() as stack:
        torch.set_num_threads(cores())
        step_of = {name: training(stack, ours) for name, (ours, _) in ways.items()}
        for number in range(WARM_UP + steps):
            for name, (_, threads) in ways.items():
                torch.set_num_threads(threads)
                began, cpu_began = time.perf_counter(), time.process_time()
                found[name].append(step_of[name](number))
                wall[name].append(1000 * (time.perf_counter() - began))
                cpu[name].append(1000 * (time.process_time() - cpu_began))
    median = {name: statistics.median(values[WARM_UP:]) for name, values in wall.items()}
    apart = [abs(ours / theirs - 1) for ours, theirs in zip(found["lorabot"], found["straight, one core"], strict=True)]
    return {
        "device": cpu_name(),
        "torch": torch.__version__,
        "steps": steps,
        "ms": {name: round(value, 1) for name, value in median.items()},
        "cpu_ms": {name: round(statistics.median(values[WARM_UP:]), 1) for name, values in cpu.items()},
        "ratio_to_better_straight_loop": round(min(list(median.values())[1:]) / median["lorabot"], 2),
        "ratio_to_straight_loop_on_all_cores": round(median["straight, all cores"] / median["lorabot"], 2),
        "loss_apart_most": f"{max(apart):.1e}",
        "last_loss": {name: round(values[-1], 6) for name, values in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    result = json.dumps(measure(words.steps), indent=2)
    print(result)
    if words.out:
        words.out.write_text(result + "\n")


if __name__ == "__main__":
    main()

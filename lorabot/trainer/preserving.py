"""Stage: lets the base draw pictures of its own, and keeps what it predicts on the way, for the training to hold on to.

A LoRA that is taught one thing moves all others: other subjects take on its face, every picture its style. So beside
the images a step learns some rows whose target is what the base predicts there without the adapter. That is the prior
preservation of DreamBooth (arXiv 2208.12242) with the base's own answer as the target in place of the noise: it holds
no chance, so that a few rows do, and it is met exactly as long as nothing has changed. The rows lie where a sampler
will ask again, on the base's way from noise to picture. Guidance compares each answer with the one to no prompt at all:
a LoRA that moves the latter moves every picture, so it is held too.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lorabot.presets import Preserve, Recipe
from lorabot.trainer import adapter
from lorabot.trainer.conditions import Conditions, cat
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.draws import generator
from lorabot.trainer.encoding import hear_once
from lorabot.trainer.loss import Rows, Schedule
from lorabot.trainer.sending import sent
from lorabot.trainer.shapes import Shapes

if TYPE_CHECKING:
    from lorabot.trainer.bases import BaseModel, TextTower

UNPROMPTED = 0.3
"""Share of the rows that hold what the base predicts without a prompt."""
_AT_ONCE = 4
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Preserved:
    """S states on the base's way to pictures, from noise to picture, and what it predicts there; on the CPU, float32.

    ``noisy``, ``prompted`` and ``unprompted``: (S, C, H, W), the last two predicted with the picture's prompt and with
    none. ``timesteps``: int64 (S). ``prompts``: int64 (S), which of ``texts`` it is; the last of these is no prompt.
    """

    noisy: torch.Tensor
    timesteps: torch.Tensor
    prompted: torch.Tensor
    unprompted: torch.Tensor
    prompts: torch.Tensor
    texts: Conditions

    def rows(self, seed: int, step: int, count: int, weight: float, process: Schedule) -> Rows:
        """What step number ``step`` (from 0) holds on to: ``count`` of the states, spread over the way."""
        chance = generator(seed, "preserved", step)
        places = (torch.randperm(count, generator=chance) + torch.rand(count, generator=chance)) / count
        states = (places * len(self.noisy)).long().clamp_(max=len(self.noisy) - 1)
        alone = torch.rand(count, generator=chance) < UNPROMPTED
        device = process.weight.device
        timesteps = sent(self.timesteps[states], device)
        texts = torch.where(alone, len(self.texts) - 1, self.prompts[states])
        target = torch.where(alone[:, None, None, None], self.unprompted[states], self.prompted[states])
        return Rows(
            noisy=sent(self.noisy[states], device),
            timesteps=timesteps,
            conditions=self.texts.take(sent(texts, device)),
            target=sent(target, device),
            weight=weight * process.weight[timesteps],
        )


def prompts(recipe: Preserve, captions: Sequence[str], trigger: str, seed: int) -> tuple[str, ...]:
    """The prompts of the pictures: the recipe's in turn, filled with choices by chance and ``captions`` in turn."""
    bare = itertools.cycle([without_trigger(caption, trigger) for caption in captions])
    return tuple(
        _filled(recipe.prompts[number % len(recipe.prompts)], bare, generator(seed, "preserved prompt", number))
        for number in range(recipe.pictures)
    )


def without_trigger(caption: str, trigger: str) -> str:
    """``caption`` with every ``trigger`` taken out."""
    return _tidy(re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)", "", caption, flags=re.IGNORECASE))


def _filled(prompt: str, captions: Iterator[str], chance: torch.Generator) -> str:
    def fill(found: re.Match[str]) -> str:
        if found[1] == "caption":
            return next(captions)
        options = found[1].split("|")
        return options[int(torch.randint(len(options), (), generator=chance))]

    return _tidy(_BRACES.sub(fill, prompt))


def _tidy(text: str) -> str:
    """Without the gaps and commas around what was left out."""
    return ", ".join(part for part in (" ".join(part.split()) for part in text.split(",")) if part)


@torch.no_grad()
def preserve(
    base: "BaseModel",
    towers: Sequence["TextTower"],
    modules: adapter.Modules,
    denoise: Denoiser,
    recipe: Recipe,
    wanted: Sequence[str],
    steps: int,
    seed: int,
    check: Callable[[], None],
) -> Preserved:
    """Let ``base`` draw one picture a prompt ``wanted`` by ``steps`` steps of DDIM, and keep its states on the way.

    ``towers`` hear the prompts; ``modules`` carry the adapter, which is switched off for it. ``check`` is called before
    every step, and may raise to stop. All chance comes from ``seed``: after an interruption the same states are made
    again.
    """
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    scheduler: Any = DDIMScheduler.from_config(base.scheduler)
    scheduler.set_timesteps(steps)
    apart = scheduler.config.num_train_timesteps // steps
    device = base.device
    shape = Shapes.of(base).latent(recipe.resolution, recipe.resolution)
    found: list[tuple[torch.Tensor, ...]] = []
    with adapter.switched_off(modules):
        texts = hear_once(towers, [*wanted, ""], device, recipe.text_encoder_lr > 0)
        texts, last = texts.whole(recipe.resolution), len(texts) - 1
        for start in range(0, len(wanted), _AT_ONCE):
            numbers = torch.arange(start, min(start + _AT_ONCE, len(wanted)))
            chance = generator(seed, "preserved picture", start)
            latents = torch.randn(len(numbers), *shape, generator=chance).to(device)
            # Every batch of pictures goes its own way through the timesteps, so that all of them are among the states.
            first = scheduler.config.num_train_timesteps - 1 - int(torch.randint(apart, (), generator=chance))
            asked = cat([texts.take(numbers.to(device)), texts.take(torch.full_like(numbers, last).to(device))])
            for number in range(steps):
                check()
                timestep = first - number * apart
                timesteps = torch.full_like(numbers, timestep)
                predicted = denoise(torch.cat([latents, latents]), timesteps.repeat(2).to(device), asked)
                prompted, unprompted = predicted.chunk(2)
                found.append(tuple(each.cpu() for each in (latents, timesteps, prompted, unprompted, numbers)))
                guided = unprompted + recipe.guidance * (prompted - unprompted)
                latents = scheduler.step(guided, timestep, latents, return_dict=False)[0]
    noisy, timesteps, prompted, unprompted, numbers = (torch.cat(each) for each in zip(*found, strict=True))
    order = timesteps.argsort(descending=True, stable=True)
    return Preserved(noisy[order], timesteps[order], prompted[order], unprompted[order], numbers[order], texts)

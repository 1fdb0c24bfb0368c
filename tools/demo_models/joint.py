"""Trains denoiser, text encoder and image tower together: noise prediction and matching over one text encoder."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel

from lorabot.trainer.clip import open_clip_text_state
from tools.demo_models import architecture, autoencoder
from tools.demo_models.captions import FIELDS
from tools.demo_models.stepping import Average, Optimiser, Rows, Span, Step, autocast, captured

log = logging.getLogger("demo_models")
END_TOKEN, START_TOKEN = 49407, 49406
KINDS_OF_CAPTION = (0.27, 0.27, 0.26, 0.1, 0.1)
"""How often each of a row's captions is taken: three full ones, two brief ones."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Batches, the peak rate, the text encoder's share of it, and how much matching weighs beside denoising.

    Matching is part of every `match_every`-th step, and goes first alone for at most `match_first` steps.
    """

    batch: int = 512
    match_batch: int = 256
    peak: float = 8e-4
    text_share: float = 0.6
    match_share: float = 0.03
    silent: float = 0.1
    match_every: int = 3
    match_first: int = 1500
    warm_up: int = 400
    compiled: bool = True


@dataclass(slots=True)
class Joint:
    """What is trained together: the denoiser and the image tower, both over one text encoder."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    clip: open_clip.CLIP

    def fast(self) -> list[nn.Parameter]:
        return [
            *self.unet.parameters(),
            *self.clip.visual.parameters(),
            self.clip.text_projection,
            self.clip.logit_scale,
        ]


def new_joint(seed: int, device: torch.device, origin: Path | None = None) -> Joint:
    """With fresh weights, or those of the model folder `origin`."""
    torch.manual_seed(seed)
    if origin:
        known = architecture.read(origin)
        joint = Joint(known.unet, known.text_encoder, known.clip)
    else:
        joint = Joint(architecture.unet(), architecture.text_encoder(), architecture.clip())
    parts: Any = joint  # torch's hints know no `to` with both a device and a memory format
    parts.unet.to(device, memory_format=torch.channels_last).train()
    parts.text.to(device).train()
    parts.clip.to(device, memory_format=torch.channels_last).train()
    return joint


def agree(labels: Tensor, tells: Tensor) -> Tensor:
    """(N captions, M pictures) bool: nothing that the caption tells is wrong of the picture."""
    wrong = tells[:, None, :].bool() & (labels[:, None, :] != labels[None, :, :])
    return ~wrong.any(2)


def matching(picture: Tensor, text: Tensor, fits: Tensor, scale: Tensor) -> Tensor:
    """Contrastive in both directions; every pair that fits shares the target (brief captions fit many pictures)."""
    logits = (
        scale.exp().clamp(max=100)
        * functional.normalize(text.float(), dim=1)
        @ functional.normalize(picture.float(), dim=1).T
    )
    target = fits.float()
    rows = -(target / target.sum(1, keepdim=True) * functional.log_softmax(logits, 1)).sum(1).mean()
    columns = -(target / target.sum(0, keepdim=True) * functional.log_softmax(logits, 0)).sum(0).mean()
    return (rows + columns) / 2


class Trainer:
    """The three kinds of step: matching alone, denoising alone, both."""

    def __init__(self, joint: Joint, rows: Rows, recipe: Recipe) -> None:
        self.joint, self.rows, self.recipe = joint, rows, recipe
        device = rows.device
        # Every row as it is and mirrored.
        self.latents = torch.zeros((2, rows.count, 4, 16, 16), dtype=torch.float16, device=device)
        self.encoded = torch.ones((), dtype=torch.long, device=device)
        self._encoded = 0
        fast, slow = joint.fast(), list(joint.text.parameters())
        self.optimiser = Optimiser([(fast, 1.0, 0.01), (slow, recipe.text_share, 0.0)])
        self.average = Average([*fast, *slow], decay=0.999)
        self.denoised, self.matched = torch.zeros((), device=device), torch.zeros((), device=device)
        kept = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, device=device).square()
        self._kept = torch.cumprod(1 - kept, 0)
        self._weights = torch.clamp(5 * (1 - self._kept) / self._kept, max=1.0)  # min-SNR, gamma 5 (2303.09556)
        self._silence = torch.full((77,), END_TOKEN, dtype=torch.long, device=device)
        self._silence[0] = START_TOKEN
        self._choice = torch.tensor(KINDS_OF_CAPTION, device=device).cumsum(0)
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN, device=device).view(shape)
        self._spread = torch.tensor(open_clip.OPENAI_DATASET_STD, device=device).view(shape)
        unet: Any = joint.unet
        self._predict = torch.compile(unet) if recipe.compiled else unet
        self.match, self.denoise, self.both = captured(
            [self._match_step, self._denoise_step, self._both_step], self.optimiser
        )

    def encode(self, vae: Any) -> None:
        """Turn the rows that came since into latents."""
        known = self.rows.more(2048)
        order: Any = torch.arange(self._encoded, known, device=self.rows.device)  # torch gives `split` no hints
        for index in order.split(256) if known > self._encoded else ():
            pixels = self.rows.pixels(index)
            for side, picture in enumerate((pixels, pixels.flip(3))):
                scaled = autoencoder.latents_of(vae, picture) * vae.config.scaling_factor
                self.latents[side, index] = scaled.half()
        self._encoded = known
        self.encoded.fill_(known)

    def _captions(self, index: Tensor, which: Tensor) -> Tensor:
        short = self.rows.columns["tokens"][index, which].long()
        return functional.pad(short, (0, 77 - short.shape[1]), value=END_TOKEN)

    def _denoising(self) -> Tensor:
        n, device = self.recipe.batch, self.rows.device
        index = (torch.rand(n, device=device) * self.encoded).long()
        which = torch.searchsorted(self._choice, torch.rand(n, device=device)).clamp(max=4)
        silent = torch.rand(n, 1, device=device) < self.recipe.silent
        ids = torch.where(silent, self._silence, self._captions(index, which))
        x = self.latents[(torch.rand(n, device=device) < 0.5).long(), index].float()
        # A little noise in the mean keeps dark and bright pictures in reach (the schedule never ends in pure noise).
        noise = torch.randn_like(x) + 0.06 * torch.randn((n, 4, 1, 1), device=device)
        t = (torch.rand(n, device=device) * 1000).long()
        a = self._kept[t][:, None, None, None]
        noisy = (a.sqrt() * x + (1 - a).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        with autocast(device):
            out = self._predict(noisy, t, self.joint.text(ids).last_hidden_state).sample.float()
        loss: Tensor = ((out - noise).square().mean((1, 2, 3)) * self._weights[t]).mean()
        self.denoised.lerp_(loss.detach(), 0.02)
        return loss

    def _matching(self) -> Tensor:
        n, device, columns = self.recipe.match_batch, self.rows.device, self.rows.columns
        index = self.rows.choose(n)
        which = (torch.rand(n, device=device) * 5).long()
        pixels = self.rows.pixels(index)
        pixels = torch.where(torch.rand(n, 1, 1, 1, device=device) < 0.5, pixels.flip(3), pixels)
        side, shift = pixels.shape[-1], torch.randint(-5, 6, (2, 1), device=device)
        at = torch.arange(side, device=device)
        pixels = pixels[:, :, (at + shift[0]) % side][..., (at + shift[1]) % side]
        pixels = (((pixels + 1) / 2 - self._mean) / self._spread).contiguous(memory_format=torch.channels_last)
        fits = agree(columns["labels"][index][:, : len(FIELDS)], columns["tells"][index, which])
        with autocast(device):
            picture = self.joint.clip.visual(pixels)
            text = self.joint.text(self._captions(index, which)).pooler_output @ self.joint.clip.text_projection
        loss = matching(picture, text, fits, self.joint.clip.logit_scale)
        self.matched.lerp_(loss.detach(), 0.02)
        return loss

    def _finish(self, loss: Tensor) -> Tensor:
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
        unet = [p for p in self.joint.unet.parameters() if p.grad is not None]
        if unet:
            torch.nn.utils.clip_grad_norm_(unet, 1.0, foreach=unet[0].is_cuda)
        self.optimiser.step()
        self.average.update()
        return loss.detach()

    def _match_step(self) -> Tensor:
        return self._finish(self._matching())

    def _denoise_step(self) -> Tensor:
        return self._finish(self._denoising())

    def _both_step(self) -> Tensor:
        return self._finish(self._denoising() + self.recipe.match_share * self._matching())


def train_joint(
    joint: Joint,
    rows: Rows,
    recipe: Recipe,
    vae_file: Path,
    end: float,
    most: int,
    on_checkpoint: Callable[[Any, int], None],
    every_s: float,
) -> None:
    """Match alone until the autoencoder's file is there, then both, every few steps with matching, until `end`.

    `on_checkpoint(vae, step)` is called with the averaged weights in place. Raises RuntimeError where it diverged.
    """
    rows.more(2 * recipe.match_batch)
    trainer = Trainer(joint, rows, recipe)
    log.info("joint: ready")
    begun = time.monotonic()
    step = 0
    while not vae_file.exists():
        trainer.optimiser.set_rate(recipe.peak * min(1.0, (step + 1) / recipe.warm_up))
        if step < min(most, recipe.match_first):
            trainer.match()
            step += 1
        else:
            time.sleep(0.2)
        if step % 100 == 0:
            rows.more()
            _wait_for(rows.device)
    log.info("joint: %d steps of matching in %.0f s, %.3f", step, time.monotonic() - begun, trainer.matched.item())
    vae: Any = autoencoder.load(vae_file, rows.device)
    trainer.encode(vae)
    trainer.average.restart()
    span = Span(time.monotonic(), end, most)
    shown, step = time.monotonic(), -1
    while not span.over(step := step + 1):
        trainer.optimiser.set_rate(span.rate(recipe.peak, step, recipe.warm_up))
        (trainer.denoise if step % recipe.match_every else trainer.both)()
        if step % 200 == 0:
            trainer.encode(vae)
            _wait_for(rows.device)
        if step % 1000 == 0:
            log.info(
                "joint %5d denoising %.4f matching %.4f rows %d, %.1f steps a second",
                step,
                trainer.denoised.item(),
                trainer.matched.item(),
                trainer.encoded.item(),
                step / (time.monotonic() - span.start),
            )
        if time.monotonic() - shown > every_s:
            shown = time.monotonic()
            _with_average(trainer, lambda: on_checkpoint(vae, step))  # called at once
    _wait_for(rows.device)
    log.info("joint: %d steps of %d", step, recipe.batch)
    trainer.average.swap()
    on_checkpoint(vae, step)
    if not all(bool(torch.isfinite(p).all()) for p in trainer.optimiser.parameters):
        raise RuntimeError("training diverged")
    joint.clip.load_state_dict(open_clip_text_state(joint.text.state_dict()), strict=False)


def _with_average(trainer: Trainer, act: Step | Callable[[], None]) -> None:
    trainer.average.swap()
    act()
    trainer.average.swap()


def _wait_for(device: torch.device) -> None:
    """Replays pile up faster than they run: without a stop the clock would be looked at too late."""
    if device.type == "cuda":
        torch.cuda.synchronize()

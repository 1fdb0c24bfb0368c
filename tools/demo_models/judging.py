"""Trains the judge: on renderings, many gone through the autoencoder, blurred or noisy as generated ones are."""

import logging
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from tools.demo_models.autoencoder import latents_of
from tools.demo_models.captions import FIELDS
from tools.demo_models.judge import READS, Judge, split
from tools.demo_models.stepping import Average, Optimiser, Rows, Span, autocast, captured

log = logging.getLogger("demo_models")
PEAK, BATCH, WARM_UP = 2e-3, 256, 300
SMOOTHING = 0.02


def train_judge(
    world: Rows,
    other: Rows,
    vae: AutoencoderKL,
    span: Span,
    seed: int,
    batch: int = BATCH,
    known: Judge | None = None,
) -> Judge:
    """Half of each batch from the base's world, half from rows that also hold what the base never sees.

    Goes on with `known` where it is given.
    """
    device, open_vae = world.device, cast(Any, vae)
    torch.manual_seed(seed)
    # torch's hints know no `to` with both a device and a memory format.
    judge = cast(Judge, cast(Any, known or Judge()).to(device, memory_format=torch.channels_last).train())
    parameters = list(judge.parameters())
    optimiser = Optimiser([(parameters, 1.0, 0.02)])
    average = Average(parameters, decay=0.998)
    style = FIELDS.index("style")
    right = torch.zeros(len(READS), device=device)
    again_count, rough_count, half = batch // 5, batch // 3, batch // 2

    def targets_of(labels: Tensor) -> Tensor:
        # The last label is the style's number among all styles, held-out ones included.
        return torch.cat([labels[:, :style], labels[:, -1:], labels[:, style + 1 : -1]], 1).long()

    def step_once() -> Tensor:
        first, second = world.choose(batch - half), other.choose(half)
        x = torch.cat([world.pixels(first), other.pixels(second)])
        y = targets_of(torch.cat([world.columns["labels"][first], other.columns["labels"][second]]))
        order = torch.rand(batch, device=device).argsort()
        x, y = x[order], y[order]
        with torch.no_grad(), autocast(device):
            latents = latents_of(vae, x[:again_count])
            latents = latents + 0.1 / open_vae.config.scaling_factor * torch.randn_like(latents)
            again = open_vae.decoder(open_vae.post_quant_conv(latents)).float().clamp(-1, 1)
        rough = x[again_count : again_count + rough_count]
        rough = rough + 0.06 * torch.randn_like(rough)
        blurred = functional.avg_pool2d(rough, 3, 1, 1, count_include_pad=False)
        rough = torch.where(torch.rand(rough_count, 1, 1, 1, device=device) < 0.33, blurred, rough)
        x = torch.cat([again, rough, x[again_count + rough_count :]])
        side = x.shape[-1]
        shift = torch.randint(-6, 7, (2, 1), device=device)
        at = torch.arange(side, device=device)
        x = x[:, :, (at + shift[0]) % side][..., (at + shift[1]) % side].contiguous(memory_format=torch.channels_last)
        with autocast(device):
            logits = split(judge(x))
        losses = [
            functional.cross_entropy(logits[name].float(), y[:, i], label_smoothing=SMOOTHING)
            for i, name in enumerate(READS)
        ]
        loss = torch.stack(losses).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
        optimiser.step()
        average.update()
        hits = [(logits[name].argmax(1) == y[:, i]).float().mean() for i, name in enumerate(READS)]
        right.lerp_(torch.stack(hits), 0.02)
        return loss.detach()

    world.more(2 * batch), other.more(2 * batch)
    (run,) = captured([step_once], optimiser)
    average.restart()
    step = -1
    while not span.over(step := step + 1):
        optimiser.set_rate(span.rate(PEAK, step, WARM_UP))
        loss = run()
        if step % 100 == 0:
            world.more(), other.more()
        if step % 1000 == 0:
            seen = {name: round(share, 3) for name, share in zip(READS, right.tolist(), strict=True)}
            log.info("judge %5d loss %.3f %s", step, loss.item(), seen)
    average.swap()
    log.info("judge: %d steps of %d, %s", step, batch, [round(share, 3) for share in right.tolist()])
    return judge.eval()


def save(judge: Judge, path: Path) -> None:
    """Write the judge, weights as float16."""
    state = {
        key: value.half().cpu().contiguous() if value.is_floating_point() else value.cpu()
        for key, value in judge.state_dict().items()
    }
    save_file(state, path)

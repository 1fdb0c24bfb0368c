"""The diffusion loss: noise a latent, let the UNet predict the noise, weigh the error by min-SNR."""

from dataclasses import dataclass

import torch

from lorabot.trainer.conditions import Conditions, cat
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.draws import Draw
from lorabot.trainer.encoding import Encoded

P2_K = 0.03
"""The k of P2 weights. The paper's 1 hardly tells the noisiest half of the timesteps apart, where a picture's layout
and colours are settled; this lets them differ, and keeps the last ones from drowning the rest."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The base model's forward process, per timestep, on the training device: float32 (T).

    ``signal`` and ``noise`` are the factors of latent and noise; ``weight`` is the loss's.
    """

    signal: torch.Tensor
    noise: torch.Tensor
    weight: torch.Tensor

    @property
    def timesteps(self) -> int:
        return len(self.signal)


def schedule(config: dict[str, object], min_snr: float | None, p2: float, device: torch.device) -> Schedule:
    """The schedule of a base model's scheduler ``config``.

    Weights for predicted noise: min(SNR, ``min_snr``) / SNR (arXiv 2303.09556, equation 4), 1 when that is None; times
    (k + SNR) ** -``p2`` (arXiv 2204.00227, equation 8), scaled to a mean of 1, so that a rate means the same.
    """
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    kept = DDPMScheduler.from_config(config).alphas_cumprod.to(device, torch.float32)
    ratio = kept / (1 - kept)
    weight = torch.ones_like(kept) if min_snr is None else ratio.clamp(max=min_snr) / ratio
    if p2 > 0:
        weight = weight * (P2_K + ratio) ** -p2
        weight = weight / weight.mean()
    return Schedule(signal=kept.sqrt(), noise=(1 - kept).sqrt(), weight=weight)


@dataclass(frozen=True, slots=True)
class Rows:
    """What the UNet is asked and what it should answer, row by row, on the training device.

    ``noisy`` and ``target``: float32 (B, C, H, W). ``timesteps``: int64 (B). ``weight``: the loss's, float32 (B).
    """

    noisy: torch.Tensor
    timesteps: torch.Tensor
    conditions: Conditions
    target: torch.Tensor
    weight: torch.Tensor

    def __len__(self) -> int:
        return len(self.noisy)

    def part(self, part: slice) -> "Rows":
        """Some of them."""
        return Rows(
            self.noisy[part],
            self.timesteps[part],
            self.conditions.take(part),
            self.target[part],
            self.weight[part],
        )

    def joins(self, others: "Rows") -> bool:
        """Whether ``others`` can go through the model at once with these: pictures of one size, texts of one length."""
        pairs = ((self.noisy, others.noisy), (self.conditions.states, others.conditions.states))
        return all(mine.shape[1:] == theirs.shape[1:] for mine, theirs in pairs)

    def joined(self, others: "Rows") -> "Rows":
        """These and then ``others``."""
        return Rows(
            torch.cat([self.noisy, others.noisy]),
            torch.cat([self.timesteps, others.timesteps]),
            cat([self.conditions, others.conditions]),
            torch.cat([self.target, others.target]),
            torch.cat([self.weight, others.weight]),
        )


def rows(encoded: Encoded, drawn: Draw, part: slice, process: Schedule) -> Rows:
    """The images in ``part`` of the draw, noised."""
    device = process.weight.device
    images, views = drawn.images[part], drawn.views[part]
    clean = encoded.clean(images, views)
    timesteps = drawn.timesteps[part].to(device)
    noise = drawn.noise[part].to(device)
    at = timesteps[:, None, None, None]
    return Rows(
        noisy=process.signal[at] * clean + process.noise[at] * noise,
        timesteps=timesteps,
        conditions=encoded.conditions(images, views, drawn.orders[part], drawn.uncaptioned[part]),
        target=noise,
        weight=process.weight[timesteps],
    )


def losses(denoise: Denoiser, asked: Rows) -> torch.Tensor:
    """The weighted squared error of each row, float32 (B)."""
    predicted = denoise(asked.noisy, asked.timesteps, asked.conditions)
    error = (predicted - asked.target).square().mean(dim=(1, 2, 3))
    weighted: torch.Tensor = error * asked.weight
    return weighted

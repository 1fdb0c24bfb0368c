"""The diffusion loss: noise a latent, let the UNet predict the noise, weigh the error by min-SNR."""

from dataclasses import dataclass

import torch

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


def losses(
    denoise: Denoiser,
    encoded: Encoded,
    members: torch.Tensor,
    drawn: Draw,
    part: slice,
    process: Schedule,
) -> torch.Tensor:
    """The weighted squared error of each image in ``part`` of the draw, float32 (B).

    ``members`` (int64, CPU) are the images that the draw's indices count in.
    """
    device = encoded.latents.device
    images = members[drawn.images[part]]
    texts = torch.where(drawn.uncaptioned[part], len(encoded.texts) - 1, encoded.text_of[images])
    clean = encoded.latents[images.to(device), drawn.mirrored[part].long().to(device)]
    timesteps = drawn.timesteps[part].to(device)
    noise = drawn.noise[part].to(device)
    at = timesteps[:, None, None, None]
    noisy = process.signal[at] * clean + process.noise[at] * noise
    predicted = denoise(noisy, timesteps, encoded.texts.take(texts.to(device)))
    error = (predicted - noise).square().mean(dim=(1, 2, 3))
    weighted: torch.Tensor = error * process.weight[timesteps]
    return weighted

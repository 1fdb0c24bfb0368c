"""The diffusion loss: noise a latent, let the UNet predict what was added, weigh the error."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lorabot.presets import Recipe
from lorabot.trainer.conditions import Conditions, cat
from lorabot.trainer.denoising import Denoiser
from lorabot.trainer.draws import Draw
from lorabot.trainer.encoding import Encoded
from lorabot.trainer.errors import NeedsVelocity
from lorabot.trainer.sending import sent

P2_K = 0.03
"""The k of P2 weights. The paper's 1 hardly tells the noisiest half of the timesteps apart, where a picture's layout
and colours are settled; this lets them differ, and keeps the last ones from drowning the rest."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The base model's forward process, per timestep, on the training device: float32 (T).

    ``signal`` and ``noise`` are the factors of latent and noise; ``weight`` is the loss's. ``delta`` is where the Huber
    loss turns from a square into a line, None for the squared error. ``velocity``: the base predicts v, not the noise.
    """

    signal: torch.Tensor
    noise: torch.Tensor
    weight: torch.Tensor
    delta: torch.Tensor | None
    velocity: bool

    @property
    def timesteps(self) -> int:
        return len(self.signal)


def forward_process(config: Mapping[str, object], recipe: Recipe) -> dict[str, object]:
    """A base model's scheduler ``config`` as the recipe has it, for training and for samples.

    With ``zero_terminal_snr`` the last timestep is noise alone, and sampling begins there (arXiv 2305.08891, sections
    3.1 and 3.3). Raises ``NeedsVelocity`` where the base predicts the noise: of noise alone that teaches nothing.
    """
    known = dict(config)
    if recipe.zero_terminal_snr:
        known |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        if known.get("prediction_type") != "v_prediction":
            raise NeedsVelocity
    return known


def schedule(config: Mapping[str, object], recipe: Recipe, device: torch.device) -> Schedule:
    """The schedule of a base model's scheduler ``config``, with the recipe's weights.

    min-SNR caps the weight of an error in the picture itself at gamma (arXiv 2303.09556, section 3.4): that is
    min(SNR, gamma) / SNR for the noise and min(SNR, gamma) / (SNR + 1) for v. P2 is a factor (k + SNR) ** -gamma (arXiv
    2204.00227, equation 8), with all weights then scaled to a mean of 1, so that a rate means the same. The Huber loss
    is pseudo-Huber with a delta that falls from 1 at the first timestep to the recipe's at the last (arXiv 2403.16728):
    an outlier cannot drag what noise decides, the composition, while details are learnt by the square. The paper's
    schedule is taken as it is rather than one by SNR, since it means the same for every base's noise schedule.
    """
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    kept = DDPMScheduler.from_config(dict(config)).alphas_cumprod.to(device, torch.float32)
    velocity = config.get("prediction_type") == "v_prediction"
    ratio = kept / (1 - kept)
    weight = torch.ones_like(kept)
    if recipe.min_snr_gamma is not None:
        weight = ratio.clamp(max=recipe.min_snr_gamma) / (ratio + 1 if velocity else ratio)
    if recipe.p2_gamma > 0:
        weight = weight * (P2_K + ratio) ** -recipe.p2_gamma
        weight = weight / weight.mean()
    delta = None
    if recipe.loss == "huber":
        delta = recipe.huber_delta ** torch.linspace(0, 1, len(kept), device=device)
    return Schedule(kept.sqrt(), (1 - kept).sqrt(), weight, delta, velocity)


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
    timesteps, noise = (sent(each[part], device) for each in (drawn.timesteps, drawn.noise))
    at = timesteps[:, None, None, None]
    return Rows(
        noisy=process.signal[at] * clean + process.noise[at] * noise,
        timesteps=timesteps,
        conditions=encoded.conditions(images, views, drawn.orders[part], drawn.uncaptioned[part]),
        target=process.signal[at] * noise - process.noise[at] * clean if process.velocity else noise,
        weight=process.weight[timesteps],
    )


def losses(denoise: Denoiser, asked: Rows, process: Schedule) -> torch.Tensor:
    """The weighted error of each row, float32 (B): squared, or Huber's, which equals the square where it is small."""
    error = denoise(asked.noisy, asked.timesteps, asked.conditions) - asked.target
    if process.delta is None:
        each = error.square()
    else:
        delta = process.delta[asked.timesteps][:, None, None, None]
        each = 2 * delta * ((error.square() + delta.square()).sqrt() - delta)
    weighted: torch.Tensor = each.mean(dim=(1, 2, 3)) * asked.weight
    return weighted
